"""Finds lines that the store holds already: a client that never saw its answer sends them again."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import numpy as np
import pyarrow as pa

from pilothouse.store.logs.schema import ROW_GROUP
from pilothouse.store.logs.segment import Segment, SegmentDamaged

Ints = np.ndarray[tuple[int], np.dtype[np.int64]]
Key = tuple[int, int, str]
"""Stream, time and text: what makes two lines one."""
COLUMNS = ["ts", "stream", "line"]


def keep_new(
    batch: pa.RecordBatch,
    *,
    newest: Mapping[int, int],
    held: Iterable[pa.RecordBatch],
    segments: Iterable[Segment],
    damaged: Callable[[SegmentDamaged], None],
) -> pa.RecordBatch:
    """`batch` without the rows whose stream, time and line are held already, or come twice in it.

    `newest` is the newest time of each stream: only rows not later than it, or than a row before them, are looked up.
    `held` are batches in memory, `segments` those that are recent enough to be asked; one that can't be read goes to
    `damaged`, for a line too many is better than one refused.
    """
    ts = batch.column("ts").to_numpy()
    stream = batch.column("stream").to_numpy()
    suspects = _suspects(ts, stream, newest)
    if not len(suspects):
        return batch
    times, counts = np.unique(ts[suspects], return_counts=True)
    known: set[Key] = set()
    for rows in _rows_at(times, held):
        known |= set(_keys(rows))
    for segment in segments:
        try:
            for rows in _rows_of_segment(segment, np.unique(stream[suspects]), times):
                known |= set(_keys(rows))
        except SegmentDamaged as error:
            damaged(error)
    # Most late lines share their time with no other: their text need not be looked at.
    shared = np.union1d(times[counts > 1], np.fromiter((key[1] for key in known), dtype=np.int64))
    suspects = suspects[np.isin(ts[suspects], shared)]
    keep = np.ones(len(ts), dtype=np.bool_)
    for i, key in zip(suspects, _keys(batch.take(pa.array(suspects))), strict=True):
        if key in known:
            keep[i] = False
        known.add(key)
    return batch if keep.all() else batch.filter(pa.array(keep))


def _suspects(ts: Ints, stream: np.ndarray[tuple[int], np.dtype[np.int32]], newest: Mapping[int, int]) -> Ints:
    """Indexes of rows that are not later than all before them in their stream, and of those they equal in time."""
    out = []
    for number in np.unique(stream):
        at = np.flatnonzero(stream == number)
        times = ts[at]
        before = np.maximum.accumulate(np.concatenate(([newest.get(int(number), -1)], times[:-1])))
        late = at[times <= before]
        if len(late):
            # The first of two equal times in this batch has to be known, to tell the second by.
            out.append(at[np.isin(times, ts[late])])
    return np.sort(np.concatenate(out)) if out else np.empty(0, dtype=np.int64)


def _rows_at(times: Ints, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The rows of `batches` at any of `times`, which are sorted."""
    for batch in batches:
        ts = batch.column("ts").to_numpy()
        if not len(ts) or ts.max() < times[0] or ts.min() > times[-1]:
            continue
        at = np.flatnonzero(np.isin(ts, times))
        if len(at):
            yield batch.select(COLUMNS).take(pa.array(at))


def _rows_of_segment(segment: Segment, streams: Iterable[int], times: Ints) -> Iterator[pa.RecordBatch]:
    """The rows of `streams` at any of `times`; lines are read only of the row groups that have some."""
    groups = set()
    for number in streams:
        count = segment.stream_counts.get(int(number))
        if count is not None and count.max_ts >= times[0] and count.min_ts <= times[-1]:
            groups |= set(range(count.first_row // ROW_GROUP, (count.first_row + count.rows - 1) // ROW_GROUP + 1))
    for index in sorted(groups):
        group = segment.row_groups[index]
        if group.max_ts < times[0] or group.min_ts > times[-1]:
            continue
        if np.isin(segment.read([index], ["ts"])["ts"].to_numpy(), times).any():
            yield from _rows_at(times, segment.read([index], COLUMNS).to_batches())


def _keys(rows: pa.RecordBatch) -> Iterator[Key]:
    yield from zip(
        rows.column("stream").to_pylist(), rows.column("ts").to_pylist(), rows.column("line").to_pylist(), strict=True
    )


def newest_of(batch: pa.RecordBatch) -> dict[int, int]:
    """The newest time of each stream in a batch."""
    grouped = pa.Table.from_batches([batch]).group_by("stream").aggregate([("ts", "max")])
    return dict(zip(grouped["stream"].to_pylist(), grouped["ts_max"].to_pylist(), strict=True))
