"""The file: turned over by renaming, so that whoever follows it reads the old one to its end and then the new one."""

import contextlib
import errno
import fcntl
import logging
import os
import sys
import time
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path

COMPLAIN_EVERY = 60.0
"""Seconds between two complaints on stderr about a file that can't be written."""


class LogPathError(OSError):
    """The log file can't be written; the message says why and what to do."""


def check_path(path: Path) -> None:
    """Make the directory and try the file. Raises LogPathError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab"):
            pass
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise LogPathError(
            error.errno or errno.EIO,
            f"can't write logs to {path}: {reason}. Let user id {os.getuid()} write there, give another log_path, or "
            "set enable_file_logging=False",
        ) from error


class SharedRotatingFile(RotatingFileHandler):
    """RotatingFileHandler for several processes on one file.

    Turning over happens under a lock, and a process whose file was turned over by another goes on in the new one. The
    line that is being written as another process turns over still goes to the old file: nothing is lost.
    """

    def __init__(self, path: Path, *, max_bytes: int, backups: int) -> None:
        super().__init__(path, maxBytes=max_bytes, backupCount=backups, encoding="utf-8", errors="backslashreplace")
        self.setFormatter(logging.Formatter("%(message)s"))
        self.lost = 0
        self._complained = float("-inf")

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, to the file that has the name now."""
        if not self._is_current():
            self._reopen()
        super().emit(record)

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802 - the base class's name
        """Whether the file would outgrow max_bytes. A file that is no regular one, such as /dev/stdout, never does."""
        return bool(super().shouldRollover(record))

    def doRollover(self) -> None:  # noqa: N802 - the base class's name
        """Turn over, unless another process just did."""
        with self._lock_file():
            if self._is_current():
                super().doRollover()
            else:
                self._reopen()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the base class's name
        """A full disk must not end the application or flood its stderr: lines lost are counted, and told at times."""
        del record
        self.lost += 1
        now = time.monotonic()
        if now - self._complained >= COMPLAIN_EVERY:
            self._complained = now
            with contextlib.suppress(OSError, ValueError):
                sys.stderr.write(f"pilothouse_sdk: {self.lost} log lines lost: {sys.exc_info()[1]}\n")

    def _is_current(self) -> bool:
        if self.stream is None:
            return False
        try:
            there, ours = Path(self.baseFilename).stat(), os.fstat(self.stream.fileno())
        except (OSError, ValueError):
            return False
        return (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)

    def _reopen(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            if self.stream is not None:
                self.stream.close()
        with contextlib.suppress(OSError):
            self.stream = self._open()

    @contextlib.contextmanager
    def _lock_file(self) -> Iterator[None]:
        with Path(f"{self.baseFilename}.lock").open("a", encoding="utf-8") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            yield
