"""Finds lines that the store holds already: a client that never saw its answer sends them again."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from pilothouse.store.logs.segment import Segment


def keep_new(batch: pa.RecordBatch, *, newest: dict[int, int], held: Iterable[pa.RecordBatch],
             segments: Iterable[Segment]) -> pa.RecordBatch:  # fmt: skip
    """`batch` without the rows whose stream, time and line are held already, or come twice in it.

    `newest` is the newest time of each stream: only rows not later than it, or than a row before them, are looked up.
    `held` are batches in memory, `segments` those that are recent enough to be asked.
    """
    ts = batch.column("ts").to_numpy()
    stream = batch.column("stream").to_numpy()
    suspects = _suspects(ts, stream, newest)
    if not len(suspects):
        return batch
    lines = batch.column("line")
    wanted = {(int(stream[i]), int(ts[i]), lines[int(i)].as_py()) for i in suspects}
    low, high = int(ts[suspects].min()), int(ts[suspects].max())
    times = np.unique(ts[suspects])
    known = set()
    for other in held:
        known |= _matches(other, times, low, high, wanted)
    for segment in segments:
        if segment.max_ts < low or segment.min_ts > high:
            continue
        for group in segment.row_groups:
            if group.max_ts >= low and group.min_ts <= high:
                for part in segment.read([group.index], ["ts", "stream", "line"]).to_batches():
                    known |= _matches(part, times, low, high, wanted)
    keep = np.ones(len(ts), dtype=np.bool_)
    seen = known
    for i in suspects:
        key = (int(stream[i]), int(ts[i]), lines[int(i)].as_py())
        if key in seen:
            keep[i] = False
        seen.add(key)
    return batch if keep.all() else batch.filter(pa.array(keep))


def _suspects(ts: np.ndarray, stream: np.ndarray, newest: dict[int, int]) -> np.ndarray:
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


def _matches(
    batch: pa.RecordBatch, times: np.ndarray, low: int, high: int, wanted: set[tuple[int, int, str]]
) -> set[tuple[int, int, str]]:
    ts = batch.column("ts").to_numpy()
    if not len(ts) or ts.max() < low or ts.min() > high:
        return set()
    at = np.flatnonzero(np.isin(ts, times))
    if not len(at):
        return set()
    rows = batch.take(pa.array(at))
    keys = zip(
        rows.column("stream").to_pylist(), rows.column("ts").to_pylist(), rows.column("line").to_pylist(), strict=True
    )
    return wanted.intersection(keys)


def newest_of(batch: pa.RecordBatch) -> dict[int, int]:
    """The newest time of each stream in a batch."""
    grouped = pa.Table.from_batches([batch]).group_by("stream").aggregate([("ts", "max")])
    return dict(zip(grouped["stream"].to_pylist(), grouped["ts_max"].to_pylist(), strict=True))
