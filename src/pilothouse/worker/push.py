"""Hands lines to the log backend, and waits for as long as that takes: a source reads on when its lines are safe."""

import asyncio
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
LAG = Gauge("pilothouse_worker_lag_seconds", "How old the newest line was when it was acknowledged.", ["source"])
WAITING = Gauge("pilothouse_worker_waiting", "1 while a source waits for the log backend.", ["source"])


class Pusher:
    """One for the process; sources push side by side, each one batch at a time."""

    def __init__(self, loki: LokiClient) -> None:
        self._loki = loki
        self._told_at = 0.0

    async def push(self, source: str, lines: Sequence[Collected]) -> None:
        """Return when the backend has acknowledged `lines`, or has refused what it will never take.

        What is refused is counted and told in our own log, with the backend's words.
        """
        if not lines:
            return
        body = encode(lines)
        delay = FIRST_RETRY
        while True:
            try:
                await self._loki.push(body, HEADERS)
                break
            except (InvalidRequest, TooLarge) as error:
                REFUSED.labels(source).inc(len(lines))
                log.warning("the log backend refused lines", source=source, lines=len(lines), said=error.message[:500])
                break
            except PilothouseError as error:
                RETRIES.labels(source).inc()
                WAITING.labels(source).set(1)
                self._tell(source, error)
            await asyncio.sleep(delay)
            delay = min(delay * 2, MOST_RETRY)
        WAITING.labels(source).set(0)
        LINES.labels(source).inc(len(lines))
        BYTES.labels(source).inc(sum(len(line.text) for line in lines))
        LAG.labels(source).set(max(0.0, time.time() - max(line.ts for line in lines) / 1e9))

    def _tell(self, source: str, error: PilothouseError) -> None:
        now = time.monotonic()
        if now - self._told_at > TELL_EVERY:
            self._told_at = now
            log.warning("the log backend is away; sources wait and read on later", source=source, error=error.message)


def encode(lines: Sequence[Collected]) -> bytes:
    """A JSON push, lines in the order given within their stream."""
    streams: dict[tuple[tuple[str, str], ...], list[object]] = {}
    for line in lines:
        values = streams.setdefault(tuple(line.labels.items()), [])
        values.append((str(line.ts), line.text, line.metadata) if line.metadata else (str(line.ts), line.text))
    return msgspec.json.encode(
        {"streams": [{"stream": dict(labels), "values": values} for labels, values in streams.items()]}
    )
