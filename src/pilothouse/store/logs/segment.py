"""One immutable file of lines with its side index: sorted by stream, then time, then arrival."""

import mmap
import os
import weakref
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pilothouse.core.errors import PilothouseError
from pilothouse.store.logs import minimizers
from pilothouse.store.logs.levels import LEVELS
from pilothouse.store.logs.schema import ROW_GROUP, SCHEMA
from pilothouse.store.logs.wal import sync_directory

INDEX_MAGIC = b"PHIDX\x00\x00\x01"
FRESH_ZSTD, MERGED_ZSTD = 3, 13
"""Level 3 keeps up with any push; level 13 takes 4 s of a core for a million lines, and is done once."""


class SegmentDamaged(PilothouseError):
    """A segment's file is missing or not what its index says; the rest of the store goes on."""

    default_code = "SEGMENT_DAMAGED"


class RowGroup(msgspec.Struct, frozen=True, array_like=True):
    """What is known of a row group without opening the file. `offset` is its first row."""

    index: int
    rows: int
    offset: int
    min_ts: int
    max_ts: int
    min_stream: int
    max_stream: int
    bitmap_at: int
    bitmap_bytes: int


class StreamCount(msgspec.Struct, frozen=True, array_like=True):
    """What a segment holds of one stream: its rows are `first_row` to `first_row + rows`. `levels` by code."""

    stream: int
    first_row: int
    rows: int
    min_ts: int
    max_ts: int
    bytes: int
    levels: tuple[int, ...]


class IndexHeader(msgspec.Struct, frozen=True):
    """The side index, but for its bitmaps."""

    rows: int
    min_ts: int
    max_ts: int
    row_groups: tuple[RowGroup, ...]
    streams: tuple[StreamCount, ...]


@dataclass(eq=False)
class Segment:
    """A segment and its index. The files stay while anything refers to it, also after `retire`.

    `written_at` is when its file was made, in ns; a merge makes a new one.
    """

    name: str
    path: Path
    header: IndexHeader
    disk_bytes: int
    merged: bool
    written_at: int
    _bitmaps: mmap.mmap
    _bitmaps_at: int

    @property
    def rows(self) -> int:
        """How many lines."""
        return self.header.rows

    @property
    def min_ts(self) -> int:
        """The oldest line's time, ns."""
        return self.header.min_ts

    @property
    def max_ts(self) -> int:
        """The newest line's time, ns."""
        return self.header.max_ts

    @property
    def row_groups(self) -> tuple[RowGroup, ...]:
        """In the order of the file."""
        return self.header.row_groups

    @cached_property
    def stream_counts(self) -> Mapping[int, StreamCount]:
        """By stream id: rows, times, bytes and levels, without a read."""
        return {count.stream: count for count in self.header.streams}

    def stream_rows(self, stream: int) -> tuple[int, int]:
        """First row and number of rows of `stream`; (0, 0) where it has none."""
        count = self.stream_counts.get(stream)
        return (count.first_row, count.rows) if count else (0, 0)

    def may_contain(self, row_group: int, literal: bytes) -> bool:
        """False only where no line of the row group holds `literal`, in whatever case of ASCII letters."""
        if minimizers.needle(literal) is None:
            return True
        group = self.row_groups[row_group]
        bitmap = np.frombuffer(
            self._bitmaps, dtype=np.uint8, count=group.bitmap_bytes, offset=self._bitmaps_at + group.bitmap_at
        )
        return minimizers.may_contain(bitmap, literal)

    @cached_property
    def metadata(self) -> pq.FileMetaData:
        """The Parquet footer, read once."""
        with self.reading() as file:
            return file.metadata

    def reading(self) -> pq.ParquetFile:
        """The open file; to be closed by `with`. Raises SegmentDamaged."""
        try:
            return pq.ParquetFile(
                self.path, memory_map=True, page_checksum_verification=True, metadata=self.__dict__.get("metadata")
            )
        except (OSError, pa.ArrowInvalid) as error:
            raise SegmentDamaged(
                f"segment {self.name} can't be read: {error}", details={"segment": self.name}
            ) from None

    def read(self, row_groups: Iterable[int], columns: list[str] | None = None) -> pa.Table:
        """Some row groups, with all columns or some. Raises SegmentDamaged."""
        try:
            with self.reading() as file:
                return file.read_row_groups(list(row_groups), columns=columns, use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise SegmentDamaged(
                f"segment {self.name} can't be read: {error}", details={"segment": self.name}
            ) from None

    def retire(self) -> None:
        """Delete the files once nobody reads them."""
        weakref.finalize(self, remove_files, self.path)


def remove_files(path: Path) -> None:
    """Delete a segment's file and index; they may be gone already."""
    path.unlink(missing_ok=True)
    index_path(path).unlink(missing_ok=True)


def index_path(path: Path) -> Path:
    """Where the side index of a segment is."""
    return path.with_suffix(".idx")


def write(path: Path, tables: Iterable[pa.Table], *, labels: Mapping[int, Mapping[str, str]], merged: bool) -> Segment:
    """Write sorted rows as a segment: temporary name, fsync, rename. Raises OSError, and then leaves nothing.

    `tables` are consecutive and sorted by (stream, ts); `labels` are those of the streams in them, kept in the footer
    so that a lone file still tells what it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh, index_fresh = path.with_suffix(".tmp"), path.with_suffix(".idx.tmp")
    builder = _IndexBuilder()
    schema = SCHEMA.with_metadata({"pilothouse.streams": msgspec.json.encode({str(k): v for k, v in labels.items()})})
    try:
        with pq.ParquetWriter(
            fresh, schema, compression="zstd", compression_level=MERGED_ZSTD if merged else FRESH_ZSTD,
            use_dictionary=["stream", "level", "metadata"], column_encoding={"ts": "DELTA_BINARY_PACKED",
            "line": "DELTA_LENGTH_BYTE_ARRAY"}, write_statistics=["ts", "stream"], data_page_size=1 << 19,
            write_page_checksum=True,
        ) as out:  # fmt: skip
            for group in in_row_groups(tables):
                out.write_table(group, row_group_size=ROW_GROUP)
                builder.add(group)
        index_fresh.write_bytes(builder.encode())
        for one in (fresh, index_fresh):
            _sync(one)
        index_fresh.rename(index_path(path))
        fresh.rename(path)
        sync_directory(path.parent)
        sync_directory(path.parent.parent)
    except BaseException:
        for one in (fresh, index_fresh):
            one.unlink(missing_ok=True)
        remove_files(path)
        raise
    return open_segment(path, merged=merged)


def write_index(path: Path) -> None:
    """Make the side index of a segment anew from its lines. Raises SegmentDamaged, and OSError."""
    builder = _IndexBuilder()
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for number in range(file.num_row_groups):
                builder.add(file.read_row_group(number))
    except (OSError, pa.ArrowInvalid) as error:
        raise SegmentDamaged(f"segment {path.name} can't be read: {error}", details={"segment": path.name}) from None
    fresh = path.with_suffix(".idx.tmp")
    fresh.write_bytes(builder.encode())
    _sync(fresh)
    fresh.rename(index_path(path))
    sync_directory(path.parent)


def in_row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables of ROW_GROUP rows, but for the last."""
    held: list[pa.Table] = []
    rows = 0
    for table in tables:
        held.append(table)
        rows += table.num_rows
        while rows >= ROW_GROUP:
            joined = pa.concat_tables(held)
            yield joined.slice(0, ROW_GROUP).combine_chunks()
            held, rows = [joined.slice(ROW_GROUP)], rows - ROW_GROUP
    if rows:
        yield pa.concat_tables(held).combine_chunks()


class _IndexBuilder:
    """Gathers the side index while row groups are written."""

    def __init__(self) -> None:
        self._groups: list[RowGroup] = []
        self._bitmaps: list[bytes] = []
        self._bitmap_bytes = 0
        self._rows = 0
        self._streams: dict[int, StreamCount] = {}

    def add(self, group: pa.Table) -> None:
        ts = group["ts"].to_numpy()
        stream = group["stream"].to_numpy()
        level = group["level"].to_numpy()
        size = pc.binary_length(group["line"]).to_numpy()
        bitmap = minimizers.build(group["line"])
        self._groups.append(
            RowGroup(
                index=len(self._groups), rows=group.num_rows, offset=self._rows,
                min_ts=int(ts.min()), max_ts=int(ts.max()), min_stream=int(stream[0]), max_stream=int(stream[-1]),
                bitmap_at=self._bitmap_bytes, bitmap_bytes=len(bitmap),
            )
        )  # fmt: skip
        self._bitmaps.append(bitmap)
        self._bitmap_bytes += len(bitmap)
        first = np.flatnonzero(np.diff(stream, prepend=stream[0] - 1))
        for begin, end in zip(first, [*first[1:], len(stream)], strict=True):
            self._count(int(stream[begin]), self._rows + int(begin), ts[begin:end], size[begin:end], level[begin:end])
        self._rows += group.num_rows

    def _count(self, stream: int, row: int, ts: np.ndarray, size: np.ndarray, level: np.ndarray) -> None:
        levels = np.bincount(level, minlength=len(LEVELS))
        old = self._streams.get(stream)
        self._streams[stream] = StreamCount(
            stream=stream,
            first_row=old.first_row if old else row,
            rows=len(ts) + (old.rows if old else 0),
            min_ts=min(int(ts.min()), old.min_ts if old else int(ts[0])),
            max_ts=max(int(ts.max()), old.max_ts if old else int(ts[0])),
            bytes=int(size.sum()) + (old.bytes if old else 0),
            levels=tuple(int(n) + (old.levels[i] if old else 0) for i, n in enumerate(levels)),
        )

    def encode(self) -> bytes:
        header = msgspec.msgpack.encode(
            IndexHeader(
                rows=self._rows,
                min_ts=min(group.min_ts for group in self._groups),
                max_ts=max(group.max_ts for group in self._groups),
                row_groups=tuple(self._groups),
                streams=tuple(self._streams.values()),
            )
        )
        bitmaps = b"".join(self._bitmaps)
        lengths = len(header).to_bytes(4, "little") + len(bitmaps).to_bytes(8, "little")
        crcs = zlib.crc32(header).to_bytes(4, "little") + zlib.crc32(bitmaps).to_bytes(4, "little")
        return INDEX_MAGIC + lengths + crcs + header + bitmaps


def open_segment(path: Path, *, merged: bool) -> Segment:
    """Open a segment's index; the lines are not read. Raises SegmentDamaged."""
    try:
        with index_path(path).open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        found = path.stat()
    except (OSError, ValueError) as error:
        raise SegmentDamaged(
            f"segment {path.name} is missing or empty: {error}", details={"segment": path.name}
        ) from None
    begin = len(INDEX_MAGIC) + 20
    header_bytes = int.from_bytes(mapped[8:12], "little")
    bitmap_bytes = int.from_bytes(mapped[12:20], "little")
    header = mapped[begin : begin + header_bytes]
    if (
        mapped[:8] != INDEX_MAGIC
        or len(mapped) != begin + header_bytes + bitmap_bytes
        or zlib.crc32(header).to_bytes(4, "little") != mapped[20:24]
        or zlib.crc32(memoryview(mapped)[begin + header_bytes :]).to_bytes(4, "little") != mapped[24:28]
    ):
        raise SegmentDamaged(f"the index of segment {path.name} is damaged", details={"segment": path.name})
    return Segment(
        name=path.name,
        path=path,
        header=msgspec.msgpack.decode(header, type=IndexHeader),
        disk_bytes=found.st_size + len(mapped),
        merged=merged,
        written_at=found.st_mtime_ns,
        _bitmaps=mapped,
        _bitmaps_at=begin + header_bytes,
    )


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
