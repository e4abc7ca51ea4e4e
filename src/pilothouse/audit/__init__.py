"""What was done: the hash-chained record and its verification."""
