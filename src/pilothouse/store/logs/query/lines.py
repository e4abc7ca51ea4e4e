"""Log queries: lines newest or oldest first, with no more read than the limit needs."""

import heapq
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from pilothouse.query.logql import ast
from pilothouse.store.logs.query.budget import Budget
from pilothouse.store.logs.query.jsonrows import JsonConditions
from pilothouse.store.logs.query.pieces import Ids, Keys, Piece
from pilothouse.store.logs.query.plan import plan
from pilothouse.store.logs.query.rowlabels import RowLabels
from pilothouse.store.logs.query.scan import AHEAD, Rows, Scan, row_labels
from pilothouse.store.logs.snapshot import Snapshot

FIRST_TAKE = 256
"""Lines decoded at first; each further portion of a piece is twice as many."""
TRIAL = 2048
"""Lines after which it shows whether most of them are dropped line by line."""
PART = 8192
"""Rows of a piece that are read at once where filters may drop most of them: the foremost may be all that is wanted."""
FEW = 16
"""Of so many lines one passes at the most, where whole columns are worth reading first."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an answer, with what the pipeline made of its text and labels."""

    ts: int
    text: str
    labels: RowLabels


@dataclass(slots=True)
class _Best:
    """The foremost `limit` lines seen. `sign` is 1 for oldest first, -1 for newest first."""

    limit: int
    sign: int
    heap: list[tuple[int, int, Line]] = field(default_factory=list)
    count: int = 0

    @property
    def full(self) -> bool:
        return len(self.heap) >= self.limit

    def beyond(self, ts: int) -> bool:
        """Whether a line of time `ts` comes behind all that is wanted."""
        return self.full and self.sign * ts >= -self.heap[0][0]

    def add(self, line: Line) -> None:
        self.count += 1
        entry = (-self.sign * line.ts, -self.count, line)
        if self.full:
            heapq.heappushpop(self.heap, entry)
        else:
            heapq.heappush(self.heap, entry)

    def lines(self) -> list[Line]:
        return [entry[2] for entry in sorted(self.heap, key=lambda entry: (-entry[0], -entry[1]))]


@dataclass(slots=True)
class _Trial:
    """Whether to look at JSON fields by columns before lines one by one: not until these have shown to be dropped."""

    conditions: JsonConditions | None
    tried: int = 0
    passed: int = 0

    def count(self, tried: int, passed: int) -> None:
        self.tried += tried
        self.passed += passed

    @property
    def failed(self) -> bool:
        return self.conditions is not None and self.tried >= TRIAL and self.passed * FEW < self.tried

    def narrow(self, found: Rows) -> Rows:
        if self.conditions is None or not self.failed or found.metadata is not None:
            return found
        return self.conditions.narrow(found)


def select_lines(
    snapshot: Snapshot, query: ast.LogQuery, *, start: int, end: int, limit: int, forward: bool, budget: Budget
) -> list[Line]:
    """The first (`forward`) or last `limit` lines from `start` up to, not including, `end` ns, in that order.

    Raises MeaningFault, QueryTimeout, QueryCancelled or SegmentDamaged.
    """
    scan = Scan(snapshot, plan(query), start, end, budget)
    trial = _Trial(JsonConditions.of(scan))
    best = _Best(limit, 1 if forward else -1)
    for found in _in_order(scan, best, forward=forward):
        budget.check()
        budget.read(len(found.rows), 0 if found.lines is None else found.lines.nbytes)
        _take(scan, found, best, trial, forward=forward)
    return best.lines()


def _in_order(scan: Scan, best: _Best, *, forward: bool) -> Iterator[Rows]:
    """Pieces by the foremost time of their selected rows, as long as one can hold a line that is wanted.

    A piece is first placed by the bounds of all its rows, and again, once its small columns have been looked at, by
    those that count. Behind the foremost piece a few more are read ahead.
    """
    sign = 1 if forward else -1
    queue: list[tuple[int, int, Piece, Ids | None]] = []
    for number, piece in enumerate(scan.pieces()):
        bound = max(piece.min_ts, scan.start) if forward else min(piece.max_ts, scan.end - 1)
        queue.append((sign * bound, number, piece, None))
    heapq.heapify(queue)
    reading: list[tuple[int, Future[Rows]]] = []
    while queue or reading:
        while queue and len(reading) < AHEAD:
            at, number, piece, rows = heapq.heappop(queue)
            if best.beyond(sign * at):
                queue.clear()
                break
            if rows is None:
                rows = scan.select(piece)
                if len(rows):
                    ts = piece.keys.ts[rows]
                    heapq.heappush(queue, (sign * int(ts.min() if forward else ts.max()), number, piece, rows))
                scan.budget.check()
                continue
            if reading and not best.full and len(rows) >= 8 * best.limit and not _selective(scan):
                # The piece in hand will do: reading another would only make it wait.
                heapq.heappush(queue, (at, number, piece, rows))
                break
            if len(rows) > 2 * PART and _selective(scan):
                rows, rest = _foremost(piece.keys, rows, forward=forward)
                if len(rest):
                    ts = piece.keys.ts[rest]
                    heapq.heappush(queue, (sign * int(ts.min() if forward else ts.max()), number, piece, rest))
            reading.append((at, scan.submit(piece, rows)))
        if not reading:
            return
        at, future = reading.pop(0)
        if best.beyond(sign * at):
            future.cancel()
            continue
        yield future.result()


def _foremost(keys: Keys, rows: Ids, *, forward: bool) -> tuple[Ids, Ids]:
    """The PART foremost of `rows` by time, and the others. Rows of equal time stay together."""
    ts = keys.ts[rows]
    at = PART - 1 if forward else len(rows) - PART
    bound = np.partition(ts, at)[at]
    first = ts <= bound if forward else ts >= bound
    return rows[first], rows[~first]


def _selective(scan: Scan) -> bool:
    """Whether most lines may be filtered out, so that one piece will hardly do."""
    return bool(scan.plan.line_filters or scan.plan.label_filters or scan.plan.rest)


def _take(scan: Scan, found: Rows, best: _Best, trial: _Trial, *, forward: bool) -> None:
    keys = found.keys
    if not len(found.rows) or found.lines is None:
        return
    scan.refine = trial.narrow if trial.failed else None
    rows = _ordered(keys, found.rows, forward=forward)
    narrowed = found.narrowed
    streams, size, at = scan.snapshot.streams, FIRST_TAKE, 0
    run = scan.plan.steps.run if scan.plan.rest else None
    while at < len(rows):
        if trial.failed and not narrowed:
            left = replace(found, rows=np.sort(rows[at:]))
            rows, at, narrowed = _ordered(keys, trial.narrow(left).rows, forward=forward), 0, True
            continue
        some = rows[at : at + size]
        times = keys.ts[some].tolist()
        if best.beyond(times[0]):
            return
        if run is None and not best.full:
            keep = max(best.limit - len(best.heap), FIRST_TAKE)
            some, times = some[:keep], times[:keep]
        index = pa.array(some)
        texts = found.lines.take(index).to_pylist()
        attached = [None] * len(some) if found.metadata is None else found.metadata.take(index).to_pylist()
        numbers, levels = keys.stream[some].tolist(), keys.level[some].tolist()
        before = best.count
        for time, text, stream, level, metadata in zip(times, texts, numbers, levels, attached, strict=True):
            if best.beyond(time):
                return
            labels = row_labels(streams, stream, level, metadata)
            out = text if run is None else run(time, text, labels)
            if out is not None:
                best.add(Line(time, out, labels))
        trial.count(len(some), best.count - before)
        at += len(some)
        size = min(size * 2, TRIAL)
        scan.budget.check()


def _ordered(keys: Keys, rows: Ids, *, forward: bool) -> Ids:
    """Rows by time. Lines of equal time keep their order of arrival, or reverse it, as a whole."""
    order = np.argsort(keys.ts[rows], kind="stable")
    out: Ids = rows[order if forward else order[::-1]]
    return out
