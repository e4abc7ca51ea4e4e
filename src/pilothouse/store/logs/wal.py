"""The write-ahead log: what is acknowledged is in it, on disk.

docs/data-format.md gives the layout. One thread writes; all appends that wait share one fsync. A write that fails
is cut off again, and every append that waited for it fails.
"""

import asyncio
import contextlib
import errno
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from pilothouse.core.errors import PilothouseError, StorageFull, TooLarge, Unavailable

MAGIC = b"PHWAL\x00\x00\x01"
"""The start of each file; the last byte is the format's version."""
MARK = b"\xf1\x50\x48\x52"
"""The start of each record, by which reading finds its feet again behind damage."""
HEADER = struct.Struct("<4sBIIH")
"""Mark, kind, length of the payload, CRC-32 of the payload, and a check of what stands before it.

With a check of its own, a flipped bit in the last record's length is told from a record that was cut short."""
MOST_PAYLOAD = 256 << 20
"""Bytes: no push, decoded, is that large, so a greater length is damage."""
MOST_IOVEC = 512
"""Buffers given to one writev; Linux takes 1,024."""
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class RecordKind(IntEnum):
    """What a record holds."""

    STREAMS = 1
    LINES = 2


KINDS = frozenset(int(kind) for kind in RecordKind)
"""Before Python 3.12 an enumeration can't be asked whether it has a number."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Damage:
    """A part of a file that is not a record."""

    file: str
    offset: int
    length: int
    torn_tail: bool


def encode(kind: RecordKind, payload: bytes | memoryview) -> tuple[bytes, bytes | memoryview]:
    """Header and payload of a record. Raises TooLarge, for what reading would take for damage."""
    if len(payload) > MOST_PAYLOAD:
        raise TooLarge("the push is too large once decoded; send fewer lines at a time")
    crc = zlib.crc32(payload)
    return HEADER.pack(MARK, kind, len(payload), crc, _check(kind, len(payload), crc)), payload


def _check(kind: int, length: int, crc: int) -> int:
    return zlib.crc32(struct.pack("<BII", kind, length, crc)) & 0xFFFF


class WriteAheadLog:
    """Files `00000001.wal`, … in one directory; the highest is being written.

    Used from one event loop. `append` returns when its records are on disk.
    """

    def __init__(self, directory: Path, *, first: int) -> None:
        self._directory = directory
        self._sequence = first
        self._file = -1
        self._length = 0
        self._waiting: list[tuple[list[bytes | memoryview], asyncio.Future[int]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="wal")
        self._lock = asyncio.Lock()
        self.syncs = 0
        self.bytes_written = 0

    @property
    def sequence(self) -> int:
        """The number of the file that is being written."""
        return self._sequence

    def append(self, records: list[tuple[RecordKind, bytes | memoryview]]) -> "asyncio.Future[int]":
        """Queue records; the future gives the number of the file that has them on disk. Raises TooLarge itself.

        The future fails with StorageFull or Unavailable, and then nothing of `records` is kept.
        """
        buffers = [part for kind, payload in records for part in encode(kind, payload)]
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append((buffers, future))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        return future

    async def _write_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            async with self._lock:
                group, self._waiting = self._waiting, []
                buffers = [part for parts, _ in group for part in parts]
                try:
                    await loop.run_in_executor(self._pool, self._write, buffers)
                except OSError as error:
                    failure = as_error(error)
                    # What waits behind may be the repetition of a line that has just failed: fail it too.
                    group, self._waiting = group + self._waiting, []
                    for _, future in group:
                        if not future.done():
                            future.set_exception(failure)
                else:
                    for _, future in group:
                        if not future.done():
                            future.set_result(self._sequence)

    def _write(self, buffers: list[bytes | memoryview]) -> None:
        if self._file < 0:
            self._open()
        try:
            size = 0
            for at in range(0, len(buffers), MOST_IOVEC):
                size += write_fully(self._file, buffers[at : at + MOST_IOVEC])
            os.fdatasync(self._file)
        except OSError:
            self._cut_back()
            raise
        self._length += size
        self.syncs += 1
        self.bytes_written += size

    def _open(self) -> None:
        path = self._directory / f"{self._sequence:08d}.wal"
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(self._file, MAGIC)
            os.fsync(self._file)
            sync_directory(self._directory)
        except OSError:
            self._cut_back()
            raise
        self._length = len(MAGIC)

    def _cut_back(self) -> None:
        """Leave no half record behind: cut it off, or go on in a new file where even that fails."""
        try:
            if self._length:
                os.ftruncate(self._file, self._length)
                os.lseek(self._file, self._length, os.SEEK_SET)
                return
        except OSError:
            self._sequence += 1
        with contextlib.suppress(OSError):
            os.close(self._file)
        self._file, self._length = -1, 0

    async def rotate(self) -> int:
        """Begin a new file at the next append; gives its number. All that was appended is in earlier files."""
        async with self._lock:
            if self._file >= 0:
                await asyncio.get_running_loop().run_in_executor(self._pool, os.close, self._file)
                self._file, self._length = -1, 0
                self._sequence += 1
            return self._sequence

    def remove_before(self, sequence: int) -> None:
        """Delete the files before `sequence`: their lines are in segments."""
        for path in files(self._directory):
            if number_of(path) < sequence:
                path.unlink(missing_ok=True)

    async def close(self) -> None:
        """Finish what is queued and close."""
        if self._writer is not None:
            await self._writer
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._pool.shutdown()


def write_fully(file: int, buffers: list[bytes | memoryview]) -> int:
    """Write all of `buffers`, however little the system takes at a time; gives the bytes written."""
    total = sum(len(part) for part in buffers)
    written = os.writev(file, buffers)
    if written < total:
        rest = memoryview(b"".join(buffers))[written:]
        while rest:
            rest = rest[os.write(file, rest) :]
    return total


def sync_directory(directory: Path) -> None:
    """Make the names in `directory` durable."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def as_error(error: OSError) -> PilothouseError:
    """What a client is told when a write fails."""
    if error.errno in FULL:
        return StorageFull("the disk is full: nothing of this push was kept; free space, then push it again")
    return Unavailable(f"the store can't write ({error.strerror}): nothing of this push was kept; push it again")


def files(directory: Path) -> list[Path]:
    """The log's files, oldest first."""
    return sorted((p for p in directory.glob("*.wal") if p.stem.isdigit()), key=number_of)


def cut_tail(path: Path, tail: Damage) -> None:
    """Cut off a torn tail, so that it is not taken for damage when newer files stand behind it. Raises OSError."""
    handle = os.open(path, os.O_WRONLY)
    try:
        os.ftruncate(handle, tail.offset)
        os.fsync(handle)
    finally:
        os.close(handle)


def number_of(path: Path) -> int:
    """The number in a file's name."""
    return int(path.stem)


def read(path: Path, *, last: bool, damaged: Callable[[Damage], None]) -> Iterator[tuple[RecordKind, memoryview]]:
    """The records of a file, in order. What is no record goes to `damaged`, and reading goes on behind it.

    At the end of the last file an unfinished record is a torn tail: it was never acknowledged.
    """
    data = memoryview(path.read_bytes())
    at = len(MAGIC)
    if bytes(data[:at]) != MAGIC:
        if len(data) < at and last:
            if data:
                damaged(Damage(file=path.name, offset=0, length=len(data), torn_tail=True))
            return
        at = 0
    while at < len(data):
        record = _record_at(data, at)
        if record is not None:
            yield record
            at += HEADER.size + len(record[1])
            continue
        behind = _next_record(data, at + 1)
        torn = last and behind is None and _is_cut_short(data, at)
        end = len(data) if behind is None else behind
        damaged(Damage(file=path.name, offset=at, length=end - at, torn_tail=torn))
        at = end


def _record_at(data: memoryview, at: int) -> tuple[RecordKind, memoryview] | None:
    header = _header_at(data, at)
    if header is None:
        return None
    kind, length, crc = header
    payload = data[at + HEADER.size : at + HEADER.size + length]
    if len(payload) != length or zlib.crc32(payload) != crc:
        return None
    return kind, payload


def _header_at(data: memoryview, at: int) -> tuple[RecordKind, int, int] | None:
    if at + HEADER.size > len(data):
        return None
    mark, kind, length, crc, check = HEADER.unpack_from(data, at)
    if mark != MARK or length > MOST_PAYLOAD or kind not in KINDS or check != _check(kind, length, crc):
        return None
    return RecordKind(kind), length, crc


def _is_cut_short(data: memoryview, at: int) -> bool:
    """Whether the file ends before the record at `at` does: a write that a crash broke off, and not a changed byte."""
    header = _header_at(data, at)
    if header is None:
        return len(data) - at < HEADER.size
    return at + HEADER.size + header[1] > len(data)


def _next_record(data: memoryview, at: int) -> int | None:
    raw = bytes(data[at:])
    found = raw.find(MARK)
    while found >= 0:
        if _record_at(data, at + found) is not None:
            return at + found
        found = raw.find(MARK, found + 1)
    return None
