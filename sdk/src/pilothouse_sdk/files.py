"""The file: turned over by renaming, so that whoever follows it reads the old one to its end and then the new one."""

import contextlib
import errno
import fcntl
import os
import stat
import sys
import time
from collections.abc import Iterator
from pathlib import Path

RETRY_SECONDS = 60.0
"""After a turning over that failed; until then the file grows."""
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK


class LogPathError(OSError):
    """The log file can't be written; the message says why and what to do."""


def check_path(path: Path) -> None:
    """Make the directory and try the file. Raises LogPathError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without waiting: a pipe that nobody reads is an error too.
        os.close(os.open(path, _FLAGS, 0o666))
    except (OSError, ValueError) as error:
        number = getattr(error, "errno", None) or errno.EINVAL
        reason = os.strerror(number) if isinstance(error, OSError) else str(error)
        raise LogPathError(
            number,
            f"can't write logs to {path}: {reason}. Let user id {os.geteuid()} write there, give another log_path, or "
            "set enable_file_logging=False",
        ) from error


class SharedLogFile:
    """A file that several processes may write to and turn over.

    A line is one appending write, and goes to the file that has the name at that moment: one process renames the files
    under a lock, the others see it with their next line. A line that another process writes just then is at the end of
    the renamed file. Nothing is copied or truncated. Where turning over is not possible, as in a directory that may not
    be written, the file grows on. Not for several threads at once.
    """

    def __init__(self, path: Path, *, max_bytes: int, backups: int) -> None:
        # What the application does to its working directory later is nothing to the log.
        self._path = path.absolute()
        self.name = str(path)
        self._max_bytes = max_bytes
        self._backups = backups
        self._handle: int | None = None
        self._opened: tuple[int, int] | None = None
        self._torn = False
        self._not_before = float("-inf")

    def write(self, data: bytes) -> None:
        """Append one line, its end included. Raises OSError; what was written of the line then ends where it ends."""
        handle, size = self._current()
        if size and size + len(data) > self._max_bytes and time.monotonic() >= self._not_before:
            try:
                self._turn_over()
            except OSError as error:
                self._not_before = time.monotonic() + RETRY_SECONDS
                with contextlib.suppress(OSError, ValueError, AttributeError):
                    sys.stderr.write(f"pilothouse_sdk: {self._path} grows on, it can't be renamed: {error}\n")
            handle, size = self._current()
        # A full disk may have cut a line; the next is one of its own all the same.
        rest = memoryview(b"\n" + data if self._torn else data)
        begun = False
        try:
            while rest:
                rest = rest[os.write(handle, rest) :]
                begun = True
        except OSError:
            self._torn = self._torn or begun
            raise
        self._torn = False

    def close(self) -> None:
        """Close the file."""
        if self._handle is not None:
            handle, self._handle = self._handle, None
            os.close(handle)

    def _current(self) -> tuple[int, int]:
        """A handle of the file that has the name now, and its size; 0 for what is no regular file."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            status = None
        if self._handle is None or status is None or (status.st_dev, status.st_ino) != self._opened:
            self.close()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(self._path, _FLAGS, 0o666)
            # A pipe or terminal is waited for: that holds up only the thread that writes.
            os.set_blocking(self._handle, True)
            status = os.fstat(self._handle)
            self._opened = status.st_dev, status.st_ino
        return self._handle, status.st_size if stat.S_ISREG(status.st_mode) else 0

    def _turn_over(self) -> None:
        with self._lock() as ours:
            if not ours:
                return
            status = self._path.stat()
            if (status.st_dev, status.st_ino) != self._opened:
                return
            for number in range(self._backups - 1, 0, -1):
                with contextlib.suppress(FileNotFoundError):
                    self._numbered(number).replace(self._numbered(number + 1))
            self._path.replace(self._numbered(1))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")

    @contextlib.contextmanager
    def _lock(self) -> Iterator[bool]:
        """Whether this process is the one to rename; another that is at it is not waited for."""
        handle = os.open(self._path.with_name(f"{self._path.name}.lock"), _FLAGS, 0o666)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            yield True
        finally:
            os.close(handle)
