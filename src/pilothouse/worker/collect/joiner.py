"""Puts the lines of a stack trace back together: Python's, Java's, Go's and Node's."""

import re
from typing import Generic, TypeVar

MOST_LINES = 500
MOST_CHARS = 128 * 1024
"""An event beyond these is cut into several: a file of indented text is no stack trace."""
TROUBLE = re.compile(r"error|exception|fatal|critical|panic|warn|fail|traceback", re.IGNORECASE)
"""What a line says that a trace behind it belongs to; behind any other line, a trace is an event of its own."""
_TRACEBACK = re.compile(r"Traceback \(most recent call last\):\s*\Z")
_CHAINED = re.compile(r"(?:During handling of the above exception|The above exception was the direct cause)")
_JAVA_MORE = re.compile(r"(?:Caused by: |Suppressed: |\.\.\. \d+ (?:more|common frames omitted))")
_JAVA_HEAD = re.compile(r"(?:[A-Za-z_$][\w$]*\.)+[A-Za-z_$][\w$]*(?:Exception|Error|Throwable)(?::|\s*\Z)")
_GO_HEAD = re.compile(r"(?:panic: |fatal error: |runtime error: |\[signal )")
_GO_ROUTINE = re.compile(r"goroutine \d+ (?:gp=\w+ m=\S+ )?(?:mp=\w+ )?\[")
_GO_MORE = re.compile(
    r"(?:created by |exit status \d|\.\.\.(?:additional|\d+) frames"
    r"|[\w./*()\[\]{}%,~@$·-]+\(.*\)\s*\Z)"
)
_NODE_HEAD = re.compile(r"(?:node:\S+|\S+\.[cm]?[jt]sx?):\d+\s*\Z")
_CARET = re.compile(r"\s*\^+\s*\Z")
_NODE_VERSION = re.compile(r"Node\.js v\d")

P = TypeVar("P")


class Joiner(Generic[P]):
    """Takes lines with a place each, gives events: the joined text, and the places of its first and last line."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._chars = 0
        self._first: P | None = None
        self._last: P | None = None
        self._traceback = self._go = self._routines = self._node = False

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
            self._go = bool(_GO_HEAD.match(line))
            self._node = bool(_NODE_HEAD.match(line))
        if _TRACEBACK.search(line) and line[:1] not in {" ", "\t"}:
            self._traceback = True
        elif _GO_ROUTINE.match(line):
            self._go = self._routines = True
        self._lines.append(line)
        self._chars += len(line)
        self._last = place
        return done

    def flush(self) -> tuple[str, P, P] | None:
        """The open event, if there is one. An empty line alone is an event without text."""
        if not self._lines or self._first is None or self._last is None:
            return None
        done = ("\n".join(self._lines).rstrip("\n"), self._first, self._last)
        self._lines, self._chars = [], 0
        self._traceback = self._go = self._routines = self._node = False
        return done

    def _belongs(self, line: str) -> bool:
        if len(self._lines) >= MOST_LINES or self._chars + len(line) > MOST_CHARS:
            return False
        last = self._lines[-1]
        if line[:1] in {" ", "\t"}:
            return True
        if line == "}":
            return last[:1] in {" ", "\t"} or last.endswith(
                "{"
            )  # the fields of an error that Node prints behind its frames
        if _JAVA_MORE.match(line):
            return last[:1] in {" ", "\t"}
        if _JAVA_HEAD.match(line) or _GO_ROUTINE.match(line) or (not self._traceback and _TRACEBACK.match(line)):
            return self._go or bool(TROUBLE.search(last))
        return (
            (self._traceback and self._belongs_to_traceback(line, last))
            or (self._go and (not line or bool((_GO_MORE if self._routines else _GO_HEAD).match(line))))
            or (self._node and self._belongs_to_node(line, last))
        )

    def _belongs_to_traceback(self, line: str, last: str) -> bool:
        """The exception itself behind the last indented line, and what Python chains to it."""
        if not line or _CHAINED.match(line) or last[:1] in {" ", "\t"}:
            return True
        return bool(_TRACEBACK.match(line)) and (not last or bool(_CHAINED.match(last)))

    def _belongs_to_node(self, line: str, last: str) -> bool:
        """The source line behind its place, carets, the error, and the version at the end."""
        if len(self._lines) == 1 or not line or _CARET.match(line) or _NODE_VERSION.match(line):
            return True
        return len(self._lines) < 6 and (bool(_CARET.match(last)) or not last)
