"""The store in pieces: a row group of a segment, or a batch of the head. The unit of reading and of pruning."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pilothouse.store.logs.query.literals import Clause
from pilothouse.store.logs.segment import Segment, SegmentDamaged
from pilothouse.store.logs.snapshot import Snapshot

Ints: TypeAlias = NDArray[np.int64]
Ids: TypeAlias = NDArray[np.int32]
Levels: TypeAlias = NDArray[np.uint8]
T = TypeVar("T")

KEY_CACHE = 16 << 20
"""Bytes of decoded times, streams and levels kept: 13 a row, 425 kB a row group, so 1.2 million rows."""
LINE_CACHE = 72 << 20
"""Bytes of decoded lines kept, 6.6 MB a row group: what people on call ask is mostly of the same last minutes."""
OPEN_FILES = 32
"""Files that one thread keeps open."""
_KEY_COLUMNS = ["ts", "stream", "level"]


@dataclass(frozen=True, slots=True)
class Keys:
    """The small columns of a piece, decoded. Not to be changed."""

    ts: Ints
    stream: Ids
    level: Levels


class Bounded(Generic[T]):
    """What was decoded last, up to `limit` bytes by `size`. Shared by all queries, from any thread."""

    def __init__(self, limit: int, size: Callable[[T], int]) -> None:
        self._limit = limit
        self._size = size
        self._held: OrderedDict[tuple[str, int, str], T] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def of(self, segment: Segment, index: int, name: str, read: Callable[[], T]) -> T:
        """Read, or as it was read before. Raises what `read` does."""
        at = (str(segment.path), index, name)
        with self._lock:
            if at in self._held:
                self._held.move_to_end(at)
                return self._held[at]
        value = read()
        with self._lock:
            if at not in self._held:
                self._held[at] = value
                self._bytes += self._size(value)
            while self._bytes > self._limit:
                self._bytes -= self._size(self._held.popitem(last=False)[1])
        return value


class _OpenFiles(threading.local):
    """Files that this thread has open, for as long as their segments are known.

    To open or map a file anew for each row group costs a quarter of the reading, and mapping stops the other threads
    meanwhile. Read and not mapped, they do not count as the store's memory.
    """

    def __init__(self) -> None:
        self.files: WeakKeyDictionary[Segment, pq.ParquetFile] = WeakKeyDictionary()


_open = _OpenFiles()


def _read(segment: Segment, index: int, columns: list[str]) -> pa.Table:
    """Columns of a row group. Raises SegmentDamaged."""
    try:
        file = _open.files.get(segment)
        if file is None:
            if len(_open.files) >= OPEN_FILES:
                _open.files.popitem()
            file = _open.files[segment] = pq.ParquetFile(segment.path, metadata=segment.metadata)
        return file.read_row_group(index, columns=columns, use_threads=False)
    except (OSError, pa.ArrowException) as error:
        _open.files.pop(segment, None)
        raise SegmentDamaged(
            f"segment {segment.name} can't be read: {error}", details={"segment": segment.name}
        ) from None


def _size(keys: Keys) -> int:
    return keys.ts.nbytes + keys.stream.nbytes + keys.level.nbytes


def _keys(table: pa.Table | pa.RecordBatch) -> Keys:
    ts, stream, level = (_one(table.column(name)).to_numpy(zero_copy_only=False) for name in _KEY_COLUMNS)
    return Keys(ts, stream, level)


@dataclass(eq=False)
class Piece:
    """Rows that lie together. `min_ts` and `max_ts` bound their times. Lines are read when they are asked for."""

    rows: int
    min_ts: int
    max_ts: int
    source: tuple[Segment, int] | pa.RecordBatch

    @cached_property
    def keys(self) -> Keys:
        """Times, streams and levels. Raises SegmentDamaged."""
        if isinstance(self.source, pa.RecordBatch):
            return _keys(self.source)
        segment, index = self.source
        return _kept_keys.of(segment, index, "keys", lambda: _keys(_read(segment, index, _KEY_COLUMNS)))

    def lines(self) -> pa.StringArray:
        """The lines. Raises SegmentDamaged."""
        if isinstance(self.source, pa.RecordBatch):
            return self.source.column("line")
        segment, index = self.source
        return _kept_lines.of(segment, index, "line", lambda: _one(_read(segment, index, ["line"])["line"]))

    def metadata(self) -> pa.MapArray | None:
        """Structured metadata, None where no line has any. Raises SegmentDamaged."""
        if isinstance(self.source, pa.RecordBatch):
            return _unless_empty(self.source.column("metadata"))
        segment, index = self.source
        return _kept_lines.of(
            segment, index, "metadata", lambda: _unless_empty(_one(_read(segment, index, ["metadata"])["metadata"]))
        )


def _unless_empty(column: pa.Array) -> pa.Array | None:
    return None if column.null_count == len(column) else column


def _one(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)


_kept_keys: Bounded[Keys] = Bounded(KEY_CACHE, _size)
_kept_lines: Bounded[pa.Array | None] = Bounded(LINE_CACHE, lambda column: 64 if column is None else column.nbytes)


def pieces(snapshot: Snapshot, streams: Ids, *, start: int, end: int, clauses: Sequence[Clause]) -> list[Piece]:
    """The pieces that can hold lines of `streams` (sorted ids) from `start` up to, not including, `end` ns."""
    found: list[Piece] = []
    if not len(streams) or start >= end:
        return found
    everything = len(streams) == len(snapshot.streams)
    for segment in snapshot.segments:
        if segment.max_ts < start or segment.min_ts >= end:
            continue
        if not everything and not _holds_any(segment, streams, start, end):
            continue
        found += [
            Piece(group.rows, group.min_ts, group.max_ts, (segment, group.index))
            for group in segment.row_groups
            if group.max_ts >= start
            and group.min_ts < end
            and (everything or _between(streams, group.min_stream, group.max_stream))
            and all(any(segment.may_contain(group.index, text) for text in clause) for clause in clauses)
        ]
    for batch in snapshot.batches:
        if batch.num_rows:
            bounds = pc.min_max(batch.column("ts")).as_py()
            if bounds["max"] >= start and bounds["min"] < end:
                found.append(Piece(batch.num_rows, bounds["min"], bounds["max"], batch))
    return found


def _holds_any(segment: Segment, streams: Iterable[int], start: int, end: int) -> bool:
    counts = segment.stream_counts
    return any(
        (count := counts.get(int(stream))) is not None and count.max_ts >= start and count.min_ts < end
        for stream in streams
    )


def _between(streams: Ids, low: int, high: int) -> bool:
    at = int(np.searchsorted(streams, low))
    return at < len(streams) and int(streams[at]) <= high


def select_rows(piece: Piece, streams: Ids | None, *, start: int, end: int) -> Ids:
    """Rows of `streams` (all where None) within [start, end), ascending."""
    keys = piece.keys
    mask: NDArray[np.bool_] | None = None
    if streams is not None:
        mask = (keys.stream == streams[0]) if len(streams) == 1 else np.isin(keys.stream, streams)
    if piece.min_ts < start or piece.max_ts >= end:
        inside = (keys.ts >= start) & (keys.ts < end)
        mask = inside if mask is None else mask & inside
    if mask is None:
        return np.arange(piece.rows, dtype=np.int32)
    return np.flatnonzero(mask).astype(np.int32)
