"""`python -m bench`: what Pilothouse reaches on this machine, beside what it must reach."""
