"""From the caller to the files without a wait: a bounded queue, a thread that empties it, a count of the dropped."""

import contextlib
import logging
import queue
import sys
import threading
import time
from logging.handlers import QueueHandler, QueueListener
from typing import Any

TELL_EVERY = 1.0
"""Seconds between two lines that tell of dropped ones."""


class Delivery(QueueHandler):
    """Formats in the caller's thread, where the values are still what they were, and hands the text over.

    When the queue is full the line is dropped and counted: logging never stops the application. The count is told in
    the log itself as soon as there is room.
    """

    def __init__(self, formatter: logging.Formatter, sinks: list[logging.Handler], *, capacity: int) -> None:
        self.waiting: queue.Queue[Any] = queue.Queue(capacity)
        super().__init__(self.waiting)
        self.setFormatter(formatter)
        self.dropped = 0
        self._told, self._last = 0, time.monotonic()
        self._capacity = capacity
        self._sinks = sinks
        self._counting = threading.Lock()
        self._listener = self._listen()

    def enqueue(self, record: logging.LogRecord) -> None:
        """Hand over, or drop and count."""
        try:
            self.waiting.put_nowait(record)
        except queue.Full:
            with self._counting:
                self.dropped += 1

    def filter(self, record: logging.LogRecord) -> Any:
        """An exception that RequestLogMiddleware has written is not written again by the server around it."""
        error = record.exc_info[1] if record.exc_info else None
        return False if getattr(error, LOGGED, False) else super().filter(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the base class's name
        """A line that can't be formatted is counted as dropped; the application goes on."""
        del record
        with self._counting:
            self.dropped += 1

    def flush_all(self, seconds: float = 5.0) -> bool:
        """Wait until all that was handed over is written; False where that took longer."""
        deadline = time.monotonic() + seconds
        while self.waiting.unfinished_tasks:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        for sink in self._sinks:
            # A full disk, or a stdout that is closed, was told when the line was written.
            with contextlib.suppress(OSError, ValueError):
                sink.flush()
        return True

    def close(self) -> None:
        """Write what is left, for five seconds at most, and end the thread."""
        if self._listener is not None:
            self.flush_all()
            self._listener.stop()
            self._listener = None
            self.tell()
            for sink in self._sinks:
                with contextlib.suppress(OSError, ValueError):
                    sink.close()
        super().close()

    def after_fork(self) -> None:
        """A child has the queue but no thread: give it both anew. What was queued is the parent's to write."""
        if self._listener is not None:
            self.queue = self.waiting = queue.Queue(self._capacity)
            self._counting = threading.Lock()
            self.createLock()
            for sink in self._sinks:
                sink.createLock()
            self._listener = self._listen()

    def tell(self) -> None:
        """Write how many lines were dropped since this was last told."""
        with self._counting:
            dropped, self._told = self.dropped - self._told, self.dropped
        if dropped:
            record = logging.makeLogRecord({
                "name": "pilothouse_sdk", "levelno": logging.WARNING, "levelname": "WARNING",
                "msg": "%d log lines were dropped: they came faster than they can be written", "args": (dropped,),
                "dropped": dropped,
            })  # fmt: skip
            text = self.format(record)
            record.msg, record.args, record.message = text, None, text
            for sink in self._sinks:
                sink.handle(record)

    def _listen(self) -> "_Listener | None":
        listener = _Listener(self, *self._sinks)
        listener.start()
        return listener

    def tell_if_due(self) -> None:
        """Tell of dropped lines, not more often than TELL_EVERY."""
        now = time.monotonic()
        if self.dropped != self._told and now - self._last >= TELL_EVERY:
            self._last = now
            self.tell()


LOGGED = "_pilothouse_logged"
"""Set on an exception that has been written with its request."""


class _Listener(QueueListener):
    def __init__(self, delivery: Delivery, *sinks: logging.Handler) -> None:
        super().__init__(delivery.waiting, *sinks)
        self._delivery = delivery
        self._waiting = delivery.waiting

    def handle(self, record: logging.LogRecord) -> None:
        """Write one, and tell of dropped ones."""
        try:
            super().handle(record)
            self._delivery.tell_if_due()
        except Exception as error:  # noqa: BLE001 - the thread must go on, or every later line is lost
            sys.stderr.write(f"pilothouse_sdk: {error}\n")

    def enqueue_sentinel(self) -> None:
        """Put the end behind what is left, waiting for room."""
        self._waiting.put(None, timeout=5)
