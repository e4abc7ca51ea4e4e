"""Patterns such as `<ip> - <_> "<method> <path>"`: literal text and captures by turns."""

import itertools
import re
from dataclasses import dataclass

_CAPTURE = re.compile(r"<([a-zA-Z_][a-zA-Z0-9_]*)>")


class PatternError(ValueError):
    """A pattern that can't be, in Loki's words."""


@dataclass(frozen=True, slots=True)
class Capture:
    """A place in a pattern where anything may stand; an unnamed one, `<_>`, keeps nothing."""

    name: str | None


Pattern = tuple[str | Capture, ...]


def parse_captures(text: str) -> Pattern:
    """The parts of a parser's pattern, with one named capture at least. Raises PatternError."""
    pattern = _parse(text)
    names = [part.name for part in pattern if isinstance(part, Capture) and part.name]
    if not names:
        raise PatternError("at least one capture is required")
    _check_apart(pattern)
    for name in names:
        if names.count(name) > 1:
            raise PatternError(f"duplicate capture name ({name}): invalid expression")
    return pattern


def parse_line_pattern(text: str) -> Pattern:
    """The parts of a line filter's pattern, which captures nothing by name. Raises PatternError."""
    pattern = _parse(text)
    _check_apart(pattern)
    for part in pattern:
        if isinstance(part, Capture) and part.name:
            raise PatternError(f"named captures are not allowed: found '<{part.name}>'")
    return pattern


def capture(pattern: Pattern, line: str) -> list[tuple[str, str]]:
    """What the named captures of a parser's pattern hold in `line`, as far as it fits.

    A capture whose following text is missing takes the rest of the line; a line that does not begin with a leading
    literal gives nothing.
    """
    found: list[tuple[str, str]] = []
    if not line:
        return found
    at, index = 0, 0
    if isinstance(pattern[0], str):
        if not line.startswith(pattern[0]):
            return found
        at, index = len(pattern[0]), 1
    while index < len(pattern):
        part = pattern[index]
        name = part.name if isinstance(part, Capture) else None
        literal = pattern[index + 1] if index + 1 < len(pattern) else None
        end = line.find(literal, at) if isinstance(literal, str) else -1
        if end < 0:
            if name:
                found.append((name, line[at:]))
            return found
        if name:
            found.append((name, line[at:end]))
        at = end + len(literal) if isinstance(literal, str) else end
        index += 2
    return found


def fits(pattern: Pattern, line: str) -> bool:
    """Whether a line filter's pattern holds: captures may not be empty, and the line's end must be reached.

    As in Loki, a leading literal may stand anywhere.
    """
    if not line or not pattern:
        return not line and not pattern
    at = 0
    for index, part in enumerate(pattern):
        if isinstance(part, Capture):
            continue
        found = line.find(part, at)
        if found < 0 or (index and found == at):
            return False
        at = found + len(part)
    return isinstance(pattern[-1], Capture) == (at != len(line))


def _parse(text: str) -> Pattern:
    parts: list[str | Capture] = []
    at = 0
    for match in _CAPTURE.finditer(text):
        if match.start() > at:
            parts.append(text[at : match.start()])
        parts.append(Capture(None if match[1] == "_" else match[1]))
        at = match.end()
    if at < len(text):
        parts.append(text[at:])
    return tuple(parts)


def _check_apart(pattern: Pattern) -> None:
    for left, right in itertools.pairwise(pattern):
        if isinstance(left, Capture) and isinstance(right, Capture):
            both = f"<{left.name or '_'}><{right.name or '_'}>"
            raise PatternError(f"found consecutive capture '{both}': invalid expression")
