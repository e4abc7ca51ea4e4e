"""A store in a temporary directory, opened and closed around each test."""

import resource
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path

import pytest

from pilothouse.core.times import now_ns
from pilothouse.settings import Settings, load
from pilothouse.store.logs.batch import StreamLines
from pilothouse.store.logs.store import LogStore


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A fresh data directory; the store has no database."""
    made = load({}, data_dir=tmp_path / "data")
    made.logs_dir.mkdir(parents=True)
    return made


@pytest.fixture
async def store(settings: Settings) -> AsyncIterator[LogStore]:
    """An open store."""
    opened = LogStore(settings)
    await opened.open()
    yield opened
    await opened.close()


@pytest.fixture
def failing_disk() -> Iterator[Callable[[int], None]]:
    """Sets how large a file may grow, in bytes, as the system itself enforces it; -1 is no bound."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    heard = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (hard if size < 0 else size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, heard)


@pytest.fixture
def stream() -> Callable[..., StreamLines]:
    """Makes lines of a service, `step` nanoseconds apart, from `start` on or from now."""

    def make(service: str, lines: Sequence[str], *, start: int | None = None, step: int = 1) -> StreamLines:
        first = now_ns() if start is None else start
        times = [first + number * step for number in range(len(lines))]
        return StreamLines(labels={"service_name": service}, ts=times, lines=list(lines))

    return make


@pytest.fixture
def held() -> Callable[[LogStore], Counter[tuple[str, int, str]]]:
    """Tells every (service, time, line) that a snapshot of a store shows, and how often."""

    def look(store: LogStore) -> Counter[tuple[str, int, str]]:
        seen: Counter[tuple[str, int, str]] = Counter()
        moment = store.snapshot()
        for table in [moment.head, *(one.read(range(len(one.row_groups))) for one in moment.segments)]:
            columns = (table[name].to_pylist() for name in ("stream", "ts", "line"))
            for number, ts, line in zip(*columns, strict=True):
                seen[moment.streams.labels(number)["service_name"], ts, line] += 1
        return seen

    return look


@pytest.fixture
def rows_of() -> Callable[..., Counter[tuple[str, int, str]]]:
    """What a store must show that was given these lines: each once."""

    def count(*streams: StreamLines) -> Counter[tuple[str, int, str]]:
        return Counter(
            (one.labels["service_name"], ts, line)
            for one in streams
            for ts, line in zip(one.ts, one.lines, strict=True)
        )

    return count
