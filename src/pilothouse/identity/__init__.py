"""Who is asking: accounts, passwords, tokens, sessions, API keys, tickets."""

from pilothouse.identity.accounts import Account, AccountChange
from pilothouse.identity.api_keys import ApiKeyView
from pilothouse.identity.identity import Identity, Login
from pilothouse.identity.sessions import Client, RefreshReused, SessionView

__all__ = ["Account", "AccountChange", "ApiKeyView", "Client", "Identity", "Login", "RefreshReused", "SessionView"]
