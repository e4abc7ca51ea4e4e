"""Regular expressions of users: RE2 alone, which can't be made to run away."""

from functools import lru_cache
from typing import Any

import re2

_REASONS = {
    "missing )": "missing closing )",
    "unexpected )": "unexpected )",
    "missing ]": "missing closing ]",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid escape sequence": "invalid escape sequence",
    "invalid character class range": "invalid character class range",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
    "invalid repetition size": "invalid repeat count",
    "trailing \\": "trailing backslash at end of expression",
    "pattern too large - compile failed": "expression too large",
}
"""C++ RE2's words for what is wrong, and Go's, which are those of Loki's errors."""
MAX_PROGRAM = 1 << 20
"""Bytes a compiled pattern may take; a counted repetition of counted repetitions would take any amount."""


class RegexError(ValueError):
    """A pattern that RE2 can't read, in Go's words."""


def _compile(pattern: str, *, dot_all: bool) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = dot_all
    options.max_mem = MAX_PROGRAM
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        what, _, where = text.partition(": ")
        if what.startswith("missing )"):
            where = pattern
        raise RegexError(f"error parsing regexp: {_REASONS.get(what, what)}: `{where}`") from error


@lru_cache(maxsize=512)
def compile_search(pattern: str) -> Any:
    """A pattern to be found anywhere in a line: `.` is no newline. Raises RegexError."""
    return _compile(pattern, dot_all=False)


@lru_cache(maxsize=512)
def compile_anchored(pattern: str) -> Any:
    """A pattern for the whole of a label's value, to be used by `fullmatch`: `.` is any character."""
    return _compile(pattern, dot_all=True)
