"""The database: models, engine, sessions, migrations."""

from pilothouse.state.engine import Lock, State, open_state
from pilothouse.state.migrate import is_current, migrate

__all__ = ["Lock", "State", "is_current", "migrate", "open_state"]
