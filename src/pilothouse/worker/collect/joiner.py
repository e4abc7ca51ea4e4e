"""Puts the lines of a stack trace back together: Python's, Java's and Node's, Go's."""

import re
from typing import Generic, TypeVar

MOST_LINES = 500
MOST_CHARS = 128 * 1024
"""An event beyond these is cut into several: a file of indented text is no stack trace."""
_TRACEBACK = re.compile(r"\s*(?:\S.*\s)?Traceback \(most recent call last\):\s*\Z")
_CHAINED = re.compile(r"(?:During handling of the above exception|The above exception was the direct cause)")
_JAVA = re.compile(r"(?:Caused by: |Suppressed: |\.\.\. \d+ more)")
_GO_START = re.compile(r"(?:panic: |fatal error: |goroutine \d+ \[)")
_GO_MORE = re.compile(r"(?:goroutine \d+ \[|\[signal |created by |exit status \d|[\w./*()\[\]-]+\(.*\)\s*\Z|panic: )")

P = TypeVar("P")


class Joiner(Generic[P]):
    """Takes lines with a place each, gives events: the joined text, and the places of its first and last line."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._chars = 0
        self._first: P | None = None
        self._last: P | None = None
        self._traceback = False
        self._go = False

    @property
    def is_open(self) -> bool:
        """Whether an event waits for what may still belong to it."""
        return bool(self._lines)

    def add(self, line: str, place: P) -> tuple[str, P, P] | None:
        """Take a line; gives the event that it ends by not belonging to it."""
        done = None
        if self._lines and not self._belongs(line):
            done = self.flush()
        if not self._lines:
            self._first = place
            self._go = bool(_GO_START.match(line))
        if _TRACEBACK.match(line):
            self._traceback = True
        self._lines.append(line)
        self._chars += len(line)
        self._last = place
        return done

    def flush(self) -> tuple[str, P, P] | None:
        """The open event, if there is one."""
        if not self._lines or self._first is None or self._last is None:
            return None
        done = ("\n".join(self._lines).rstrip("\n") or self._lines[0], self._first, self._last)
        self._lines, self._chars, self._traceback, self._go = [], 0, False, False
        return done

    def _belongs(self, line: str) -> bool:
        if len(self._lines) >= MOST_LINES or self._chars + len(line) > MOST_CHARS:
            return False
        if line[:1] in {" ", "\t"} or _JAVA.match(line) or _TRACEBACK.match(line):
            return True
        if self._traceback:
            if not line or _CHAINED.match(line):
                return True
            if self._lines[-1][:1] in {" ", "\t"}:
                return True  # the exception itself, behind the last indented line
            if not self._lines[-1] or _CHAINED.match(self._lines[-1]):
                return bool(_TRACEBACK.match(line))
            return False
        return self._go and (not line or bool(_GO_MORE.match(line)))
