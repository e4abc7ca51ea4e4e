"""Process 4: what happens without a request."""
