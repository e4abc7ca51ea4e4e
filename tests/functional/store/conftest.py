"""A real store process on a unix socket, and what clients do with it."""

import asyncio
import io
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest

READY_SECONDS = 30


class StoreProcess:
    """`python -m pilothouse store` on a directory of its own, and a client of it."""

    def __init__(self, data: Path, **settings: str) -> None:
        self.data = data
        self.logs = data / "logs"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PILOTHOUSE_")},
            "PILOTHOUSE_DATA_DIR": str(data),
            **{f"PILOTHOUSE_{name.upper()}": value for name, value in settings.items()},
        }
        self.command = (sys.executable, "-m", "pilothouse", "store")
        self.process: asyncio.subprocess.Process | None = None
        self.http: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Start, and wait until it is ready."""
        self.process = await asyncio.create_subprocess_exec(
            *self.command, env=self.environment, cwd=self.data.parent,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await self._connect()
        until = time.monotonic() + READY_SECONDS
        while True:
            assert self.process.returncode is None, "the store ended before it was ready"
            assert time.monotonic() < until, "the store did not become ready"
            try:
                if (await self.get("/ready"))[0] == 200:
                    return
            except aiohttp.ClientError:
                await asyncio.sleep(0.02)

    async def _connect(self) -> None:
        if self.http is not None:
            await self.http.close()
        self.http = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self.data / "run" / "store.sock")))

    async def kill(self, how: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal and wait for the end; gives the exit status."""
        self.process.send_signal(how)
        status = await asyncio.wait_for(self.process.wait(), 30)
        self.process = None
        return status

    async def stop(self) -> None:
        """End whatever runs."""
        if self.process is not None and self.process.returncode is None:
            await self.kill(signal.SIGTERM)
        if self.http is not None:
            await self.http.close()

    async def get(self, path: str, **params: str) -> tuple[int, Any]:
        """Status and decoded JSON."""
        async with self.http.get(f"http://store{path}", params=params) as answer:
            return answer.status, await answer.json(content_type=None)

    async def text(self, path: str) -> str:
        """The text of an answer."""
        async with self.http.get(f"http://store{path}") as answer:
            return await answer.text()

    async def post(self, path: str, body: bytes, kind: str, **headers: str) -> tuple[int, bytes]:
        """Status and body."""
        sent = {"Content-Type": kind, **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with self.http.post(f"http://store{path}", data=io.BytesIO(body), headers=sent) as answer:
            return answer.status, await answer.read()

    async def push(self, labels: dict[str, str], values: list[list[Any]]) -> tuple[int, str]:
        """A JSON push of one stream; status and text."""
        body = json.dumps({"streams": [{"stream": labels, "values": values}]}).encode()
        status, answer = await self.post("/loki/api/v1/push", body, "application/json")
        return status, answer.decode()

    async def lines(self, query: str, *, limit: int = 5000) -> list[tuple[dict[str, str], int, str]]:
        """Every line that matches, of all times and oldest first: labels with metadata, time, line."""
        now = time.time_ns()
        status, answer = await self.get(
            "/loki/api/v1/query_range", query=query, limit=str(limit), direction="forward",
            start=str(now - 6 * 86_400 * 10**9), end=str(now + 3600 * 10**9),
        )  # fmt: skip
        assert status == 200, answer
        found = [
            (stream["stream"], int(ts), line) for stream in answer["data"]["result"] for ts, line in stream["values"]
        ]
        return sorted(found, key=lambda one: one[1])

    async def count(self, query: str) -> Counter[str]:
        """How often each line is there."""
        found = await self.lines(query)
        assert len(found) < 5000
        return Counter(line for _, _, line in found)

    async def count_all(self, query: str) -> Counter[str]:
        """How often each line is there, however many they are: page by page, lines of one time together."""
        seen: Counter[tuple[int, str]] = Counter()
        start, page = time.time_ns() - 3600 * 10**9, 5000
        while True:
            status, answer = await self.get(
                "/loki/api/v1/query_range", query=query, limit=str(page), direction="forward",
                start=str(start), end=str(time.time_ns() + 3600 * 10**9),
            )  # fmt: skip
            assert status == 200, answer
            found = [(int(ts), line) for stream in answer["data"]["result"] for ts, line in stream["values"]]
            if len(found) < page:
                seen.update(found)
                return Counter(line for _, line in seen.elements())
            # The next page begins with the last time of this one, whose lines may not all be in it.
            start = max(ts for ts, _ in found)
            seen.update(one for one in found if one[0] < start)


@pytest.fixture
def make_store() -> Callable[..., StoreProcess]:
    """Makes a store that is not running yet, in a directory of the caller's."""
    return StoreProcess


@pytest.fixture
async def store() -> AsyncIterator[StoreProcess]:
    """A running store in a temporary directory."""
    where = Path(tempfile.mkdtemp(prefix="ph-"))
    running = StoreProcess(where / "data")
    await running.start()
    yield running
    await running.stop()
    shutil.rmtree(where)
