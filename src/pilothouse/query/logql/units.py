"""Durations and sizes as LogQL, Go and Prometheus write them."""

import re
from fractions import Fraction

from pilothouse.core.times import DAY, HOUR, MINUTE, SECOND

MAX_NS = 2**63 - 1
"""Loki keeps a duration in a signed 64-bit count of nanoseconds."""
_GO_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "μs": 1_000, "ms": 1_000_000, "s": SECOND, "m": MINUTE, "h": HOUR}
_GO_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)", re.ASCII)
_PROMETHEUS = re.compile(r"(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?\Z", re.ASCII)
_PROMETHEUS_UNITS = (365 * DAY, 7 * DAY, DAY, HOUR, MINUTE, SECOND, 1_000_000)
_SIZE = re.compile(r"([0-9.,]+)\s*([a-zA-Z]*)\s*\Z")
_SIZE_UNITS = {"": 1, "b": 1} | {
    unit: base**power
    for power, letter in enumerate("kmgtpe", start=1)
    for unit, base in ((letter, 1000), (f"{letter}b", 1000), (f"{letter}ib", 1024), (f"{letter}i", 1024))
}


def parse_go_duration(text: str) -> int | None:
    """Nanoseconds of what Go's time.ParseDuration reads (`-1.5h`, `900us`, `0`); None where it reads nothing."""
    sign, rest = (-1, text[1:]) if text[:1] == "-" else (1, text[1:] if text[:1] == "+" else text)
    if rest == "0":
        return 0
    total, at = 0, 0
    while match := _GO_PART.match(rest, at):
        number, unit = match.groups()
        if number.isdigit():
            total += int(number) * _GO_UNITS[unit]
        else:
            total += int(Fraction(number.rstrip(".") or "0") * _GO_UNITS[unit])
        at = match.end()
    return sign * total if rest and at == len(rest) and total <= MAX_NS else None


def parse_prometheus_duration(text: str) -> int | None:
    """Nanoseconds of what Prometheus reads (`1d12h`, `90m`, `0`); None where it reads nothing."""
    if text == "0":
        return 0
    match = _PROMETHEUS.match(text)
    if not text or not match:
        return None
    total = sum(int(count) * unit for count, unit in zip(match.groups(), _PROMETHEUS_UNITS, strict=True) if count)
    return total if total <= MAX_NS else None


def parse_duration(text: str) -> int | None:
    """Nanoseconds of a duration in either notation, Prometheus's first, as Loki's lexer does it."""
    value = parse_prometheus_duration(text)
    return parse_go_duration(text) if value is None else value


def parse_size(text: str) -> int | None:
    """Bytes of a size such as `10KB`, `1.5 MiB` or `512`, decimal unless an `i` says otherwise; None where none."""
    match = _SIZE.match(text)
    if not match:
        return None
    number, unit = match[1].replace(",", ""), _SIZE_UNITS.get(match[2].lower())
    if unit is None or number.count(".") > 1 or number in {"", "."} or len(number) > 40:
        return None
    value = int(Fraction(number) * unit)
    return value if value < 2**64 else None


def format_range(ns: int) -> str:
    """A range as Prometheus prints it: `90m` is `1h30m`; weeks and years only where nothing remains."""
    if ns == 0:
        return "0s"
    out, ms = [], ns // 1_000_000
    for unit, size, exact in (
        ("y", 31_536_000_000, True),
        ("w", 604_800_000, True),
        ("d", 86_400_000, False),
        ("h", 3_600_000, False),
        ("m", 60_000, False),
        ("s", 1000, False),
        ("ms", 1, False),
    ):
        if exact and ms % size:
            continue
        count, ms = divmod(ms, size)
        if count:
            out.append(f"{count}{unit}")
    return "".join(out)


def format_go_duration(ns: int) -> str:
    """A duration as Go prints it: `5m0s`, `1.5s`, `900µs`."""
    if ns == 0:
        return "0s"
    sign, ns = ("-", -ns) if ns < 0 else ("", ns)
    if ns < SECOND:
        unit, size = next((u, s) for u, s in (("ms", 1_000_000), ("µs", 1_000), ("ns", 1)) if ns >= s)
        return f"{sign}{_decimal(ns, size)}{unit}"
    hours, rest = divmod(ns, HOUR)
    minutes, rest = divmod(rest, MINUTE)
    head = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
    return f"{sign}{head}{_decimal(rest, SECOND)}s"


def _decimal(value: int, size: int) -> str:
    whole, part = divmod(value, size)
    return f"{whole}.{str(part).rjust(len(str(size)) - 1, '0').rstrip('0')}" if part else str(whole)
