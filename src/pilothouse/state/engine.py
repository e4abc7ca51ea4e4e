"""One asynchronous engine for SQLite and PostgreSQL alike."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from pilothouse.core.errors import InvalidRequest, PilothouseError, StorageFull, Unavailable
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
        with told():
            async with self._readers() as session:
                yield session

    @asynccontextmanager
    async def write(self, lock: Lock) -> AsyncIterator[AsyncSession]:
        """A session that commits at the end, alone among those with the same `lock` over all processes.

        What it reads therefore still holds when it writes. Raises Unavailable.
        """
        with told():
            async with self._writers() as session, session.begin():
                if not self.is_sqlite:
                    await session.execute(
                        text("SELECT pg_advisory_xact_lock(:class, :lock)"), {"class": LOCK_CLASS, "lock": int(lock)}
                    )
                yield session

    async def ping(self) -> None:
        """Raises Unavailable where the database does not answer."""
        async with self.read() as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Give all connections back."""
        await self.engine.dispose()


@contextmanager
def told() -> Iterator[None]:
    """Turn a driver's failure into what can be told, without its statement and values, which may hold secrets.

    Raises Unavailable, StorageFull, and InvalidRequest for text that the database can't hold.
    """
    try:
        yield
    except UnicodeEncodeError as error:
        raise unstorable() from error
    except (OperationalError, InterfaceError, sqlite3.Error, OSError) as error:
        raise unavailable(error) from error
    except DBAPIError as error:
        if str(getattr(error.orig, "sqlstate", "")).startswith("22"):  # PostgreSQL's class of data exceptions
            raise unstorable() from error
        raise


def unavailable(error: Exception) -> PilothouseError:
    """What a failure of the database means to a client: StorageFull or Unavailable."""
    reason = error.orig if isinstance(error, DBAPIError) else error
    if isinstance(reason, sqlite3.Error):  # its texts are fixed ones, without values
        if getattr(reason, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
            return StorageFull("the disk of the database is full: nothing was changed")
        return Unavailable(f"the database can't be used: {reason}", code="STATE_UNAVAILABLE")
    return Unavailable(f"the database does not answer ({type(reason).__name__})", code="STATE_UNAVAILABLE")


def unstorable() -> InvalidRequest:
    """For NULs and half surrogates."""
    return InvalidRequest("a value holds characters that can't be kept", code="INVALID_CHARACTERS")


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
            path = Path(url.database)
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(OSError):  # the first use of the database says what is wrong with it
                path.touch(mode=0o600)
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
        "synchronous=FULL",  # an audit entry that was acknowledged survives the loss of power
        "foreign_keys=ON",
        "trusted_schema=OFF",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))
