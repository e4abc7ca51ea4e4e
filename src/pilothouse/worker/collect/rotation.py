"""Where a file's content is after a rotation: under another name, or in a copy."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

PACKED = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".zip", ".Z")
MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")
_SUFFIX = re.compile(r"[.-]\d[\d.:T_-]*\Z")
"""What rotation puts behind a name: `.1`, `-20260131`, `.2026-01-31T09`."""


def key_of(status: os.stat_result) -> str:
    """What a file is known by, whatever it is called."""
    return f"{status.st_dev:x}:{status.st_ino:x}"


def is_packed(path: str, handle: int) -> bool:
    """Whether it is compressed, by its name or by how it begins."""
    return path.endswith(PACKED) or os.pread(handle, 6, 0).startswith(MAGIC)


def is_rotated(path: str, of: str) -> bool:
    """Whether `path` is a name that rotation gives to the file `of`."""
    return path.startswith(of) and _SUFFIX.match(path, len(of)) is not None


def files_beside(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """The regular files of the directory of `path`, with itself, oldest first; none where it can't be listed."""
    found: list[tuple[str, os.stat_result]] = []
    with contextlib.suppress(OSError), os.scandir(Path(path).parent) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                if entry.is_file():
                    found.append((entry.path, entry.stat()))
    yield from sorted(found, key=lambda one: one[1].st_mtime_ns)


def open_file(path: str) -> int | None:
    """A handle to read from; None where it is no regular file or is gone. Raises OSError where it can't be read."""
    with contextlib.suppress(FileNotFoundError):
        if Path(path).is_file():
            return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    return None
