"""Sources of lines, one file each."""
