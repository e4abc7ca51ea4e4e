"""Bring the database to this version's tables."""

import asyncio
import contextlib
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError, ProgrammingError

from pilothouse.settings import Settings
from pilothouse.state.engine import BUSY_MS, LOCK_CLASS, Lock, open_state, told

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
            if state.is_sqlite:
                await asyncio.to_thread(_keep_write_ahead_log, state.engine.url.database or "")
            async with engine.begin() as connection:
                await connection.run_sync(_upgrade)
    finally:
        await state.close()


def _keep_write_ahead_log(path: str) -> None:
    """Switch the file to WAL mode, for good. SQLite does not wait for others when it does that, so we do."""
    until = time.monotonic() + BUSY_MS / 1000
    with contextlib.closing(sqlite3.connect(path)) as connection:
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                    raise
                time.sleep(0.01)


async def is_current(settings: Settings) -> bool:
    """Whether the newest migration was run, told without loading what runs them."""
    newest = max(path.name[1:].partition("_")[0] for path in (MIGRATIONS / "versions").glob("r*.py"))
    state = open_state(settings)
    try:
        async with state.engine.connect() as connection:
            with contextlib.suppress(OperationalError, ProgrammingError):
                found = await connection.execute(text("SELECT version_num FROM alembic_version"))
                return bool(found.scalar_one_or_none() == newest)
        return False
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
