"""What a query may use: time, lines, samples, and somebody's interest in its answer."""

import threading
import time
from dataclasses import dataclass, field

from pilothouse.core.errors import QueryTimeout
from pilothouse.core.times import SECOND, format_span
from pilothouse.store.logs.query.errors import QueryCancelled, QueryRefused

MAX_SERIES = 10_000
"""Series of a metric query: a chart of more is unreadable, and its JSON alone is hundreds of megabytes."""
MAX_CELLS = 8_000_000
"""Series times points: 64 MB of float64, a fifth of what the store may use."""
MAX_SAMPLES = 4_000_000
"""Samples of an unwrapped range kept at once, 20 bytes each."""


@dataclass(kw_only=True, slots=True)
class Budget:
    """One query's allowance, and its count of what it read. `check` is called between pieces of work of some ms."""

    timeout: int
    """Nanoseconds from now."""
    deadline: float = field(init=False)
    started: float = field(init=False)
    cancelled: threading.Event = field(default_factory=threading.Event)
    lines: int = 0
    bytes: int = 0

    def __post_init__(self) -> None:
        self.started = time.monotonic()
        self.deadline = self.started + self.timeout / SECOND

    def check(self) -> None:
        """Raises QueryTimeout or QueryCancelled when it is time to stop."""
        if self.cancelled.is_set():
            raise QueryCancelled("the query was cancelled")
        if time.monotonic() > self.deadline:
            raise QueryTimeout(
                f"query timed out after {format_span(self.timeout)}, having read {self.lines} lines; narrow its "
                "selector, its range or its filters",
                details={"lines": self.lines, "bytes": self.bytes, "timeout": format_span(self.timeout)},
            )

    def read(self, lines: int, size: int) -> None:
        """Count what was read."""
        self.lines += lines
        self.bytes += size

    def seconds(self) -> float:
        """How long the query has run."""
        return time.monotonic() - self.started


def check_series(count: int) -> None:
    """Raises QueryRefused past MAX_SERIES, in Loki's words."""
    if count > MAX_SERIES:
        raise QueryRefused(
            f"maximum number of series ({MAX_SERIES}) reached for a single query; consider reducing query cardinality "
            "by adding more specific stream selectors, reducing the time range, or aggregating results with functions "
            "like sum(), count() or topk()"
        )


def check_cells(series: int, points: int) -> None:
    """Raises QueryRefused where a matrix would not fit."""
    check_series(series)
    if series * points > MAX_CELLS:
        raise QueryRefused(
            f"{series} series of {points} points are more than the {MAX_CELLS} values that one query may hold; use a "
            "longer step, or fewer series"
        )


def check_samples(count: int) -> None:
    """Raises QueryRefused past MAX_SAMPLES."""
    if count > MAX_SAMPLES:
        raise QueryRefused(
            f"the query unwraps more than {MAX_SAMPLES} lines; narrow its selector, its range or its filters"
        )
