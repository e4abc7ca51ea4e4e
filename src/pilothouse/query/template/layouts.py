"""Times by Go's layouts, which are written as one certain time: Mon Jan 2 15:04:05 MST 2006."""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from pilothouse.query.template.errors import TemplateError

_MONTHS = "January February March April May June July August September October November December".split()  # noqa: SIM905
_DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()  # noqa: SIM905
_PART = re.compile(
    r"2006|January|Jan|Monday|Mon|MST|Z07:00|Z0700|-07:00|-0700|-07|[.,]0+|[.,]9+|__2|002|01|02|03|04|05|06|15|PM|pm|_2|1|2|3|4|5"
)


def format_time(value: datetime, layout: str) -> str:
    """`value` written by `layout`."""
    return _PART.sub(lambda match: _write(value, match[0]), layout)


def _write(value: datetime, part: str) -> str:
    offset = value.utcoffset() or timedelta()
    minutes = int(offset.total_seconds()) // 60
    sign, hours, rest = "-" if minutes < 0 else "+", abs(minutes) // 60, abs(minutes) % 60
    hour12 = value.hour % 12 or 12
    simple = {
        "2006": f"{value.year:04d}", "06": f"{value.year % 100:02d}", "January": _MONTHS[value.month - 1],
        "Jan": _MONTHS[value.month - 1][:3], "01": f"{value.month:02d}", "1": str(value.month),
        "Monday": _DAYS[value.weekday()], "Mon": _DAYS[value.weekday()][:3], "02": f"{value.day:02d}",
        "_2": f"{value.day:2d}", "2": str(value.day), "002": f"{value.timetuple().tm_yday:03d}",
        "__2": f"{value.timetuple().tm_yday:3d}", "15": f"{value.hour:02d}", "03": f"{hour12:02d}", "3": str(hour12),
        "04": f"{value.minute:02d}", "4": str(value.minute), "05": f"{value.second:02d}", "5": str(value.second),
        "PM": "PM" if value.hour >= 12 else "AM", "pm": "pm" if value.hour >= 12 else "am",
        "MST": value.tzname() or "UTC",
        "-07:00": f"{sign}{hours:02d}:{rest:02d}",
        "-0700": f"{sign}{hours:02d}{rest:02d}", "-07": f"{sign}{hours:02d}",
        "Z07:00": f"{sign}{hours:02d}:{rest:02d}" if minutes else "Z",
        "Z0700": f"{sign}{hours:02d}{rest:02d}" if minutes else "Z",
    }  # fmt: skip
    if part in simple:
        return simple[part]
    digits = f"{value.microsecond:06d}000".ljust(len(part) - 1, "0")[: len(part) - 1]
    if part[1] == "9":
        digits = digits.rstrip("0")
        return part[0] + digits if digits else ""
    return part[0] + digits


_READ = {
    "2006": r"(?P<year>\d{4})", "06": r"(?P<short>\d{2})", "01": r"(?P<month>\d{2})", "1": r"(?P<month>\d{1,2})",
    "02": r"(?P<day>\d{2})", "_2": r" ?(?P<day>\d{1,2})", "2": r"(?P<day>\d{1,2})", "15": r"(?P<hour>\d{2})",
    "03": r"(?P<hour12>\d{2})", "3": r"(?P<hour12>\d{1,2})", "04": r"(?P<minute>\d{2})", "4": r"(?P<minute>\d{1,2})",
    "05": r"(?P<second>\d{2})", "5": r"(?P<second>\d{1,2})", "PM": r"(?P<half>AM|PM)", "pm": r"(?P<half>am|pm)",
    "January": r"(?P<name>[A-Z][a-z]+)", "Jan": r"(?P<name>[A-Z][a-z]{2})", "Monday": r"[A-Z][a-z]+",
    "Mon": r"[A-Z][a-z]{2}",
    "MST": r"[A-Z]{3,4}", "-07:00": r"(?P<zone>[+-]\d\d:\d\d)", "-0700": r"(?P<zone>[+-]\d{4})",
    "-07": r"(?P<zone>[+-]\d\d)",
    "Z07:00": r"(?P<zone>Z|[+-]\d\d:\d\d)", "Z0700": r"(?P<zone>Z|[+-]\d{4})",
    "002": r"\d{3}", "__2": r"[ \d]{3}",
}  # fmt: skip


def parse_time(text: str, layout: str, zone: tzinfo = UTC) -> datetime | None:
    """The time that `text` says by `layout`; None where it says none."""
    pattern, at = "", 0
    for match in _PART.finditer(layout):
        pattern += re.escape(layout[at : match.start()])
        part = _READ.get(match[0])
        pattern += part if part is not None else r"(?:[.,](?P<fraction>\d+))?"
        if match[0] in {"05", "5"} and not re.match(r"[.,][09]", layout[match.end() :]):
            pattern += r"(?:[.,](?P<fraction>\d+))?"  # Go reads a fraction behind seconds unasked
        at = match.end()
    pattern += re.escape(layout[at:])
    try:
        found = re.fullmatch(pattern, text, re.ASCII)
    except re.error as error:
        raise TemplateError(f"layout {layout!r} names a part twice") from error
    return _assemble(found.groupdict(), zone) if found else None


def _assemble(parts: dict[str, str | None], zone: tzinfo) -> datetime | None:
    def number(name: str, default: int) -> int:
        return int(parts.get(name) or default)

    year = number("year", 0) or (2000 + number("short", 0) if number("short", 99) < 69 else 1900 + number("short", 0))
    month = number("month", 1)
    if name := parts.get("name"):
        month = next((i for i, full in enumerate(_MONTHS, 1) if full[:3] == name[:3]), 0)
    hour = number("hour", 0)
    if parts.get("hour12"):
        hour = number("hour12", 0) % 12 + (12 if (parts.get("half") or "").lower() == "pm" else 0)
    if (offset := parts.get("zone")) and offset != "Z":
        digits = offset[1:].replace(":", "").ljust(4, "0")
        span = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        zone = timezone(-span if offset[0] == "-" else span)
    elif offset:
        zone = UTC
    micro = int((parts.get("fraction") or "0").ljust(6, "0")[:6])
    try:
        return datetime(year, month, number("day", 1), hour, number("minute", 0), number("second", 0), micro, zone)
    except ValueError:
        return None
