"""What there is, without looking at lines: streams with lines in a span of time, and how much they hold."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow.compute as pc

from pilothouse.store.logs.query.pieces import Ids
from pilothouse.store.logs.snapshot import Snapshot


@dataclass(slots=True)
class Amount:
    """Lines and their bytes. Of a segment that reaches over the span's ends it is a part in proportion to time."""

    lines: int = 0
    bytes: int = 0


@dataclass(slots=True)
class Inventory:
    """Amounts by stream id; `parts` counts the row groups and batches they lie in."""

    amounts: dict[int, Amount] = field(default_factory=dict)
    parts: int = 0


def take_stock(snapshot: Snapshot, streams: Ids, start: int, end: int) -> Inventory:
    """What `streams` hold from `start` up to, not including, `end` ns."""
    found = Inventory()
    wanted = set(streams.tolist())
    for segment in snapshot.segments:
        if segment.max_ts < start or segment.min_ts >= end:
            continue
        touched = False
        for stream in wanted & segment.stream_counts.keys():
            count = segment.stream_counts[stream]
            if count.max_ts < start or count.min_ts >= end:
                continue
            share = _share(count.min_ts, count.max_ts, start, end)
            amount = found.amounts.setdefault(stream, Amount())
            amount.lines += max(round(count.rows * share), 1)
            amount.bytes += round(count.bytes * share)
            touched = True
        found.parts += len(segment.row_groups) if touched else 0
    for batch in snapshot.batches:
        ts, stream = batch.column("ts").to_numpy(), batch.column("stream").to_numpy()
        inside = (ts >= start) & (ts < end) & np.isin(stream, streams)
        if not inside.any():
            continue
        size = pc.binary_length(batch.column("line")).to_numpy()
        for one in np.unique(stream[inside]).tolist():
            rows = inside & (stream == one)
            amount = found.amounts.setdefault(one, Amount())
            amount.lines += int(rows.sum())
            amount.bytes += int(size[rows].sum())
        found.parts += 1
    return found


def _share(low: int, high: int, start: int, end: int) -> float:
    if low >= start and high < end:
        return 1.0
    return (min(high, end) - max(low, start)) / max(high - low, 1)


def present(snapshot: Snapshot, streams: Ids, start: int, end: int) -> list[int]:
    """The streams, sorted, that have a line in the span, as far as is known without reading segments."""
    wanted = set(streams.tolist())
    found: set[int] = set()
    for segment in snapshot.segments:
        if segment.max_ts < start or segment.min_ts >= end:
            continue
        for stream in (wanted - found) & segment.stream_counts.keys():
            count = segment.stream_counts[stream]
            if count.max_ts >= start and count.min_ts < end:
                found.add(stream)
    for batch in snapshot.batches:
        ts, stream = batch.column("ts").to_numpy(), batch.column("stream").to_numpy()
        found |= wanted & set(np.unique(stream[(ts >= start) & (ts < end)]).tolist())
    return sorted(found)


def volumes(
    snapshot: Snapshot, inventory: Inventory, names: Sequence[str], *, by_label: bool
) -> dict[tuple[tuple[str, str], ...], int]:
    """Bytes by the values of the labels `names` (all labels where empty), or, `by_label`, by each label's name."""
    totals: dict[tuple[tuple[str, str], ...], int] = {}
    for stream, amount in inventory.amounts.items():
        labels = snapshot.streams.labels(stream)
        chosen = {name: value for name, value in labels.items() if not names or name in names}
        keys: Iterable[tuple[tuple[str, str], ...]]
        keys = [((name, ""),) for name in chosen] if by_label else [tuple(sorted(chosen.items()))]
        for key in keys:
            if key:
                totals[key] = totals.get(key, 0) + amount.bytes
    return totals


def cardinalities(
    snapshot: Snapshot, streams: Iterable[int], keep: Callable[[str], bool] = lambda _: True
) -> dict[str, int]:
    """How many values each label has among the streams."""
    values: dict[str, set[str]] = {}
    for stream in streams:
        for name, value in snapshot.streams.labels(stream).items():
            if keep(name):
                values.setdefault(name, set()).add(value)
    return {name: len(found) for name, found in sorted(values.items())}
