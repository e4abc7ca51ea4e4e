"""Hands lines to the log backend, and waits for as long as that takes: a source reads on when its lines are safe."""

import asyncio
import contextlib
import time
from collections.abc import Sequence

import msgspec
import structlog
from prometheus_client import Counter, Gauge

from pilothouse.backends.loki import LokiClient
from pilothouse.core.errors import InvalidRequest, PilothouseError, TooLarge
from pilothouse.worker.line import Collected

log = structlog.get_logger(__name__)
FIRST_RETRY, MOST_RETRY = 0.2, 10.0
TELL_EVERY = 60.0
"""Seconds between log lines about a backend that stays away: each is itself a line to be pushed."""
HEADERS = {"Content-Type": "application/json"}

LINES = Counter("pilothouse_worker_lines", "Lines acknowledged by the log backend.", ["source"])
BYTES = Counter("pilothouse_worker_bytes", "Bytes of those lines.", ["source"])
REFUSED = Counter("pilothouse_worker_lines_refused", "Lines of pushes that the backend refused in part.", ["source"])
RETRIES = Counter("pilothouse_worker_retries", "Pushes that had to be tried again.", ["source"])
LAG = Gauge(
    "pilothouse_worker_lag_seconds",
    "How old the newest line was when it was acknowledged; while a source waits, the age of the oldest that waits.",
    ["source"],
)
WAITING = Gauge("pilothouse_worker_waiting", "1 while a source waits for the log backend.", ["source"])


class Pusher:
    """One for the process; sources push side by side, each one batch at a time."""

    def __init__(self, loki: LokiClient) -> None:
        self._loki = loki
        self._told_at = -TELL_EVERY

    async def push(self, source: str, lines: Sequence[Collected]) -> None:
        """Return when the backend has acknowledged `lines`, or has refused what it will never take.

        What is refused is counted and told in our own log, with the backend's words. One bad line does not take
        others with it: a push that is refused is tried again by its streams, one that is too large by its halves.
        """
        if not lines:
            return
        try:
            await self._hand_over(source, lines)
        except (InvalidRequest, TooLarge) as error:
            parts = halves(lines) if isinstance(error, TooLarge) else by_stream(lines)
            if len(parts) > 1:
                for part in parts:
                    await self.push(source, part)
                return
            REFUSED.labels(source).inc(len(lines))
            log.warning("the log backend refused lines", source=source, lines=len(lines), said=error.message[:500])
            return
        LINES.labels(source).inc(len(lines))
        BYTES.labels(source).inc(sum(len(line.text.encode()) for line in lines))
        LAG.labels(source).set(max(0.0, time.time() - max(line.ts for line in lines) / 1e9))

    async def _hand_over(self, source: str, lines: Sequence[Collected]) -> None:
        """Try until it is acknowledged. Raises InvalidRequest or TooLarge where it never will be."""
        body = encode(lines)
        delay = FIRST_RETRY
        try:
            while True:
                try:
                    await self._loki.push(body, HEADERS)
                    return
                except (InvalidRequest, TooLarge):
                    raise
                except PilothouseError as error:
                    RETRIES.labels(source).inc()
                    WAITING.labels(source).set(1)
                    LAG.labels(source).set(max(0.0, time.time() - min(line.ts for line in lines) / 1e9))
                    self._tell(source, error)
                await asyncio.sleep(delay)
                delay = min(delay * 2, MOST_RETRY)
        finally:
            WAITING.labels(source).set(0)

    def forget(self, source: str) -> None:
        """A source is gone for good: its figures are no longer told."""
        for metric in (LINES, BYTES, REFUSED, RETRIES, LAG, WAITING):
            with contextlib.suppress(KeyError):
                metric.remove(source)

    def _tell(self, source: str, error: PilothouseError) -> None:
        now = time.monotonic()
        if now - self._told_at > TELL_EVERY:
            self._told_at = now
            log.warning("the log backend is away; sources wait and read on later", source=source, error=error.message)


def by_stream(lines: Sequence[Collected]) -> list[list[Collected]]:
    """`lines` apart by their labels."""
    parts: dict[tuple[tuple[str, str], ...], list[Collected]] = {}
    for line in lines:
        parts.setdefault(tuple(line.labels.items()), []).append(line)
    return list(parts.values())


def halves(lines: Sequence[Collected]) -> list[Sequence[Collected]]:
    """The first half and the second; the whole where there is but one line."""
    middle = len(lines) // 2
    return [lines[:middle], lines[middle:]] if middle else [lines]


def encode(lines: Sequence[Collected]) -> bytes:
    """A JSON push, lines in the order given within their stream, each cut to what a backend takes."""
    streams = []
    for part in by_stream(lines):
        values = [
            (str(line.ts), line.text, line.metadata) if line.metadata else (str(line.ts), line.text)
            for line in (one.cut().with_level() for one in part)
        ]
        streams.append({"stream": dict(part[0].labels), "values": values})
    return msgspec.json.encode({"streams": streams})
