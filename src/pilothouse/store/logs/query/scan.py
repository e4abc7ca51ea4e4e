"""Pieces to the rows of them that pass the filters that whole columns can be put through."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pyarrow as pa

from pilothouse.store.logs.levels import DETECTED, LEVELS
from pilothouse.store.logs.query.budget import Budget
from pilothouse.store.logs.query.columns import LabelFilters, line_mask
from pilothouse.store.logs.query.jsoncolumns import Fields
from pilothouse.store.logs.query.pieces import Ids, Keys, Piece, pieces, select_rows
from pilothouse.store.logs.query.plan import Plan
from pilothouse.store.logs.query.rowlabels import DETAILS, ERROR, SUFFIX, RowLabels
from pilothouse.store.logs.snapshot import Snapshot
from pilothouse.store.logs.streams import StreamIndex

AHEAD = 3
"""Pieces read ahead of the one that is evaluated; each is about 8 MB."""

_workers = ThreadPoolExecutor(max(2, min(4, os.cpu_count() or 2)), thread_name_prefix="query-scan")


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """Rows of one piece that passed. `lines` and `metadata` are those of the whole piece; `rows` index them."""

    keys: Keys
    rows: Ids
    lines: pa.StringArray | None
    metadata: pa.MapArray | None
    fields: Fields | None = None
    """Fields of the lines at `rows`, where a refinement read them."""
    narrowed: bool = False
    """Whether conditions on fields have been applied to whole columns already."""

    def texts(self) -> pa.StringArray:
        """The lines at `rows`."""
        if self.lines is None:
            return pa.array([], pa.string())
        first, count = int(self.rows[0]) if len(self.rows) else 0, len(self.rows)
        if count == len(self.lines) or (count and int(self.rows[-1]) - first + 1 == count):
            return self.lines.slice(first, count)
        return self.lines.take(pa.array(self.rows))


class Scan:
    """One selector with its plan over one span of time of one snapshot."""

    def __init__(self, snapshot: Snapshot, plan: Plan, start: int, end: int, budget: Budget) -> None:
        self.snapshot = snapshot
        self.plan = plan
        self.start = start
        self.end = end
        self.budget = budget
        self.streams: Ids = snapshot.streams.select(plan.matchers)
        self.refine: Callable[[Rows], Rows] | None = None
        """What the workers do with the rows that passed, before they are handed on."""
        self._everything = len(self.streams) == len(snapshot.streams)
        self._filters = LabelFilters(plan.label_filters, snapshot.streams)

    def pieces(self) -> list[Piece]:
        """The pieces that can hold an answer, in no order."""
        return pieces(self.snapshot, self.streams, start=self.start, end=self.end, clauses=self.plan.clauses)

    def select(self, piece: Piece) -> Ids:
        """Rows of the piece that have the streams, the times and the levels; their lines are not looked at."""
        found = select_rows(piece, None if self._everything else self.streams, start=self.start, end=self.end)
        if not self._filters.need_metadata and len(found):
            mask = self._filters.mask(piece.keys, found, None)
            if mask is not None:
                found = found[mask]
        return found

    def read(self, piece: Piece, rows: Ids, *, lines: bool = True, metadata: bool = True) -> Rows:
        """The rows whose lines and metadata pass too. Raises SegmentDamaged."""
        text: pa.StringArray | None = None
        attached: pa.MapArray | None = None
        if not len(rows):
            return Rows(keys=piece.keys, rows=rows, lines=None, metadata=None)
        if metadata or self._filters.need_metadata:
            attached = piece.metadata()
        if self._filters.need_metadata:
            mask = self._filters.mask(piece.keys, rows, attached)
            if mask is not None:
                rows = rows[mask]
        if len(rows) and (lines or self.plan.line_filters):
            text = piece.lines()
            if self.plan.line_filters:
                rows = self._by_lines(text, rows)
        found = Rows(keys=piece.keys, rows=rows, lines=text, metadata=attached)
        return self.refine(found) if self.refine is not None and len(rows) and text is not None else found

    def submit(self, piece: Piece, rows: Ids) -> Future[Rows]:
        """`read`, by a worker."""
        return _workers.submit(self.read, piece, rows)

    def _by_lines(self, text: pa.StringArray, rows: Ids) -> Ids:
        whole = len(rows) == len(text)
        if not whole and int(rows[-1]) - int(rows[0]) + 1 == len(rows):
            mask = line_mask(text.slice(int(rows[0]), len(rows)), self.plan.line_filters)
        else:
            mask = line_mask(text if whole else text.take(pa.array(rows)), self.plan.line_filters)
        return rows if mask is None else rows[mask]

    def all(self, *, lines: bool = True, metadata: bool = True) -> Iterator[Rows]:
        """The rows of every piece, read ahead on the workers, in the order of the pieces."""

        def one(piece: Piece) -> Rows:
            self.budget.check()
            return self.read(piece, self.select(piece), lines=lines, metadata=metadata)

        for rows in ahead(one, self.pieces()):
            self.budget.check()
            self.budget.read(len(rows.rows), 0 if rows.lines is None else rows.lines.nbytes)
            yield rows


def ahead(work: Callable[[Piece], Rows], items: Iterable[Piece]) -> Iterator[Rows]:
    """`work` of each item in order, done by the workers a few items ahead."""
    waiting: deque[Future[Rows]] = deque()
    todo = iter(items)
    try:
        for item in todo:
            waiting.append(_workers.submit(work, item))
            if len(waiting) >= AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def row_labels(
    streams: StreamIndex, stream: int, level: int, metadata: object, wanted: frozenset[str] | None = None
) -> RowLabels:
    """The labels of one line as it is stored. `metadata` is a list of pairs, or None."""
    base = streams.labels(stream)
    attached: dict[str, str] = {}
    labels = RowLabels(base, attached, wanted)
    if DETECTED not in base:
        attached[DETECTED] = LEVELS[level]
    if metadata:
        for name, value in metadata:  # type: ignore[attr-defined] # pairs of text
            if name == ERROR:
                labels.error = value
            elif name == DETAILS:
                labels.details = value
            else:
                attached[name + SUFFIX if name in base else name] = value
    return labels
