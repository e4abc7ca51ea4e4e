"""Version 1: one file for each noun."""
