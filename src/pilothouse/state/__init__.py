"""The database: models, engine, sessions, migrations."""

from pilothouse.state.engine import Lock, State, open_state
from pilothouse.state.migrate import migrate

__all__ = ["Lock", "State", "migrate", "open_state"]
