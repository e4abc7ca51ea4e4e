"""Files by glob, followed by inode through rotation, truncation and copytruncate.

Lines get the time that they tell themselves, or the time of reading. So that a line which is read again after a crash
gets the same time, and is known to the backend as the same line, the time and the extent of a batch are saved before
it is pushed.
"""

import asyncio
import contextlib
import glob
import os
import time
import zlib
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog
from prometheus_client import Gauge

from pilothouse.core.times import now_ns
from pilothouse.worker.collect.joiner import Joiner
from pilothouse.worker.collect.stamps import stamp_of
from pilothouse.worker.line import Collected
from pilothouse.worker.positions import Positions
from pilothouse.worker.push import Pusher

log = structlog.get_logger(__name__)
SCAN_SECONDS = 0.5
IDLE_SECONDS = 0.1
CHUNK = 256 * 1024
"""Bytes read at a time: a batch that the store takes in a few milliseconds."""
LONGEST = 1 << 20
"""Bytes without a newline after which a piece goes out as a line; the store cuts and marks it."""
HOLD_SECONDS = 0.5
"""How long the last event of a file waits for what may still belong to it, and a line for its end."""
ROTATED_SECONDS = 5.0
"""How long a file that was renamed or removed is still read: writers keep it open for a while."""
FINGERPRINT = 256
"""Bytes at the start by which a file is known again: an inode number is soon used for another."""
PACKED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip", ".Z")
MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")

BEHIND = Gauge(
    "pilothouse_worker_file_bytes_behind", "Bytes of a file that are not yet acknowledged.", ["source", "file"]
)


class FilePosition(msgspec.Struct, frozen=True):
    """`offset` is acknowledged. A batch that was under way reaches to `upto`, with lines from time `stamp` (ns) on."""

    path: str
    offset: int = 0
    head: int = 0
    head_bytes: int = 0
    upto: int = 0
    stamp: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class FileSource:
    """One glob, and the labels of its lines; `name` is the service, the file's stem where it is empty."""

    pattern: str
    name: str = ""
    labels: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, entry: str, *, host: str) -> "FileSource":
        """`NAME=GLOB` or `GLOB`, as the setting LOG_FILES has them."""
        name, equals, pattern = entry.partition("=")
        if not equals or "/" in name:
            name, pattern = "", entry
        return cls(pattern=str(Path(pattern).expanduser()), name=name.strip(), labels=(("host", host),))


class Files:
    """Follows every file that the sources' globs match, those that appear later too."""

    def __init__(self, sources: list[FileSource], pusher: Pusher, positions: Positions[FilePosition]) -> None:
        self._sources = sources
        self._pusher = pusher
        self._positions = positions
        self._following: dict[str, asyncio.Task[None]] = {}
        self._refused: set[str] = set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                for source, path in await asyncio.to_thread(self._matches):
                    self._follow(group, source, path)
                await asyncio.sleep(SCAN_SECONDS)

    def _matches(self) -> list[tuple[FileSource, str]]:
        return [
            (source, path)
            for source in self._sources
            for path in sorted(glob.glob(source.pattern, recursive=True))  # noqa: PTH207 - absolute patterns
            if not path.endswith(PACKED)
        ]

    def _follow(self, group: asyncio.TaskGroup, source: FileSource, path: str) -> None:
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if path not in self._refused and not isinstance(error, FileNotFoundError):
                self._refused.add(path)
                log.warning("a file can't be read", file=path, error=error.strerror)
            return
        self._refused.discard(path)
        key = key_of(os.fstat(handle))
        task = self._following.get(key)
        if (
            not Path(path).is_file()
            or (task is not None and not task.done())
            or os.pread(handle, 6, 0).startswith(MAGIC)
        ):
            os.close(handle)
            return
        follower = Follower(handle, key, path, source, self._pusher, self._positions)
        self._following[key] = group.create_task(follower.run())


def key_of(status: os.stat_result) -> str:
    """What a file is known by, whatever it is called."""
    return f"{status.st_dev:x}:{status.st_ino:x}"


class Follower:
    """One open file, read to its end and on."""

    def __init__(
        self, handle: int, key: str, path: str, source: FileSource, pusher: Pusher, positions: Positions[FilePosition]
    ) -> None:
        self._handle = handle
        self._key = key
        self._path = path
        self._source = source
        self._pusher = pusher
        self._positions = positions
        self._service = source.name or Path(path).name.partition(".")[0] or "files"
        self._labels = {"service_name": self._service, **dict(source.labels)}
        self._metadata = {"filename": path}
        self._last_stamp = 0
        known = positions.get(key)
        self._position = known if known and self._is_same(known) else FilePosition(path=path)

    def _is_same(self, known: FilePosition) -> bool:
        head = os.pread(self._handle, known.head_bytes, 0)
        return os.fstat(self._handle).st_size >= known.offset and zlib.crc32(head) == known.head

    async def run(self) -> None:
        """Until the file has been renamed or removed for a while, and is read to its end."""
        gone_since = quiet_since = 0.0
        try:
            while True:
                if await self._read_on(give_up_waiting=bool(quiet_since) and since(quiet_since) > HOLD_SECONDS):
                    gone_since = quiet_since = 0.0
                    continue
                quiet_since = quiet_since or time.monotonic()
                if await asyncio.to_thread(self._is_elsewhere):
                    gone_since = gone_since or time.monotonic()
                    if since(gone_since) > ROTATED_SECONDS:
                        return
                await asyncio.sleep(IDLE_SECONDS)
        except OSError as error:
            log.warning("a file can't be read on", file=self._path, error=str(error))
        finally:
            os.close(self._handle)
            with contextlib.suppress(KeyError):
                BEHIND.remove(self._service, self._path)

    def _is_elsewhere(self) -> bool:
        """Whether the path leads to another file now, or to none."""
        try:
            return key_of(Path(self._path).stat()) != self._key
        except OSError:
            return True

    async def _read_on(self, *, give_up_waiting: bool) -> bool:
        """Read, push and save a batch; whether there was one. `give_up_waiting`: the unfinished goes out as it is."""
        size = os.fstat(self._handle).st_size
        if size < self._position.offset or (size > self._position.offset and not self._is_same(self._position)):
            log.info("a file was truncated and is read from its start", file=self._path)
            self._position = FilePosition(path=self._path)
        BEHIND.labels(self._service, self._path).set(size - self._position.offset)
        if size == self._position.offset:
            return False
        upto, stamp = self._position.upto, self._position.stamp
        again = upto > self._position.offset
        wanted = upto - self._position.offset if again else CHUNK
        data = await asyncio.to_thread(os.pread, self._handle, wanted, self._position.offset)
        while not again and b"\n" not in data and len(data) < LONGEST:
            more = await asyncio.to_thread(os.pread, self._handle, CHUNK, self._position.offset + len(data))
            if not more:
                break
            data += more
        finished = size == self._position.offset + len(data)
        events, used = split(data, everything=again or (finished and give_up_waiting))
        if not used:
            return False
        stamp = stamp if again else max(now_ns(), self._last_stamp + 1)
        self._last_stamp = stamp + len(events)
        head = os.pread(self._handle, min(FINGERPRINT, self._position.offset + used), 0)
        under_way = FilePosition(
            path=self._path, offset=self._position.offset, head=zlib.crc32(head), head_bytes=len(head),
            upto=self._position.offset + used, stamp=stamp,
        )  # fmt: skip
        self._positions.set(self._key, under_way)
        lines = [
            Collected(self._labels, stamp_of(text, now=stamp) or stamp + i, text, self._metadata)
            for i, text in enumerate(events)
        ]
        await self._pusher.push(f"file:{self._service}", lines)
        self._position = msgspec.structs.replace(under_way, offset=under_way.upto, upto=0, stamp=0)
        self._positions.set(self._key, self._position)
        return True


def since(moment: float) -> float:
    """Seconds."""
    return time.monotonic() - moment


def split(data: bytes, *, everything: bool) -> tuple[list[str], int]:
    """Events of `data`, and how many of its bytes they use.

    What may still go on, a line without its end or an event that could be a stack trace, is left for the next time
    unless `everything`.
    """
    joiner: Joiner[int] = Joiner()
    events: list[str] = []
    at = used = 0
    while at < len(data):
        end = data.find(b"\n", at)
        if end < 0:
            if not everything and len(data) - at < LONGEST:
                break
            end = len(data)
        text = data[at:end].rstrip(b"\r").decode("utf-8", "backslashreplace")
        if done := joiner.add(text, end):
            events.append(done[0])
            used = at
        at = min(end + 1, len(data))
    if joiner.is_open and (everything or at - used >= LONGEST) and (done := joiner.flush()):
        events.append(done[0])
        used = at
    return [event for event in events if event], used
