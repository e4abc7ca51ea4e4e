"""What several suites need: settings in a temporary directory, and the state on SQLite and on PostgreSQL."""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from pilothouse.settings import Settings, load
from pilothouse.state import State, migrate, open_state

POSTGRES_BIN = next(
    (
        path
        for path in (*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True),)
        if (path / "initdb").exists()
    ),
    None,
)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A PostgreSQL of its own on a unix socket in a temporary directory; gives that directory."""
    assert POSTGRES_BIN is not None, "PostgreSQL is not installed: scripts/test-packages installs it"
    where = Path(tempfile.mkdtemp(prefix="pilothouse-pg-"))
    # PostgreSQL refuses to run as root; Debian's package brings this user.
    account = pwd.getpwnam("postgres") if os.getuid() == 0 else None
    identity = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []} if account else {}
    if account:
        os.chown(where, account.pw_uid, account.pw_gid)
    data = where / "data"
    subprocess.run(
        [POSTGRES_BIN / "initdb", "-D", data, "-U", "pilothouse", "--auth=trust", "-E", "UTF8", "--no-sync"],
        check=True, capture_output=True, cwd=where, **identity,
    )  # fmt: skip
    options = {"listen_addresses": "", "unix_socket_directories": where, "fsync": "off"}
    with (where / "log").open("wb") as log:
        server = subprocess.Popen(
            [POSTGRES_BIN / "postgres", "-D", data, *(f"-c{name}={value}" for name, value in options.items())],
            stdout=log, stderr=log, cwd=where, **identity,
        )  # fmt: skip
    try:
        until = time.monotonic() + 30
        while subprocess.run([POSTGRES_BIN / "pg_isready", "-q", "-h", where], check=False).returncode:
            assert server.poll() is None, (where / "log").read_text()
            assert time.monotonic() < until, "PostgreSQL did not start"
            time.sleep(0.05)
        yield str(where)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)
        shutil.rmtree(where, ignore_errors=True)


_numbers = itertools.count()


@pytest.fixture(params=["sqlite", "postgres"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Settings on a fresh data directory and an empty database: each test runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return load({}, data_dir=tmp_path / "data")
    where = request.getfixturevalue("postgres")
    name = f"t{next(_numbers)}"
    subprocess.run([POSTGRES_BIN / "createdb", "-h", where, "-U", "pilothouse", name], check=True)
    return load({}, data_dir=tmp_path / "data", database_url=f"postgresql://pilothouse@/{name}?host={where}")


@pytest.fixture
async def state(settings: Settings) -> AsyncIterator[State]:
    """The migrated database of `settings`, open."""
    await migrate(settings)
    opened = open_state(settings)
    yield opened
    await opened.close()
