"""A real store and a real worker, each in a process of its own, and real files, journals and containers."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

import aiohttp
import pytest
from tests.functional.store.conftest import StoreProcess

PATIENCE = 60
"""Seconds that anything may take before a test fails: none measures time."""


class WorkerProcess:
    """`python -m pilothouse worker` on the store's directory, and a client of it."""

    def __init__(self, data: Path, *, inside: Sequence[str] = (), **settings: str) -> None:
        self.data = data
        given = {"DATA_DIR": str(data), "DOCKER": "false", "JOURNAL": "false", "HOST_NAME": "here", **settings}
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PILOTHOUSE_")},
            **{f"PILOTHOUSE_{name}": value for name, value in given.items()},
        }
        self.command = (*inside, sys.executable, "-m", "pilothouse", "worker")
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start, and wait until it is ready."""
        with (self.data.parent / "worker.stderr").open("ab") as said:
            self.process = await asyncio.create_subprocess_exec(
                *self.command, env=self.environment, cwd=self.data.parent, stderr=said
            )
        until = time.monotonic() + PATIENCE
        while True:
            assert self.process.returncode is None, self.said()
            assert time.monotonic() < until, self.said()
            try:
                await self.text("/ready")
                return
            except aiohttp.ClientError:
                await asyncio.sleep(0.02)

    async def end(self, how: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal and wait for the end; gives the exit status."""
        self.process.send_signal(how)
        status = await asyncio.wait_for(self.process.wait(), PATIENCE)
        self.process = None
        return status

    async def stop(self) -> None:
        """End it if it runs."""
        if self.process is not None and self.process.returncode is None:
            assert await self.end(signal.SIGTERM) == 0, self.said()

    async def restart(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it and start it again."""
        await self.end(how)
        await self.start()

    async def text(self, path: str) -> str:
        """The text of an answer."""
        socket = aiohttp.UnixConnector(str(self.data / "run" / "worker.sock"))
        async with aiohttp.ClientSession(connector=socket) as http, http.get(f"http://worker{path}") as answer:
            assert answer.status == 200
            return await answer.text()

    async def figures(self) -> dict[str, float]:
        """What /metrics says, by name with labels."""
        lines = (line for line in (await self.text("/metrics")).splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}

    def said(self) -> str:
        """Its log, which is on stderr too."""
        return (self.data.parent / "worker.stderr").read_text()


@pytest.fixture
async def store() -> AsyncIterator[StoreProcess]:
    """A running store in a temporary directory, whose parent is the test's own."""
    where = Path(tempfile.mkdtemp(prefix="ph-"))
    running = StoreProcess(where / "data")
    await running.start()
    yield running
    await running.stop()
    shutil.rmtree(where)


@pytest.fixture
def logs(store: StoreProcess) -> Path:
    """A directory for log files."""
    made = store.data.parent / "var"
    made.mkdir()
    return made


@pytest.fixture
async def make_worker(store: StoreProcess) -> AsyncIterator[Callable[..., Awaitable[WorkerProcess]]]:
    """Starts a worker with settings, in front of the store."""
    made: list[WorkerProcess] = []

    async def make(**settings: str) -> WorkerProcess:
        inside = settings.pop("inside", ())
        made.append(WorkerProcess(store.data, inside=inside, **settings))
        await made[-1].start()
        return made[-1]

    yield make
    for one in made:
        await one.stop()
        assert "Traceback" not in one.said(), one.said()


async def until(check: Callable[[], Awaitable[object]], *, seconds: float = PATIENCE) -> None:
    """Wait until `check` raises no AssertionError any more."""
    end = time.monotonic() + seconds
    while True:
        with contextlib.suppress(AssertionError):
            await check()
            return
        if time.monotonic() > end:
            await check()
            return
        await asyncio.sleep(0.1)


async def settled(store: StoreProcess, query: str, lines: Sequence[str], *, ordered: bool = False) -> None:
    """Wait until the store has `lines`, each exactly once, and no other; `ordered`: in this order."""

    async def check() -> None:
        counts = await store.count_all(query)
        twice = {line: count for line, count in counts.items() if count > 1}
        missing, more = set(lines) - set(counts), set(counts) - set(lines)
        assert (len(missing), sorted(missing)[:3]) == (0, []), f"{len(counts)} of {len(lines)}"
        assert (len(more), sorted(more)[:3]) == (0, [])
        assert not twice, sorted(twice.items())[:5]

    await until(check)
    # What comes twice may come late.
    await asyncio.sleep(0.7)
    await check()
    if ordered:
        assert await in_order(store, query) == list(lines)


async def in_order(store: StoreProcess, query: str) -> list[str]:
    """Every line by time, however many they are."""
    found: list[tuple[int, str]] = []
    start, page = time.time_ns() - 24 * 3600 * 10**9, 5000
    while True:
        status, answer = await store.get(
            "/loki/api/v1/query_range", query=query, limit=str(page), direction="forward",
            start=str(start), end=str(time.time_ns() + 3600 * 10**9),
        )  # fmt: skip
        assert status == 200, answer
        new = [(int(ts), line) for stream in answer["data"]["result"] for ts, line in stream["values"]]
        # Lines of one time may be on either side of a page's end: the next page begins with that time.
        kept = sorted(new, key=lambda one: one[0])
        start = kept[-1][0] if kept else start
        found += kept if len(new) < page else [one for one in kept if one[0] < start]
        if len(new) < page:
            return [line for _, line in found]
