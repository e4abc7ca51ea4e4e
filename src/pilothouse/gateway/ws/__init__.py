"""WebSockets: live tails."""
