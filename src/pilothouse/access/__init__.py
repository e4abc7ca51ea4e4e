"""What a principal may do, and what it may see: permissions, scopes, roles and the one `authorize`."""
