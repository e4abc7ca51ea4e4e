"""Live tails: one upstream for each distinct scoped query, fanned out to its followers, each batch encoded once."""

import asyncio
import contextlib
from collections import OrderedDict, deque
from dataclasses import dataclass, field

import msgspec
import structlog
from prometheus_client import Counter, Gauge

from pilothouse.backends.loki import LokiClient, Stream
from pilothouse.core.errors import InvalidRequest, PilothouseError
from pilothouse.core.times import SECOND, now_ns
from pilothouse.gateway.logs.lines import LogLine, place
from pilothouse.gateway.logs.reader import LogReader
from pilothouse.query import logql
from pilothouse.query.logql import ast

log = structlog.get_logger(__name__)
GATHER_SECONDS = 0.05
"""Lines of several sources that come within this time are merged by their own time."""
FRAME_LINES = 500
FOLLOWER_LINES = 10_000
"""Lines that wait for a slow client before the oldest go, and a gap is told."""
REMEMBERED = 20_000
"""Cursors of the newest lines, by which a refill after a break leaves out what was shown."""
REFILL_BEFORE = 30 * SECOND
"""Lines may arrive so much later than their own time: a refill looks back as far before the break."""
REFILL_LINES = 10_000
FIRST_RETRY, MOST_RETRY = 0.2, 5.0
LINGER_SECONDS = 5.0
"""An upstream without followers is kept so long: a reload of the page comes back to it."""

TAILS = Gauge("pilothouse_tails", "Upstream tails that are open.")
SKIPPED = Counter("pilothouse_tail_lines_skipped", "Lines that a slow client did not get live.")


class Batch:
    """Lines that go out together; encoded when the first follower sends them."""

    def __init__(self, lines: list[LogLine]) -> None:
        self.lines = lines
        self._frame: bytes | None = None

    @property
    def frame(self) -> bytes:
        """The frame for clients."""
        if self._frame is None:
            self._frame = frame_of(self.lines)
        return self._frame


def frame_of(lines: list[LogLine]) -> bytes:
    """`{"type": "lines", "lines": […]}`."""
    return msgspec.json.encode({"type": "lines", "lines": lines})


@dataclass(eq=False, slots=True)
class Follower:
    """One client's queue. Where it is full the oldest lines go, and the next frame tells of the gap."""

    batches: "deque[Batch]" = field(default_factory=deque)
    waiting: int = 0
    skipped: int = 0
    skipped_from: str = ""
    skipped_to: str = ""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    failure: PilothouseError | None = None

    def offer(self, batch: Batch) -> None:
        """Queue a batch."""
        self.batches.append(batch)
        self.waiting += len(batch.lines)
        while self.waiting > FOLLOWER_LINES and len(self.batches) > 1:
            lost = self.batches.popleft()
            self.waiting -= len(lost.lines)
            self.skipped += len(lost.lines)
            self.skipped_from = self.skipped_from or lost.lines[0].timestamp
            self.skipped_to = lost.lines[-1].timestamp
            SKIPPED.inc(len(lost.lines))
        self.arrived.set()

    def fail(self, error: PilothouseError) -> None:
        """The upstream can't go on."""
        self.failure = error
        self.arrived.set()

    def gap(self) -> bytes | None:
        """The frame that tells what was skipped, once."""
        if not self.skipped:
            return None
        frame = msgspec.json.encode(
            {
                "type": "gap",
                "from": self.skipped_from,
                "to": self.skipped_to,
                "dropped": self.skipped,
                "reason": "this client was too slow",
            }
        )
        self.skipped, self.skipped_from, self.skipped_to = 0, "", ""
        return frame


class Tail:
    """One upstream and its followers."""

    def __init__(self, loki: LokiClient, query: ast.LogQuery) -> None:
        self._loki = loki
        self._query = query
        self._text = logql.format(query)
        self._followers: set[Follower] = set()
        self._shown: OrderedDict[str, None] = OrderedDict()
        self.connected = asyncio.Event()
        self.task = asyncio.create_task(self._run())
        self.idle_since = 0.0

    def follow(self) -> Follower:
        """A new follower; it gets every batch from now on."""
        follower = Follower()
        self._followers.add(follower)
        return follower

    def leave(self, follower: Follower) -> None:
        """No more batches for this one."""
        self._followers.discard(follower)
        self.idle_since = asyncio.get_running_loop().time()

    @property
    def is_idle(self) -> bool:
        """Whether nobody has followed for a while."""
        return not self._followers and asyncio.get_running_loop().time() - self.idle_since > LINGER_SECONDS

    async def _run(self) -> None:
        delay = FIRST_RETRY
        broke_at: int | None = None
        with TAILS.track_inprogress():
            while True:
                try:
                    await self._stream(broke_at)
                except InvalidRequest as error:
                    for follower in self._followers:
                        follower.fail(error)
                    return
                except PilothouseError as error:
                    log.warning("a tail broke off and is taken up again", query=self._text, error=error.message)
                if self.connected.is_set():
                    delay, broke_at = FIRST_RETRY, now_ns()
                    self.connected.clear()
                await asyncio.sleep(delay)
                delay = min(delay * 2, MOST_RETRY)

    async def _stream(self, broke_at: int | None) -> None:
        """Read the upstream until it breaks, which raises; what it sends goes out every GATHER_SECONDS."""
        pending: list[Stream] = []
        opened = asyncio.Event()

        async def read() -> None:
            async for streams, dropped in self._loki.tail(self._text, start=now_ns(), opened=opened):
                pending.extend(streams)
                if dropped:
                    pending.extend(await self._missed(now_ns()))

        reader = asyncio.create_task(read())
        try:
            while not reader.done():
                if opened.is_set() and not self.connected.is_set():
                    if broke_at is not None:
                        self._publish(await self._missed(broke_at))
                    self.connected.set()
                await asyncio.wait({reader}, timeout=GATHER_SECONDS)
                taken, pending[:] = pending[:], []
                if taken:
                    self._publish(taken)
            await reader
        finally:
            reader.cancel()

    async def _missed(self, broke_at: int) -> list[Stream]:
        """What came while the upstream was away, with some of before, which is known by its cursors."""
        return await self._loki.streams(
            self._text, start=broke_at - REFILL_BEFORE, end=now_ns() + SECOND, limit=REFILL_LINES, forward=True
        )

    def _publish(self, streams: list[Stream]) -> None:
        fresh = [one.line for one in place(streams, forward=True) if one.line.cursor not in self._shown]
        for line in fresh:
            self._shown[line.cursor] = None
        while len(self._shown) > REMEMBERED:
            self._shown.popitem(last=False)
        for at in range(0, len(fresh), FRAME_LINES):
            batch = Batch(fresh[at : at + FRAME_LINES])
            for follower in self._followers:
                follower.offer(batch)

    async def close(self) -> None:
        """End the upstream."""
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


class Tails:
    """The tails of one gateway process, by their scoped query."""

    def __init__(self, loki: LokiClient) -> None:
        self._loki = loki
        self._tails: dict[str, Tail] = {}

    async def of(self, query: ast.LogQuery) -> Tail:
        """The tail of a query, begun where there is none."""
        for known, old in tuple(self._tails.items()):
            if old.is_idle or old.task.done():
                del self._tails[known]
                await old.close()
        text = logql.format(query)
        tail = self._tails.get(text)
        if tail is None:
            tail = self._tails[text] = Tail(self._loki, query)
        return tail

    def reader(self, query: ast.LogQuery) -> LogReader:
        """What is stored of a query."""
        return LogReader(self._loki, query)

    async def close(self) -> None:
        """End all."""
        for tail in self._tails.values():
            await tail.close()
