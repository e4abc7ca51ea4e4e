"""Who is asking: accounts, passwords, tokens, sessions, API keys, tickets."""
