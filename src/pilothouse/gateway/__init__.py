"""Process 1: the only open port."""
