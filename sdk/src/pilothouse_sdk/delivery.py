"""From the caller to the sinks without a wait: a bounded queue, a thread that empties it, a count of what was lost."""

import contextlib
import logging
import queue
import sys
import threading
import time
from collections.abc import Sequence
from typing import Protocol, TextIO

from pilothouse_sdk.lines import JsonFormatter

TELL_EVERY = 1.0
"""Seconds between two lines that tell of lost ones."""
COMPLAIN_EVERY = 60.0
"""Seconds between two complaints on stderr about a sink that can't be written."""
END_SECONDS = 5.0
"""How long the end of a process waits for a slow disk."""
LOGGED = "_pilothouse_logged"
"""Set on an exception that has been written with its request."""


class Sink(Protocol):
    """Where lines go."""

    name: str

    def write(self, data: bytes) -> None:
        """Write one line, its end included. Raises OSError or ValueError."""

    def close(self) -> None:
        """Let go of what is held; a later write takes it up again."""


class Console:
    """A text stream such as stdout, past its own encoding."""

    name = "the console"

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, data: bytes) -> None:
        """One line."""
        if (binary := getattr(self._stream, "buffer", None)) is None:
            self._stream.write(data.decode())
        else:
            self._stream.flush()
            binary.write(data)
        self._stream.flush()

    def close(self) -> None:
        """The stream is the application's own."""


class _Outlet:
    """A sink, and the count of what it did not take since that was last told."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.lost = 0
        self.why = ""
        self._complained = float("-inf")

    def write(self, data: bytes) -> bool:
        try:
            self.sink.write(data)
        except (OSError, ValueError) as error:
            self.lost += 1
            self.why = str(error)
            if time.monotonic() - self._complained >= COMPLAIN_EVERY:
                self._complained = time.monotonic()
                with contextlib.suppress(OSError, ValueError, AttributeError):
                    sys.stderr.write(f"pilothouse_sdk: log lines lost, {self.sink.name} can't be written: {error}\n")
            return False
        return True


class Delivery(logging.Handler):
    """Formats in the caller's thread, where the values are still what they were, and hands the line over.

    When the queue is full the line is dropped and counted: logging never stops the application. Both what was dropped
    and what a sink did not take are told in the log itself as soon as there is room.

    No lock is held while a value is formatted or a line handed over, so that a value whose text needs a lock of the
    application's, a signal handler and a destructor may all log.
    """

    def __init__(self, formatter: JsonFormatter, sinks: Sequence[Sink], *, capacity: int) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.dropped = 0
        self._lines = formatter
        self._outlets = [_Outlet(sink) for sink in sinks]
        self._capacity = capacity
        self._told, self._told_at = 0, time.monotonic()
        self._direct = False
        self._closed = False
        self._held_for_fork = False
        self._renew()

    def handle(self, record: logging.LogRecord) -> bool:
        """Format and hand over, without the handler's lock. Never raises."""
        try:
            kept = self.filter(record)
            if kept:
                self.emit(kept if isinstance(kept, logging.LogRecord) else record)
            return bool(kept)
        except Exception:  # noqa: BLE001 - such as no memory; logging must not be what ends the application
            self._drop()
            return False

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one line over, or drop it and count."""
        data = self._lines.encoded(record) + b"\n"
        if self._queue.qsize() >= self._capacity and not self._direct:
            self._drop()
            return
        self._queue.put(data)
        if self._direct:
            self._drain()
        elif self._thread is None:
            self._start()

    def flush(self) -> None:
        """As flush_all, for `logging.shutdown`."""
        self.flush_all()

    def flush_all(self, seconds: float = END_SECONDS) -> bool:
        """Wait until all that was handed over is written; False where that took longer."""
        if self._thread is None or self._direct:
            self._drain()
            return True
        if self._thread is threading.current_thread():
            return False
        reached = threading.Event()
        self._queue.put(reached)
        return reached.wait(seconds)

    def settle(self) -> None:
        """Write what is left and end the thread; from now on lines are written by whoever logs them.

        For the end of a process, where threads stop without notice. A sink that hangs stays with its thread.
        """
        if self._direct or not self.flush_all():
            return
        self._direct = True
        if (thread := self._thread) is not None:
            self._queue.put(None)
            thread.join(END_SECONDS)
        self._drain()
        self._tell()

    def close(self) -> None:
        """Settle, and let go of the sinks."""
        if not self._closed:
            self._closed = True
            self.settle()
            if self._direct:
                with self._writing:
                    for outlet in self._outlets:
                        with contextlib.suppress(OSError, ValueError):
                            outlet.sink.close()
        super().close()

    def before_fork(self) -> None:
        """No line is half written as the process is copied; a sink that hangs does not hold the fork up."""
        self._held_for_fork = self._writing.acquire(timeout=1.0)

    def after_fork_in_parent(self) -> None:
        """Go on."""
        if self._held_for_fork:
            self._held_for_fork = False
            self._writing.release()

    def after_fork_in_child(self) -> None:
        """A child has the queue but no thread: it begins anew. What was queued, and lost, is the parent's to write."""
        self._held_for_fork = False
        self._told = self.dropped
        for outlet in self._outlets:
            outlet.lost = 0
        self._renew()

    def _renew(self) -> None:
        # Unlike Queue, a SimpleQueue may be put to by a signal handler that interrupts a put.
        self._queue: queue.SimpleQueue[bytes | threading.Event | None] = queue.SimpleQueue()
        self._writing = threading.RLock()
        self._starting = threading.RLock()
        self._thread: threading.Thread | None = None

    def _start(self) -> None:
        """Start the thread with the first line, so that a child that never logs has none."""
        with self._starting:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="pilothouse-log", daemon=True)
                self._thread = thread
                try:
                    thread.start()
                except RuntimeError:  # the interpreter is ending
                    self._direct = True
                    self._drain()

    def _run(self) -> None:
        while True:
            try:
                item = self._queue.get(timeout=TELL_EVERY if self._untold() else None)
            except queue.Empty:
                self._tell()
                continue
            if item is None:
                return
            self._take(item)
            if self._untold() and time.monotonic() - self._told_at >= TELL_EVERY:
                self._tell()

    def _take(self, item: bytes | threading.Event | None) -> None:
        if isinstance(item, threading.Event):
            item.set()
        elif item is not None:
            with self._writing:
                for outlet in self._outlets:
                    outlet.write(item)

    def _drain(self) -> None:
        with self._writing, contextlib.suppress(queue.Empty):
            while True:
                self._take(self._queue.get_nowait())

    def _drop(self) -> None:
        with self._starting:
            self.dropped += 1

    def _untold(self) -> bool:
        return self.dropped != self._told or any(outlet.lost for outlet in self._outlets)

    def _tell(self) -> None:
        """Write how many lines were lost since this was last told; each sink is told what it did not get."""
        self._told_at = time.monotonic()
        with self._starting:
            dropped, self._told = self.dropped - self._told, self.dropped
        with self._writing:
            if dropped:
                data = self._notice("%d log lines were dropped: they came faster than they can be written", dropped)
                for outlet in self._outlets:
                    outlet.write(data)
            for outlet in self._outlets:
                lost = outlet.lost
                if lost and outlet.write(self._notice("%d log lines could not be written: " + outlet.why, lost)):
                    outlet.lost = 0
                elif lost:
                    outlet.lost = lost

    def _notice(self, text: str, count: int) -> bytes:
        record = logging.makeLogRecord({
            "name": "pilothouse_sdk", "levelno": logging.WARNING, "levelname": "WARNING",
            "msg": text.replace("%d", str(count), 1), "dropped": count,
        })  # fmt: skip
        return self._lines.encoded(record) + b"\n"
