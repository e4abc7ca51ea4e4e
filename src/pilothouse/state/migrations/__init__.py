"""What brings an older database to this version, step by step."""
