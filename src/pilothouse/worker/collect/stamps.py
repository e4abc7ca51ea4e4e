"""The time that a line itself tells, where it is cheap to find: at its start, or in a JSON line's usual fields."""

import re

from pilothouse.core.errors import InvalidRequest
from pilothouse.core.times import DAY, MINUTE, SECOND, parse_instant

_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)")
_JSON_TIME = re.compile(r'"(?:timestamp|time|ts|@timestamp)"\s*:\s*(?:"([^"]{19,40})"|(\d{9,19}(?:\.\d+)?))')
LOOK = 300
"""Characters of a line that are looked at."""
OLDEST, NEWEST = 7 * DAY, MINUTE
"""A time further from now than this is not the time of writing: a birthday, a deadline, a wrong clock."""


def stamp_of(line: str, *, now: int) -> int | None:
    """Nanoseconds, or None where the line has no time with a zone that could be its own."""
    found: int | None = None
    if line[:1] == "{":
        if match := _JSON_TIME.search(line, 0, LOOK):
            found = _iso(match[1]) if match[1] else _number(match[2])
    elif match := _ISO.match(line, 1 if line[:1] in "[\"'" else 0):
        found = _iso(match[0])
    return found if found is not None and now - OLDEST < found < now + NEWEST else None


def _iso(text: str) -> int | None:
    try:
        return parse_instant(text.replace(",", "."))
    except InvalidRequest:
        return None


def _number(text: str) -> int | None:
    """Seconds, milliseconds, microseconds or nanoseconds since 1970, told apart by their size."""
    whole, _, fraction = text.partition(".")
    scale = {10: SECOND, 13: 1_000_000, 16: 1000, 19: 1}.get(len(whole))
    if scale is None:
        return None
    return int(whole) * scale + (int(fraction.ljust(9, "0")[:9]) * scale // SECOND if fraction else 0)
