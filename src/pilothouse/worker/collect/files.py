"""Files by glob, known by inode: through renaming, truncation and copytruncate, also while nobody looked."""

import asyncio
import glob
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import structlog

from pilothouse.core.times import DAY, now_ns
from pilothouse.worker.collect.follower import FilePosition, Follower, since
from pilothouse.worker.collect.rotation import files_beside, is_packed, is_rotated, key_of, open_file
from pilothouse.worker.positions import Positions
from pilothouse.worker.push import Pusher

log = structlog.get_logger(__name__)
SCAN_SECONDS = 0.5
LOOK_BACK_SECONDS = 10.0
"""Between looks for files that were rotated unseen, or written to after that."""
FORGET = DAY
"""How long the position of a file that is nowhere is kept: a directory may be unmounted for a while."""


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
        return cls(pattern=str(Path(pattern.strip()).expanduser()), name=name.strip(), labels=(("host", host),))


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A file to follow. `named` is the name under which it was written."""

    path: str
    named: str
    key: str
    source: FileSource


class Files:
    """Follows every file that the sources' globs match, those that appear later too."""

    def __init__(self, sources: list[FileSource], pusher: Pusher, positions: Positions[FilePosition]) -> None:
        self._sources = {source.pattern: source for source in reversed(sources)}
        self._pusher = pusher
        self._positions = positions
        self._following: dict[str, tuple[Follower, asyncio.Task[None]]] = {}
        self._refused: set[str] = set()
        self._scanned_at = 0

    async def run(self) -> None:
        """Until cancelled."""
        self._following.clear()
        looked_back: float | None = None
        async with asyncio.TaskGroup() as group:
            while True:
                self._following = {key: one for key, one in self._following.items() if not one[1].done()}
                began = now_ns()
                matches = await asyncio.to_thread(lambda: list(self._matches()))
                held = {one.named for one, _ in self._following.values()}
                rotated = any(found.named in held for found in matches)
                if looked_back is None or rotated or since(looked_back) > LOOK_BACK_SECONDS:
                    # First, so that what was written before a rotation is read before what was written after it.
                    looked_back = time.monotonic()
                    for found in await asyncio.to_thread(lambda: list(self._left_behind())):
                        self._follow(group, found)
                for found in matches:
                    self._follow(group, found)
                self._scanned_at = began
                await asyncio.sleep(SCAN_SECONDS)

    def _matches(self) -> Iterator[Found]:
        for source in self._sources.values():
            for path in sorted(glob.glob(source.pattern, recursive=True)):  # noqa: PTH207 - patterns with a root
                try:
                    key = key_of(Path(path).stat())
                except OSError:
                    continue
                known = self._positions.get(key)
                # A rotated file that is read to its end is looked at again when it has grown, by _left_behind.
                if key not in self._following and (known is None or known.path == path):
                    yield Found(path=path, named=path, key=key, source=source)

    def _left_behind(self) -> Iterator[Found]:
        """Files that have their name no longer, and are not read to their end; those nowhere are forgotten."""
        positions = {key: one for key in self._positions.keys() if (one := self._positions.get(key))}  # noqa: SIM118
        first: dict[str, FilePosition] = {}
        for one in positions.values():
            if one.pattern in self._sources and one.seen_at <= first.get(one.path, one).seen_at:
                first[one.path] = one
        seen = set(self._following)
        for named, oldest in first.items():
            source = self._sources[oldest.pattern]
            for path, status in files_beside(named):
                key = key_of(status)
                known = positions.get(key)
                if known is None:
                    missed = is_rotated(path, named) and status.st_mtime_ns > oldest.seen_at
                else:
                    missed = known.path == named != path and (known.upto > 0 or status.st_size != known.offset)
                    seen.add(key)
                if missed and key not in self._following:
                    yield Found(path=path, named=named, key=key, source=source)
        for key, one in positions.items():
            if key not in seen and one.read_at < now_ns() - FORGET:
                self._positions.forget(key)

    def _follow(self, group: asyncio.TaskGroup, found: Found) -> None:
        if found.key in self._following:
            return
        handle = None
        try:
            handle = open_file(found.path)
            if handle is None:
                return
            follower = self._follower(handle, found)
        except OSError as error:
            if handle is not None:
                os.close(handle)
            if found.path not in self._refused:
                self._refused.add(found.path)
                log.warning("a file can't be read", file=found.path, error=str(error))
            return
        if follower is None:
            os.close(handle)
            return
        self._refused.discard(found.path)
        before = [
            one
            for one, _ in self._following.values()
            if one.named == found.named and (one.moved or found.path == found.named)
        ]
        self._following[found.key] = follower, group.create_task(follower.run(after=before))

    def _follower(self, handle: int, found: Found) -> Follower | None:
        """A follower of the open file; None where there is nothing in it that is not read elsewhere."""
        if key_of(os.fstat(handle)) != found.key or is_packed(found.path, handle):
            return None
        known = self._positions.get(found.key)
        if known is None and self._is_copy(handle, found.path):
            return None
        now = now_ns()
        # What was not there at the last look is newer than that, and so is what it was rotated to since.
        fresh = FilePosition(path=found.named, seen_at=self._scanned_at or now, read_at=now)
        begin = msgspec.structs.replace(known or fresh, pattern=found.source.pattern)
        return Follower(
            handle, found.path, found.source, self._pusher, self._positions,
            begin=begin, moved=found.path != found.named,
        )  # fmt: skip

    def _is_copy(self, handle: int, path: str) -> bool:
        """Whether it is the copy of a file that is followed, made to truncate that: its follower reads the rest."""
        if any(one.is_copy(handle, path) for one, _ in self._following.values()):
            return True
        known = (self._positions.get(key) for key in self._positions.keys())  # noqa: SIM118 - not a mapping
        return any(one.has_some and is_rotated(path, one.path) and one.fits(handle) for one in known if one is not None)
