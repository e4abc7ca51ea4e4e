"""One asynchronous engine for SQLite and PostgreSQL alike."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from pilothouse.core.errors import Unavailable
from pilothouse.settings import Settings, SettingsError

BUSY_MS = 10_000
"""How long a writer waits for another process's transaction on SQLite; each holds it for milliseconds."""
DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
LOCK_CLASS = 0x70696C6F
"""First half of our PostgreSQL advisory locks, so that they stay apart from another application's."""


class Lock(IntEnum):
    """What one writer at a time may change. SQLite has but one writer; PostgreSQL is told by an advisory lock."""

    ACCOUNTS = 1
    AUDIT = 2
    SIGN_IN = 3
    SCHEMA = 4


class State:
    """The database of users, sessions and audit. One for each process; safe for any number of tasks."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self._readers = async_sessionmaker(engine, expire_on_commit=False)
        writing = engine.execution_options(begin="BEGIN IMMEDIATE") if self.is_sqlite else engine
        self._writers = async_sessionmaker(writing, expire_on_commit=False)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session that only reads, from one moment of the database. Raises Unavailable where it is away."""
        try:
            async with self._readers() as session:
                yield session
        except (OperationalError, OSError) as error:
            raise unavailable(error) from error

    @asynccontextmanager
    async def write(self, lock: Lock) -> AsyncIterator[AsyncSession]:
        """A session that commits at the end, alone among those with the same `lock` over all processes.

        What it reads therefore still holds when it writes. Raises Unavailable.
        """
        try:
            async with self._writers() as session, session.begin():
                if not self.is_sqlite:
                    await session.execute(
                        text("SELECT pg_advisory_xact_lock(:class, :lock)"), {"class": LOCK_CLASS, "lock": int(lock)}
                    )
                yield session
        except (OperationalError, OSError) as error:
            raise unavailable(error) from error

    async def ping(self) -> None:
        """Raises Unavailable where the database does not answer."""
        async with self.read() as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Give all connections back."""
        await self.engine.dispose()


def unavailable(error: Exception) -> Unavailable:
    """A driver's error without its statement and values, which may hold what must not be shown."""
    reason = error.orig if isinstance(error, DBAPIError) else error
    return Unavailable(f"the database does not answer: {type(reason).__name__}", code="STATE_UNAVAILABLE")


def database_url(settings: Settings) -> URL:
    """DATABASE_URL with the driver this code runs on. Raises SettingsError."""
    wanted = "want a URL such as postgresql://user:password@host/pilothouse"
    try:
        url = make_url(settings.database)
    except ArgumentError:
        raise SettingsError(f"PILOTHOUSE_DATABASE_URL: got (hidden); {wanted}") from None
    backend = url.get_backend_name()
    if backend not in DRIVERS:
        raise SettingsError(f"PILOTHOUSE_DATABASE_URL: {backend} is not supported; {wanted}")
    return url.set(drivername=DRIVERS[backend])


def open_state(settings: Settings) -> State:
    """Connect lazily: no input or output happens here, but for making SQLite's directory. Raises SettingsError."""
    url = database_url(settings)
    if url.get_backend_name() == "sqlite":
        if url.database and url.database != ":memory:":
            Path(url.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        engine = create_async_engine(url, pool_size=4, max_overflow=4)
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return State(engine)
    return State(create_async_engine(url, pool_size=5, max_overflow=10, pool_pre_ping=True, pool_recycle=1800))


def _prepare_sqlite(connection: Any, _: ConnectionPoolEntry) -> None:
    # The driver's own notion of transactions is off: it would begin too late, and never with IMMEDIATE.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in (
        f"busy_timeout={BUSY_MS}",
        "journal_mode=WAL",
        "synchronous=FULL",  # an audit entry that was acknowledged survives the loss of power
        "foreign_keys=ON",
        "trusted_schema=OFF",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))
