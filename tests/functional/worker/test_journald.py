"""A real systemd-journald, in a mount namespace of its own, is read by a real worker inside it."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from tests.functional.store.conftest import StoreProcess
from tests.functional.worker.conftest import WorkerProcess, settled, until

MakeWorker = Callable[..., Awaitable[WorkerProcess]]
JOURNALD = "/lib/systemd/systemd-journald"
NAMESPACE = """
mount --make-rprivate / && mkdir -p /var/log/journal
mount --bind "$0/run" /run && mount --bind "$0/journal" /var/log/journal
touch "$0/made"
exec sleep 600
"""
SHOP = '{service_name="shop"}'


class Journald:
    """The journal of a namespace in which /run and /var/log/journal are directories of the test's own."""

    def __init__(self, where: Path) -> None:
        self.where = where
        for name in ("run", "journal"):
            (where / name).mkdir(parents=True)
        self.namespace = subprocess.Popen(["unshare", "--mount", "sh", "-c", NAMESPACE, str(where)])
        self.process: subprocess.Popen[bytes] | None = None
        wait_for(where / "made")
        self.start()

    @property
    def inside(self) -> tuple[str, ...]:
        """What runs a command in the namespace."""
        return ("nsenter", f"--target={self.namespace.pid}", "--mount")

    def start(self) -> None:
        self.process = subprocess.Popen([*self.inside, JOURNALD], stderr=subprocess.DEVNULL)
        wait_for(self.where / "run/systemd/journal/socket")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        (self.where / "run/systemd/journal/socket").unlink(missing_ok=True)

    def close(self) -> None:
        for process in (self.process, self.namespace):
            process.terminate()
            process.wait(30)

    def log(self, message: bytes, **fields: str) -> None:
        """One entry, by journald's own protocol."""
        given = {"SYSLOG_IDENTIFIER": "shop", **fields}
        text = b"".join(f"{name}={value}\n".encode() for name, value in given.items())
        text += b"MESSAGE\n" + struct.pack("<Q", len(message)) + message + b"\n"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as client:
            client.sendto(text, str(self.where / "run/systemd/journal/socket"))

    def run(self, *command: str) -> str:
        return subprocess.run([*self.inside, *command], check=True, capture_output=True, text=True).stdout


def wait_for(path: Path) -> None:
    until_ = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < until_, f"{path} did not come"
        time.sleep(0.02)


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[Journald]:
    one = Journald(tmp_path / "j")
    yield one
    one.close()
    shutil.rmtree(tmp_path / "j", ignore_errors=True)


def followers(journald: Journald) -> list[int]:
    """The journalctls that run in the namespace."""
    ours = (Path("/proc") / str(journald.namespace.pid) / "ns/mnt").readlink()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (process / "ns/mnt").readlink() == ours and b"journalctl" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


async def worker_inside(make_worker: MakeWorker, journald: Journald) -> WorkerProcess:
    return await make_worker(JOURNAL="true", inside=journald.inside)


async def test_entries_of_all_kinds(journald: Journald, store: StoreProcess, make_worker: MakeWorker) -> None:
    """What was there and what comes, with level, unit and identifier; text that is no UTF-8, in lines, or very long."""
    journald.log(b"before", PRIORITY="3")
    worker = await worker_inside(make_worker, journald)
    await settled(store, SHOP, ["before"])
    journald.log(b"caf\xe9 \xff", PRIORITY="6")
    journald.log("two\nlines €".encode(), PRIORITY="7")
    journald.log(b"z" * 50_000, PRIORITY="4")
    journald.log(b"of a unit", UNIT="web@1.service", SYSLOG_IDENTIFIER="nginx")
    journald.log(b"whoever", SYSLOG_IDENTIFIER="n" * 3000)
    await settled(store, SHOP, ["before", "caf\\xe9 \\xff", "two\nlines €", "z" * 50_000], ordered=True)
    found = {text[:3]: labels for labels, _, text in await store.lines(SHOP)}
    assert {labels["host"] for labels in found.values()} == {"here"}
    assert [found[text]["detected_level"] for text in ("bef", "caf", "two", "zzz")] == [
        "error",
        "info",
        "debug",
        "warn",
    ]
    assert found["bef"]["identifier"] == "shop"
    assert found["bef"]["transport"] == "journal"
    await settled(store, '{service_name="web@1"}', ["of a unit"])
    await settled(store, f'{{service_name="{"n" * 200}"}}', ["whoever"])
    figures = await worker.figures()
    assert figures["pilothouse_worker_journald_available"] == 1
    assert figures['pilothouse_worker_lines_total{source="journald"}'] >= 6
    assert figures['pilothouse_worker_bytes_total{source="journald"}'] > 50_000
    assert 0 <= figures['pilothouse_worker_lag_seconds{source="journald"}'] < 60


async def test_nothing_is_lost_and_nothing_twice(
    journald: Journald, store: StoreProcess, make_worker: MakeWorker
) -> None:
    """Each entry exactly once and in order, while worker, store, journalctl and journald die and files are rotated."""
    worker = await worker_inside(make_worker, journald)
    written: list[str] = []
    done = asyncio.Event()
    may_write = asyncio.Lock()

    async def write() -> None:
        while not done.is_set():
            async with may_write:
                for _ in range(10):
                    written.append(f"entry {len(written)}")
                    await asyncio.to_thread(journald.log, written[-1].encode())
            await asyncio.sleep(0.02)

    writing = asyncio.create_task(write())
    await asyncio.sleep(1)
    for _ in range(3):
        await worker.restart()
        await asyncio.sleep(0.5)
    journald.run("journalctl", "--rotate")
    reading = followers(journald)
    assert reading
    for pid in reading:
        os.kill(pid, signal.SIGKILL)

    async def told() -> None:
        assert "journalctl ended and is started again" in worker.said()

    await until(told)
    await store.kill()
    await asyncio.sleep(1)
    await store.start()
    await worker.end()
    journald.run("journalctl", "--rotate")
    await asyncio.sleep(0.5)
    await worker.start()
    async with may_write:
        await asyncio.to_thread(journald.stop)
        await asyncio.to_thread(journald.start)
    await asyncio.sleep(1)
    done.set()
    await writing
    assert len(written) > 500
    await settled(store, SHOP, written, ordered=True)

    async def alone() -> None:
        assert len(followers(journald)) == 1

    journald.log(b"the last")  # a journalctl whose reader is gone ends at the latest when it writes
    await until(alone)


async def test_a_cursor_of_another_journal(journald: Journald, store: StoreProcess, make_worker: MakeWorker) -> None:
    """A cursor that journalctl does not take does not stop the source: it reads on by time, nothing twice."""
    worker = await worker_inside(make_worker, journald)
    journald.log(b"one")
    await settled(store, SHOP, ["one"])
    await worker.end()
    path = store.data / "positions" / "journald.json"
    position = json.loads(path.read_text())
    position["journald"]["cursor"] = "nonsense"
    path.write_text(json.dumps(position))
    journald.log(b"two")
    await worker.start()
    await settled(store, SHOP, ["one", "two"], ordered=True)


async def test_no_journal_here(store: StoreProcess, tmp_path: Path, make_worker: MakeWorker) -> None:
    """Where there is no journalctl the worker says so and does the rest of its work."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "app.log").write_text("heard\n")
    worker = await make_worker(
        JOURNAL="true", LOG_FILES=f"app={tmp_path}/app.log", inside=("env", f"PATH={tmp_path}/bin")
    )
    await settled(store, '{service_name="app"}', ["heard"])
    assert (await worker.figures())["pilothouse_worker_journald_available"] == 0
    assert "journald is not collected" in worker.said()
