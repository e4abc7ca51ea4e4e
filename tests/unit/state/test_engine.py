"""The state on both databases."""

import asyncio
import contextlib

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, select, text, update

from pilothouse.core.errors import InvalidRequest, StorageFull, Unavailable
from pilothouse.settings import SettingsError, load
from pilothouse.state import Lock, migrate, open_state
from pilothouse.state.migrate import alembic_config
from pilothouse.state.models import Base, User, Version


async def test_migrations_make_exactly_the_tables_of_the_models(state):
    """What the migrations build and what the code reads are the same: no migration was forgotten."""
    async with state.engine.connect() as connection:
        differences = await connection.run_sync(
            lambda c: compare_metadata(MigrationContext.configure(c), Base.metadata)
        )
        tables = await connection.run_sync(lambda c: set(inspect(c).get_table_names()))
    assert differences == []
    assert tables == set(Base.metadata.tables) | {"alembic_version"}


async def test_several_processes_may_migrate_at_once(settings):
    """Each of three that start together returns with the tables in place."""
    await asyncio.gather(*(migrate(settings) for _ in range(3)))
    state = open_state(settings)
    async with state.read() as session:
        assert await session.scalar(select(Version.number)) == 0
    await state.close()


def test_the_migrations_are_where_the_package_says():
    """The wheel carries them beside the code, so that a start needs no source tree."""
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == ["0001"]


async def test_writers_take_turns_and_lose_nothing(settings, state):
    """Two engines that add to one number a hundred times each come to two hundred: no update is lost."""
    other = open_state(settings)

    async def add(one) -> None:
        for _ in range(50):
            async with one.write(Lock.ACCOUNTS) as session:
                number = await session.scalar(select(Version.number))
                await session.execute(update(Version).values(number=number + 1))

    await asyncio.gather(add(state), add(state), add(other), add(other))
    async with state.read() as session:
        assert await session.scalar(select(Version.number)) == 200
    await other.close()


async def test_a_failed_write_leaves_no_trace(state):
    """What raises inside of write() is rolled back as a whole."""

    async def fail() -> None:
        async with state.write(Lock.ACCOUNTS) as session:
            await session.execute(update(Version).values(number=7))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    async with state.read() as session:
        assert await session.scalar(select(Version.number)) == 0


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
async def test_sqlite_is_durable_and_checks_references(state):
    """WAL with full synchronisation, foreign keys on."""
    async with state.read() as session:
        assert await session.scalar(text("PRAGMA journal_mode")) == "wal"
        assert await session.scalar(text("PRAGMA synchronous")) == 2
        assert await session.scalar(text("PRAGMA foreign_keys")) == 1


async def test_a_database_that_is_away_is_said_to_be_away(tmp_path):
    """No stack of the driver, no password of the URL: 503 with a code."""
    settings = load({}, data_dir=tmp_path, database_url=f"postgresql://me:hunter2@/x?host={tmp_path}")
    state = open_state(settings)
    with pytest.raises(Unavailable) as caught:
        await state.ping()
    assert caught.value.code == "STATE_UNAVAILABLE"
    assert "hunter2" not in str(caught.value)
    with pytest.raises(Unavailable):
        await migrate(settings)
    await state.close()


@pytest.mark.parametrize("url", ["mysql://x/y", "not a url", "oracle://a:hunter2@b/c"])
def test_an_unknown_database_stops_the_start_by_name(tmp_path, url):
    """The setting is named, what it wants is said, and its secret is not shown."""
    with pytest.raises(SettingsError, match="PILOTHOUSE_DATABASE_URL") as caught:
        open_state(load({}, data_dir=tmp_path, database_url=url))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
async def test_text_that_can_not_be_kept_is_never_an_error_of_ours(state, name):
    """SQLite takes a NUL and PostgreSQL does not, neither takes half a surrogate: found nothing, or 400."""
    found = None
    with contextlib.suppress(InvalidRequest):
        async with state.read() as session:
            found = (await session.execute(select(User).where(User.name_key == name))).first()
    assert found is None


async def test_a_full_disk_is_told_as_such(tmp_path):
    """507, and what was there before stays readable."""
    settings = load({}, data_dir=tmp_path)
    await migrate(settings)
    state = open_state(settings)

    async def fill() -> None:
        async with state.write(Lock.ACCOUNTS) as session:
            pages = await session.scalar(text("PRAGMA page_count"))
            await session.execute(text(f"PRAGMA max_page_count = {pages}"))
            await session.execute(text("CREATE TABLE big AS SELECT zeroblob(10000000)"))

    with pytest.raises(StorageFull):
        await fill()
    async with state.read() as session:
        assert await session.scalar(select(Version.number)) == 0
    await state.close()


async def test_a_directory_that_is_no_directory_is_told(tmp_path):
    """With the database's own words."""
    (tmp_path / "state.db").mkdir()
    with pytest.raises(Unavailable, match="unable to open database file"):
        await migrate(load({}, data_dir=tmp_path))


async def test_the_database_is_ours_alone(tmp_path):
    """0600, its write-ahead log too."""
    settings = load({}, data_dir=tmp_path)
    await migrate(settings)
    state = open_state(settings)
    async with state.write(Lock.ACCOUNTS) as session:
        await session.execute(update(Version).values(number=1))
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("state.db*")} == {0o600}
    await state.close()
