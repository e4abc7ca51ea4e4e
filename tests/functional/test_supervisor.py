"""`pilothouse serve` as a user runs it: one command, real processes, real signals."""

import os
import re
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.served import PASSWORD, Served


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    running: list[Served] = []

    def start(name: str = "data", **settings: str) -> Served:
        running.append(Served(tmp_path / name, **settings))
        return running[-1]

    yield start
    for one in running:
        one.stop()


def test_one_command_starts_everything_and_says_how_to_get_in(serve):
    """It says where it listens and gives the one-time link; /ready answers; SIGTERM ends all with status 0."""
    served = serve()
    said = served.wait_for("/setup#token=")
    assert f"http://127.0.0.1:{served.port}" in said
    assert re.search(r"ready in \d+\.\d s", said)
    assert served.status("/ready") == 200
    pids = [one["pid"] for one in served.processes().values()]
    assert len(pids) == 3
    assert served.stop() == 0
    for pid in pids:
        assert not Path(f"/proc/{pid}").exists()


def test_with_a_password_given_there_is_no_link(serve):
    """ADMIN_PASSWORD makes the first administrator; no token is printed then."""
    served = serve(ADMIN_PASSWORD=PASSWORD)
    assert "token=" not in served.wait_for("ready in")
    assert "a quiet harbour" not in served.stderr()


@pytest.mark.parametrize("name", ["store", "gateway", "worker"])
def test_what_dies_is_started_again(serve, name):
    """kill -9 of any process: it comes back by itself, and the console with it."""
    served = serve(ADMIN_PASSWORD=PASSWORD)
    served.wait_for("ready in")
    before = served.processes()[name]["pid"]
    os.kill(before, signal.SIGKILL)
    served.until(lambda: served.processes()[name]["restarts"] == 1 and served.processes()[name]["pid"] != before)
    served.until(lambda: served.status("/ready") == 200)
    assert f"{name} ended (SIGKILL)" in served.stderr()


def test_nothing_outlives_a_killed_supervisor(serve):
    """kill -9 of the supervisor itself takes the processes along."""
    served = serve(ADMIN_PASSWORD=PASSWORD)
    served.wait_for("ready in")
    pids = [one["pid"] for one in served.processes().values()]
    served.process.kill()
    served.process.wait()
    served.until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def test_a_taken_port_is_said_before_anything_starts(serve):
    """The port is named, with the setting that changes it; nothing is left running."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        address = f"127.0.0.1:{holder.getsockname()[1]}"
        served = serve(LISTEN=address)
        assert served.process.wait(timeout=30) == 1
    assert f"can't listen on {address}" in served.stderr()
    assert "PILOTHOUSE_LISTEN" in served.stderr()
    assert not (served.data_dir / "run/processes.json").exists()


def test_two_on_one_directory_are_refused(serve):
    """The second says that another runs there, and leaves the first alone."""
    first = serve(ADMIN_PASSWORD=PASSWORD)
    first.wait_for("ready in")
    second = serve()
    assert second.process.wait(timeout=30) == 1
    assert "another Pilothouse runs on" in second.stderr()
    assert first.status("/ready") == 200


def test_a_wrong_setting_stops_the_start(serve):
    """Name, value and want, exit status 2, no stack trace."""
    served = serve(RETENTION="a while")
    assert served.process.wait(timeout=30) == 2
    assert served.stderr().startswith("pilothouse: PILOTHOUSE_RETENTION: got 'a while'; want a duration")
    assert "Traceback" not in served.stderr()
