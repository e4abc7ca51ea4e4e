"""Pushes the corpus to a real store over its socket, each push acknowledged when it is on disk."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bench.corpus import Corpus

PUSHERS = 4
START_SECONDS = 30
GOAL_LINES, GOAL_DISK, GOAL_MEMORY = 123_000, 49_000_000, 350_000_000
"""Lines a second, bytes on disk for a million lines with their index, bytes of memory after them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RunningStore:
    """A store process and where it listens."""

    pid: int
    socket: Path
    logs: Path

    def session(self) -> aiohttp.ClientSession:
        """A client of it; its base is `http://store`."""
        return aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self.socket)))

    def memory(self) -> tuple[int, int]:
        """Resident bytes now, and the most there were."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        now, most = (int(re.search(rf"{name}:\s+(\d+)", status)[1]) * 1024 for name in ("VmRSS", "VmHWM"))
        return now, most

    def disk(self) -> int:
        """Bytes of all it has written: segments, indexes, manifest, log."""
        return sum(path.stat().st_size for path in self.logs.rglob("*") if path.is_file())


@dataclass(frozen=True, kw_only=True, slots=True)
class Ingested:
    """What a run reached. Seconds, bytes."""

    lines: int
    push_seconds: float
    settle_seconds: float
    disk_flushed: int
    disk_merged: int
    memory_pushed: int
    memory_settled: int
    memory_most: int

    @property
    def rate(self) -> float:
        """Acknowledged lines a second."""
        return self.lines / self.push_seconds


@contextlib.asynccontextmanager
async def running_store() -> AsyncIterator[RunningStore]:
    """A store in a temporary directory on this disk, for as long as the block runs."""
    where = Path(tempfile.mkdtemp(prefix="pilothouse-bench-", dir="/var/tmp"))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PILOTHOUSE_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pilothouse", "store", env=environment | {"PILOTHOUSE_DATA_DIR": str(where)},
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    store = RunningStore(pid=process.pid, socket=where / "run" / "store.sock", logs=where / "logs")
    try:
        async with store.session() as session:
            await _ready(session)
        yield store
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()
        shutil.rmtree(where)


async def _ready(session: aiohttp.ClientSession) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with contextlib.suppress(aiohttp.ClientError):
            async with session.get("http://store/ready") as answer:
                if answer.status == 200:
                    return
        await asyncio.sleep(0.02)
    raise TimeoutError("the store did not become ready")


async def ingest(store: RunningStore, corpus: Corpus) -> Ingested:
    """Push everything from PUSHERS connections, then flush and merge. Raises RuntimeError where a push is refused."""
    async with store.session() as session:
        waiting = iter(corpus.bodies)

        async def push() -> None:
            for body in waiting:
                await _post(session, "/loki/api/v1/push", body, corpus.content_type)

        began = time.perf_counter()
        await asyncio.gather(*(push() for _ in range(PUSHERS)))
        pushed = time.perf_counter()
        memory_pushed = store.memory()[0]
        await _post(session, "/flush")
        disk_flushed = store.disk()
        await _post(session, "/compact")
        await asyncio.sleep(0.5)
        now, most = store.memory()
        return Ingested(
            lines=corpus.lines, push_seconds=pushed - began, settle_seconds=time.perf_counter() - pushed - 0.5,
            disk_flushed=disk_flushed, disk_merged=store.disk(), memory_pushed=memory_pushed, memory_settled=now,
            memory_most=most,
        )  # fmt: skip


async def _post(session: aiohttp.ClientSession, path: str, body: bytes = b"", kind: str = "text/plain") -> None:
    async with session.post(f"http://store{path}", data=body, headers={"Content-Type": kind}) as answer:
        if answer.status != 204:
            raise RuntimeError(f"{path}: {answer.status} {(await answer.text())[:200]}")


def report(found: Ingested) -> list[str]:
    """Lines for a person, ours beside the goal."""
    scale = found.lines / 1_000_000
    return [
        f"push, durable          {found.rate:>12,.0f} lines/s    goal > {GOAL_LINES:,}",
        f"disk after flush       {found.disk_flushed / scale / 1e6:>12.1f} MB a million lines",
        f"disk after merge       {found.disk_merged / scale / 1e6:>12.1f} MB         goal <= {GOAL_DISK / 1e6:.0f}",
        f"memory after push      {found.memory_pushed / 1e6:>12.0f} MB         goal < {GOAL_MEMORY / 1e6:.0f}",
        f"memory after merge     {found.memory_settled / 1e6:>12.0f} MB         goal < {GOAL_MEMORY / 1e6:.0f}",
        f"memory at most         {found.memory_most / 1e6:>12.0f} MB",
        f"flush and merge        {found.settle_seconds:>12.1f} s",
    ]
