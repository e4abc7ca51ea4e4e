"""One open file, read to its end and on, through truncation and after it was renamed.

Lines get the time that they tell themselves, or the time of reading. So that a line which is read again after a crash
gets the same time, and is known to the backend as the same line, the time and the extent of a batch are saved before
it is pushed.
"""

import asyncio
import contextlib
import os
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import structlog
from prometheus_client import Gauge

from pilothouse.core.times import now_ns
from pilothouse.worker.collect.lines import LONGEST, Flush, split
from pilothouse.worker.collect.rotation import files_beside, is_packed, is_rotated, key_of, open_file
from pilothouse.worker.collect.stamps import stamp_of
from pilothouse.worker.line import Collected
from pilothouse.worker.positions import Positions
from pilothouse.worker.push import Pusher

if TYPE_CHECKING:
    from pilothouse.worker.collect.files import FileSource

log = structlog.get_logger(__name__)
IDLE_SECONDS = 0.1
LOOK_SECONDS = 0.5
"""Between looks whether the path leads to another file."""
CHUNK = 256 * 1024
"""Bytes read at a time: a batch that the store takes in a few milliseconds."""
HOLD_SECONDS = 0.5
"""How long the last event of a file waits for what may still belong to it."""
UNFINISHED_SECONDS = 5.0
"""How long a line without its end waits for it: a program with a buffered output writes in the middle of lines."""
ROTATED_SECONDS = 5.0
"""How long a file that was renamed or removed stays open without a new line: writers keep it open for a while."""
AGAIN_SECONDS = 5.0
"""Before a file that could not be read on is opened again."""
FINGERPRINT = 256
"""Bytes at the start, and before the offset, by which a file is known again: an inode is soon used for another."""

BEHIND = Gauge(
    "pilothouse_worker_file_bytes_behind", "Bytes of a file that are not yet acknowledged.", ["source", "file"]
)


class FilePosition(msgspec.Struct, frozen=True):
    """`offset` is acknowledged. A batch that was under way reaches to `upto`, with lines from time `stamp` (ns) on.

    `path` is the name at first sight, `pattern` the glob that matched it. `head` and `tail` are CRCs of the first
    `head_bytes` and of the last FINGERPRINT before `offset`. The last line told the time `told`, as did `repeats`
    lines right before it. `seen_at` and `read_at` (ns) are when it was first seen and last read.
    """

    path: str
    pattern: str = ""
    offset: int = 0
    head: int = 0
    head_bytes: int = 0
    tail: int = 0
    upto: int = 0
    stamp: int = 0
    told: int = 0
    repeats: int = 0
    seen_at: int = 0
    read_at: int = 0

    @property
    def has_some(self) -> bool:
        """Whether anything was read, by which the file can be known again."""
        return max(self.offset, self.upto) > 0

    def fits(self, handle: int) -> bool:
        """Whether the open file has what was read, where it was read."""
        begin = max(0, self.offset - FINGERPRINT)
        return (
            os.fstat(handle).st_size >= max(self.offset, self.upto)
            and zlib.crc32(os.pread(handle, self.head_bytes, 0)) == self.head
            and zlib.crc32(os.pread(handle, self.offset - begin, begin)) == self.tail
        )


class Follower:
    """Owns `handle`. `moved`: the name under which the file was written leads to another by now, or to none."""

    def __init__(
        self,
        handle: int,
        path: str,
        source: "FileSource",
        pusher: Pusher,
        positions: Positions[FilePosition],
        *,
        begin: FilePosition,
        moved: bool = False,
    ) -> None:
        self._handle = handle
        self._key = key_of(os.fstat(handle))
        self._path = path
        self._source = source
        self._pusher = pusher
        self._positions = positions
        self._position = begin
        service = source.name or Path(begin.path).name.partition(".")[0] or "files"
        self._metrics = f"file:{service}"
        self._labels = {"service_name": service, **dict(source.labels)}
        self._metadata = {"filename": path}
        self._last_stamp = 0
        self._seen: tuple[int, int] | None = None
        self._changed_at = time.monotonic()
        self.moved = moved
        self._caught_up = asyncio.Event()
        if positions.get(self._key) != begin:
            positions.set(self._key, begin)

    @property
    def named(self) -> str:
        """The name of the file at first sight."""
        return self._position.path

    async def run(self, *, after: "list[Follower]") -> None:
        """Until it has been renamed or removed for a while, and is read to its end.

        `after`: those that had the name before, which are read to their end first, so that lines keep their order.
        """
        try:
            for one in after:
                await one.until_caught_up()
            await self._follow()
        except OSError as error:
            log.warning("a file can't be read on", file=self._path, error=str(error))
            await asyncio.sleep(AGAIN_SECONDS)
        finally:
            self._caught_up.set()
            self.close()

    async def until_caught_up(self) -> None:
        """Until it is read to the end that it had when it lost its name."""
        await self._caught_up.wait()

    def close(self) -> None:
        """Give the handle back."""
        os.close(self._handle)
        with contextlib.suppress(KeyError):
            BEHIND.remove(self._metrics, self._path)

    def is_copy(self, handle: int, path: str) -> bool:
        """Whether the open file at `path` is a copy of this one, ready or being made, as copytruncate makes it."""
        if not is_rotated(path, self.named):
            return False
        copied = os.fstat(handle).st_size
        size = min(copied, os.fstat(self._handle).st_size)
        begin = max(0, size - FINGERPRINT)
        if not copied or (
            size
            and all(
                os.pread(handle, length, at) == os.pread(self._handle, length, at)
                for at, length in ((0, min(FINGERPRINT, size)), (begin, size - begin))
            )
        ):
            return True
        # A batch may be under way, of what has been truncated since.
        saved = self._positions.get(self._key)
        return saved is not None and saved.has_some and saved.fits(handle)

    async def _follow(self) -> None:
        looked, gone_since = 0.0, 0.0
        while True:
            if await self._read_on():
                continue
            if self.moved and self._seen and self._seen[0] == self._position.offset:
                self._caught_up.set()
            if since(looked) > LOOK_SECONDS:
                looked = time.monotonic()
                self.moved = await asyncio.to_thread(self._is_elsewhere)
                if not self.moved:
                    gone_since = 0.0
                elif not gone_since:
                    gone_since = time.monotonic()
                    continue
            # A line without its end, too, has gone out by then.
            if gone_since and min(since(gone_since), since(self._changed_at)) > ROTATED_SECONDS:
                if not os.fstat(self._handle).st_nlink:
                    self._positions.forget(self._key)
                return
            await asyncio.sleep(IDLE_SECONDS)

    def _patience(self) -> Flush:
        """What no longer waits for the rest of it, now that the file has not changed for a while."""
        quiet = since(self._changed_at)
        if quiet > (HOLD_SECONDS if self.moved else UNFINISHED_SECONDS):
            return Flush.EVERYTHING
        return Flush.EVENTS if quiet > HOLD_SECONDS else Flush.NOTHING

    def _is_elsewhere(self) -> bool:
        """Whether the name leads to another file now, or to none."""
        try:
            return key_of(Path(self.named).stat()) != self._key
        except OSError:
            return True

    async def read_out(self) -> None:
        """Read all there is."""
        while await self._read_on(Flush.EVERYTHING):
            pass

    async def _read_on(self, flush: Flush | None = None) -> bool:
        """Read, push and save a batch; whether there was one. `flush` is what does not wait for more."""
        status = os.fstat(self._handle)
        position = self._position
        BEHIND.labels(self._metrics, self._path).set(max(0, status.st_size - position.offset))
        seen = (status.st_size, status.st_mtime_ns)
        if seen != self._seen:
            self._seen = seen
            self._changed_at = time.monotonic()
        elif status.st_size == position.offset:
            return False
        flush = Flush.EVERYTHING if position.upto else flush or self._patience()
        taken = await asyncio.to_thread(self._take, status.st_size, flush)
        if taken is None:
            await self._begin_again()
            return True
        events, under_way = taken
        if under_way.upto == position.offset:
            return False
        self._last_stamp = under_way.stamp + len(events)
        lines, under_way = self._stamped(events, under_way)
        self._positions.set(self._key, msgspec.structs.replace(
            under_way, offset=position.offset, tail=position.tail, told=position.told, repeats=position.repeats
        ))  # fmt: skip
        await self._pusher.push(self._metrics, lines)
        self._position = msgspec.structs.replace(under_way, upto=0, stamp=0, read_at=now_ns())
        self._positions.set(self._key, self._position)
        return True

    def _take(self, size: int, flush: Flush) -> tuple[list[str], FilePosition] | None:
        """The next events, and where they reach; None where the file is no longer the one that was read."""
        position = self._position
        again = position.upto > position.offset
        begin = max(0, position.offset - FINGERPRINT)
        wanted = position.upto - position.offset if again else CHUNK
        while True:
            block = os.pread(self._handle, position.offset - begin + wanted, begin)
            data = block[position.offset - begin :]
            reaches_end = position.offset + len(data) >= size
            events, used = split(data, flush if again or reaches_end else Flush.NOTHING)
            if used or again or reaches_end:
                break
            # One event, or one line, of more than was wanted; never more than LONGEST without an end.
            wanted = min(wanted * 2, 2 * LONGEST) if wanted < 2 * LONGEST else wanted + LONGEST
        head = os.pread(self._handle, FINGERPRINT, 0)
        # Looked at after reading: what was truncated meanwhile, and written anew, is not what was read.
        if not position.fits(self._handle):
            return None
        offset = position.offset + used
        upto = block[: position.offset - begin + used]
        return events, msgspec.structs.replace(
            position,
            offset=offset,
            upto=offset,
            head=zlib.crc32(head[:offset]),
            head_bytes=min(len(head), offset),
            tail=zlib.crc32(upto[-FINGERPRINT:]),
            stamp=position.stamp if again else max(now_ns(), self._last_stamp + 1),
        )

    def _stamped(self, events: list[str], position: FilePosition) -> tuple[list[Collected], FilePosition]:
        """Lines with their times, and `position` with the time last told.

        Lines in a row that tell the same time get one nanosecond more each: they keep their order, and two that are
        alike are two.
        """
        told, repeats = position.told, position.repeats
        lines = []
        for i, text in enumerate(events):
            own = stamp_of(text, now=position.stamp)
            if own is None:
                lines.append(Collected(self._labels, position.stamp + i, text, self._metadata))
                continue
            told, repeats = own, repeats + 1 if own == told else 0
            lines.append(Collected(self._labels, own + repeats, text, self._metadata))
        return lines, msgspec.structs.replace(position, told=told, repeats=repeats)

    async def _begin_again(self) -> None:
        """The file was truncated, or is another of the same inode: read the rest from its copy, then from its start."""
        position = self._position
        rest = await asyncio.to_thread(self._find_copy)
        if rest is not None:
            try:
                await rest.read_out()
            finally:
                rest.close()
        log.info("a file was truncated and is read from its start", file=self._path, copied=rest is not None)
        self._seen = None
        self._position = FilePosition(
            path=position.path, pattern=position.pattern, seen_at=position.seen_at, read_at=now_ns()
        )
        self._positions.set(self._key, self._position)

    def _find_copy(self) -> "Follower | None":
        """The copy that was made before the file was truncated."""
        if not self._position.offset:
            return None
        for path, status in files_beside(self.named):
            key = key_of(status)
            if not is_rotated(path, self.named) or self._positions.get(key) or key == self._key:
                continue
            try:
                handle = open_file(path)
            except OSError:
                continue
            if handle is None:
                continue
            if not is_packed(path, handle) and self._position.fits(handle):
                return Follower(
                    handle, path, self._source, self._pusher, self._positions, begin=self._position, moved=True
                )
            os.close(handle)
        return None


def since(moment: float) -> float:
    """Seconds."""
    return time.monotonic() - moment
