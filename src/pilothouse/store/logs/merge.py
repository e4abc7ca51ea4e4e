"""Joins a day's small segments into a large one, a row group of each in memory at a time."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pilothouse.core.times import MINUTE
from pilothouse.store.logs.segment import Segment

FAN_IN = 8
"""So many fresh segments of a day are merged into one, of about a million lines."""
ROWS_ENOUGH = 800_000
"""A merged segment as large as this is left alone: larger ones cost memory to open and time to merge again."""


FRESH_FOR = 15 * MINUTE
"""Fresh segments that have waited so long are merged, however few: their lines take a fifth less room then."""


def choose(segments: Sequence[Segment], *, settled: bool, now: int) -> list[Segment]:
    """Segments of one day to merge now, oldest first; none where it is not worth it yet.

    `settled`: the day is over, so that few are worth merging too. `now` is in nanoseconds.
    """
    small = sorted((s for s in segments if s.rows < ROWS_ENOUGH), key=lambda s: s.min_ts)
    fresh = [s for s in small if not s.merged]
    if settled:
        return small[:FAN_IN] if len(small) > 1 or fresh else []
    waited = any(s.written_at < now - FRESH_FOR for s in fresh)
    return fresh[:FAN_IN] if len(fresh) >= FAN_IN or waited else []


def merged_rows(segments: Sequence[Segment]) -> Iterator[pa.Table]:
    """All rows of `segments`, sorted by (stream, ts); equal ones in the order of the segments."""
    sources = [_Source(segment) for segment in segments]
    while waiting := [source for source in sources if source.fill()]:
        # Nothing still unread sorts before the least of the last keys in hand: all up to it can go out.
        least = min(source.last_key() for source in waiting)
        taken = [part for source in waiting if (part := source.take(least)).num_rows]
        yield sort_rows(pa.concat_tables(taken))


def sort_rows(table: pa.Table) -> pa.Table:
    """Rows by (stream, ts), equal ones in the order they had."""
    order = np.lexsort((table["ts"].to_numpy(), table["stream"].to_numpy()))
    return table.take(pa.array(order))


class _Source:
    """A segment read forward, a row group at a time."""

    def __init__(self, segment: Segment) -> None:
        self._segment = segment
        self._next = 0
        self._held = pa.table({})

    def fill(self) -> bool:
        """Have rows in hand if there are any; whether there are."""
        while not self._held.num_rows and self._next < len(self._segment.row_groups):
            self._held = self._segment.read([self._next])
            self._next += 1
        return bool(self._held.num_rows)

    def last_key(self) -> tuple[int, int]:
        """(stream, ts) of the last row in hand."""
        return self._held["stream"][-1].as_py(), self._held["ts"][-1].as_py()

    def take(self, key: tuple[int, int]) -> pa.Table:
        """Take out the rows up to `key`."""
        stream, ts = key
        upto = pc.or_(
            pc.less(self._held["stream"], stream),
            pc.and_(pc.equal(self._held["stream"], stream), pc.less_equal(self._held["ts"], ts)),
        )
        count = int(pc.sum(upto).as_py() or 0)
        taken, self._held = self._held.slice(0, count), self._held.slice(count)
        return taken
