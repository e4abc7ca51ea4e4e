"""Instants as integer nanoseconds since the epoch, and spans of time as people write them."""

import calendar
import re
import time
from fractions import Fraction

from pilothouse.core.errors import InvalidRequest

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": SECOND, "m": MINUTE, "h": HOUR,
         "d": DAY, "w": 7 * DAY, "y": 365 * DAY}  # fmt: skip
_SPAN_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d|w|y)")
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(?:([Zz])|([+-])(\d\d):?(\d\d))\Z"
)
MIN_NS = 0
MAX_NS = 2**63 - 1


def now_ns() -> int:
    """The present as nanoseconds since the epoch."""
    return time.time_ns()


def parse_instant(text: str, *, field: str = "time") -> int:
    """Nanoseconds of an RFC 3339 time, or of integer nanoseconds.

    Raises InvalidRequest naming `field`.
    """
    if text.isascii() and text.isdigit() and int(text) <= MAX_NS:
        return int(text)
    if match := _RFC3339.match(text):
        year, month, day, hour, minute, second = (int(g) for g in match.groups()[:6])
        fraction, zulu, sign, off_hour, off_minute = match.groups()[6:]
        if 1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second <= 60 and year >= 1970:
            days = calendar.monthrange(year, month)[1]
            if day <= days:
                seconds = calendar.timegm((year, month, day, hour, minute, second, 0, 0, 0))
                if not zulu:
                    offset = int(off_hour) * 3600 + int(off_minute) * 60
                    seconds -= offset if sign == "+" else -offset
                value = seconds * SECOND + int((fraction or "").ljust(9, "0"))
                if MIN_NS <= value <= MAX_NS:
                    return value
    raise InvalidRequest(
        f"{field} must be an RFC 3339 time such as 2026-01-31T09:30:00Z, or nanoseconds since 1970; got {text!r:.80}",
        code="INVALID_TIME",
        details={"field": field},
    )


def format_instant(ns: int) -> str:
    """RFC 3339 in UTC with nanoseconds: `2026-01-31T09:30:00.000000001Z`."""
    seconds, fraction = divmod(ns, SECOND)
    t = time.gmtime(seconds)
    return (
        f"{t.tm_year:04d}-{t.tm_mon:02d}-{t.tm_mday:02d}T{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d}.{fraction:09d}Z"
    )


def parse_span(text: str, *, field: str = "duration") -> int:
    """Nanoseconds of a positive duration such as `5m`, `1h30m`, `7d`. Raises InvalidRequest naming `field`."""
    total, at = 0, 0
    while match := _SPAN_PART.match(text, at):
        total += int(Fraction(match[1]) * UNITS[match[2]])
        at = match.end()
    if not text or at != len(text) or total <= 0 or total > MAX_NS:
        raise InvalidRequest(
            f"{field} must be a duration such as 30s, 5m, 1h30m or 7d; got {text!r:.80}",
            code="INVALID_DURATION",
            details={"field": field},
        )
    return total


def format_span(ns: int) -> str:
    """The shortest exact text of a duration: `90m` is `1h30m`, zero is `0s`."""
    if ns == 0:
        return "0s"
    out = []
    for unit in ("d", "h", "m", "s", "ms", "us", "ns"):
        count, ns = divmod(ns, UNITS[unit])
        if count:
            out.append(f"{count}{unit}")
    return "".join(out)
