"""Label sets and the matchers that select them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")


class MatchOp(StrEnum):
    """The four operators of a label matcher."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One label matcher, as in `{service_name=~"api|web"}`. A regex is anchored at both ends, and is RE2's."""

    name: str
    op: MatchOp
    value: str

    def __str__(self) -> str:
        """The matcher as LogQL and PromQL write it."""
        return f"{self.name}{self.op.value}{quote(self.value)}"


ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quote(text: str) -> str:
    """`text` as a double-quoted string literal of LogQL, PromQL and Go."""
    return '"' + "".join(ESCAPES.get(c) or (c if c.isprintable() else _escape_code(c)) for c in text) + '"'


def _escape_code(char: str) -> str:
    point = ord(char)
    if point < 0x80:
        return f"\\x{point:02x}"
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"


def format_labels(labels: Mapping[str, str]) -> str:
    """The canonical text of a label set: sorted by name, as Loki and Prometheus print it."""
    return "{" + ", ".join(f"{name}={quote(labels[name])}" for name in sorted(labels)) + "}"
