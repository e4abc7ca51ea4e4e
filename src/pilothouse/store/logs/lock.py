"""One store a directory: two would each write over what the other has acknowledged."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from pilothouse.core.errors import Conflict


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory; the kernel lets go of it when the process ends, however it ends. Raises Conflict."""
    handle = os.open(directory / "lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(f"another store is running on {directory}", code="STORE_RUNNING") from None
        yield
    finally:
        os.close(handle)
