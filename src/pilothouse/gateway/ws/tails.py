"""Live tails: one upstream for each distinct scoped query, fanned out to all who follow it."""

import asyncio
import contextlib

import structlog
from prometheus_client import Gauge

from pilothouse.backends.loki import LokiClient
from pilothouse.core.cursor import Cursor
from pilothouse.core.errors import InvalidRequest, PilothouseError, UpstreamFailed
from pilothouse.core.times import MINUTE, SECOND, now_ns
from pilothouse.gateway.logs.asked import Span
from pilothouse.gateway.logs.lines import Placed, place
from pilothouse.gateway.logs.reader import LogReader
from pilothouse.gateway.ws.follower import MOST_WAITING, Follower
from pilothouse.gateway.ws.frames import MOST_LINES, Gap, Notice, batches
from pilothouse.gateway.ws.seen import Seen
from pilothouse.query import logql
from pilothouse.query.logql import ast

log = structlog.get_logger(__name__)
GATHER_SECONDS = 0.05
"""Lines of several sources that come within this time are merged by their own time, and go out together."""
FIRST_RETRY, MOST_RETRY = 0.1, 2.0
"""Seconds between attempts to take a broken tail up again."""
PATIENCE = 60.0
"""Seconds of attempts after which the followers are let go, with 4011. Their pages try again by themselves."""
REFILL_BEFORE = 30 * SECOND
"""Lines may arrive so much later than their own time: a refill looks back as far before the break."""
AHEAD = 10 * MINUTE
"""How far in the future a line's time may lie, as in Loki."""
MOST_REFILL = 100_000
"""Lines of one refill; a longer break leaves a gap, from which clients fetch what they want."""
MOST_HELD = 50_000
"""Live lines that wait for a refill to end."""
ROOM_SECONDS = 1.0
"""How long a refill waits at each page for its followers, that the slowest may not hold up the others for long."""
LINGER_SECONDS = 5.0
"""A tail without followers is kept so long: a reload of the page comes back to it."""
BACKEND_AWAY = "backend_away"

TAILS = Gauge("pilothouse_tails", "Upstream tails that are open.")


class Tail:
    """One upstream and its followers. `live` is set while all that the backend acknowledges will come."""

    def __init__(self, loki: LokiClient, query: ast.LogQuery) -> None:
        self._loki = loki
        self._text = logql.format(query)
        self._reader = LogReader(loki, query)
        self._followers: set[Follower] = set()
        self._seen = Seen()
        self._held: list[Placed] = []
        self._unheld: Gap | None = None
        self._flushing: asyncio.TimerHandle | None = None
        self._refilling = False
        self._well_at = 0
        self._lost = asyncio.Event()
        self._lingering: asyncio.TimerHandle | None = None
        self._began = 0
        self.live = asyncio.Event()
        self.task = asyncio.create_task(self._run())

    def follow(self) -> Follower:
        """A new follower; it gets everything from now on."""
        if self._lingering is not None:
            self._lingering.cancel()
            self._lingering = None
        follower = Follower()
        self._followers.add(follower)
        return follower

    def leave(self, follower: Follower) -> None:
        """Nothing more for this one."""
        self._followers.discard(follower)
        if not self._followers and self._lingering is None:
            self._lingering = asyncio.get_running_loop().call_later(LINGER_SECONDS, self.task.cancel)

    @property
    def is_over(self) -> bool:
        """Whether it has ended, or is about to."""
        return self.task.done() or self.task.cancelling() > 0

    async def close(self) -> None:
        """End the upstream."""
        if self._lingering is not None:
            self._lingering.cancel()
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task

    async def _run(self) -> None:
        delay, broke_at = FIRST_RETRY, asyncio.get_running_loop().time()
        with TAILS.track_inprogress():
            while True:
                try:
                    await self._stream()
                except InvalidRequest as error:
                    self._fail(error)
                    return
                except PilothouseError as error:
                    now = asyncio.get_running_loop().time()
                    if self.live.is_set():
                        self.live.clear()
                        delay, broke_at = FIRST_RETRY, now
                        log.warning("a tail broke off and is taken up again", query=self._text, error=error.message)
                        self._tell(error)
                    elif now - broke_at > PATIENCE:
                        self._fail(error)
                        return
                except Exception as error:
                    log.exception("a tail failed", query=self._text)
                    self._fail(PilothouseError("something went wrong here; the log says what"))
                    raise error from None
                await asyncio.sleep(delay)
                delay = min(delay * 2, MOST_RETRY)

    async def _stream(self) -> None:
        """Follow the backend until it breaks off, which raises."""
        opened = asyncio.Event()
        self._refilling = True
        reading = asyncio.create_task(self._read(opened))
        opening, losing = asyncio.create_task(opened.wait()), None
        try:
            await asyncio.wait({reading, opening}, return_when=asyncio.FIRST_COMPLETED)
            if opened.is_set():
                if self._well_at:
                    await self._refill(self._well_at)
                self._well_at = now_ns()
                self._resume()
                self.live.set()
            while not reading.done():
                losing = asyncio.create_task(self._lost.wait())
                await asyncio.wait({reading, losing}, return_when=asyncio.FIRST_COMPLETED)
                if self._lost.is_set():
                    self._lost.clear()
                    await self._refill(self._well_at)
                    self._resume()
            await reading
        finally:
            for task in filter(None, (reading, opening, losing)):
                task.cancel()
            await asyncio.gather(*filter(None, (reading, opening, losing)), return_exceptions=True)
            if self._flushing is not None:
                self._flushing.cancel()
                self._flushing = None

    async def _read(self, opened: asyncio.Event) -> None:
        start = now_ns()
        self._began = self._began or start
        async for streams, dropped in self._loki.tail(self._text, start=start, opened=opened):
            self._hold(place(streams, forward=True))
            if dropped:
                # The backend could not keep up with us: what it left out is in its storage.
                self._refilling = True
                self._lost.set()
            elif not self._refilling:
                self._well_at = now_ns()

    def _hold(self, placed: list[Placed]) -> None:
        self._held += placed
        if self._refilling:
            if (excess := len(self._held) - MOST_HELD) > 0:
                left, self._held = self._held[:excess], self._held[excess:]
                gap = Gap(
                    start=min(one.cursor.ts for one in left), end=max(one.cursor.ts for one in left),
                    dropped=excess, reason=BACKEND_AWAY,
                )  # fmt: skip
                self._unheld = gap if self._unheld is None else self._unheld | gap
        elif len(self._held) >= MOST_LINES:
            self._flush()
        elif self._held and self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._flush)

    def _flush(self) -> None:
        """Send what has gathered, in the order of time."""
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        held, self._held = self._held, []
        held.sort(key=lambda one: (one.cursor.ts, one.cursor.stream))
        self._publish(held)

    def _publish(self, placed: list[Placed]) -> None:
        for batch in batches(self._seen.fresh(placed)):
            for follower in self._followers:
                follower.offer(batch)

    async def _refill(self, well_at: int) -> None:
        """Give what storage has since shortly before `well_at` and nobody was given. Raises PilothouseError."""
        self._refilling = True
        start, end = max(well_at - REFILL_BEFORE, self._began, self._seen.floor + 1), now_ns() + AHEAD
        count = 0
        async for lines in self._reader.all_lines(Span(start=start, end=end)):
            self._publish([Placed(Cursor.parse(line.cursor), line) for line in lines])
            count += len(lines)
            if count > MOST_REFILL:
                last = Cursor.parse(lines[-1].cursor).ts
                self._offer(Gap(start=last + 1, end=max(now_ns(), last + 1), dropped=0, reason=BACKEND_AWAY))
                return
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ROOM_SECONDS):
                    while any(one.lines > MOST_WAITING // 2 for one in self._followers):  # noqa: ASYNC110 - of many
                        await asyncio.sleep(GATHER_SECONDS)

    def _resume(self) -> None:
        self._refilling = False
        if self._unheld is not None:
            gap, self._unheld = self._unheld, None
            self._offer(gap)
        self._flush()

    def _offer(self, item: Gap | Notice) -> None:
        for follower in self._followers:
            follower.offer(item)

    def _tell(self, error: PilothouseError) -> None:
        words = "the log backend is away; what it takes meanwhile will follow"
        self._offer(Notice.of(UpstreamFailed(words, details={"reason": error.message})))

    def _fail(self, error: PilothouseError) -> None:
        for follower in self._followers:
            follower.fail(error)


class Tails:
    """The tails of one gateway process, by their scoped query."""

    def __init__(self, loki: LokiClient) -> None:
        self._loki = loki
        self._tails: dict[str, Tail] = {}

    def of(self, query: ast.LogQuery) -> Tail:
        """The tail of a query, begun where there is none. Follow it at once."""
        text = logql.format(query)
        self._tails = {known: tail for known, tail in self._tails.items() if not tail.is_over}
        if text not in self._tails:
            self._tails[text] = Tail(self._loki, query)
        return self._tails[text]

    def reader(self, query: ast.LogQuery) -> LogReader:
        """What is stored of a query."""
        return LogReader(self._loki, query)

    async def close(self) -> None:
        """End all."""
        for tail in self._tails.values():
            await tail.close()
