"""Bring the database to this version's tables."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from pilothouse.settings import Settings
from pilothouse.state.engine import LOCK_CLASS, Lock, open_state, told

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"


async def migrate(settings: Settings) -> None:
    """Run every migration that is missing, in one transaction. Several processes may call it at once.

    Raises Unavailable where the database does not answer, and SettingsError.
    """
    state = open_state(settings)
    engine = state.engine.execution_options(begin="BEGIN IMMEDIATE")
    try:
        with told():
            async with engine.begin() as connection:
                await connection.run_sync(_upgrade)
    finally:
        await state.close()


def alembic_config() -> "Config":
    """Where the migrations are; for alembic's own commands too."""
    from alembic.config import Config  # noqa: PLC0415 - 60 ms that only the start and the tests need

    config = Config(attributes={"configure_logger": False})
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    return config


def _upgrade(connection: Connection) -> None:
    from alembic import command  # noqa: PLC0415 - as above

    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, {int(Lock.SCHEMA)})"))
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
