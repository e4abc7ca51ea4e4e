"""Process 2: the embedded log store."""
