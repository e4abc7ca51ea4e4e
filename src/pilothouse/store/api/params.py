"""The parameters of Loki's read API, with its defaults and its errors."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.datastructures import QueryParams
from starlette.requests import Request

from pilothouse.core.errors import InvalidRequest, TooLarge
from pilothouse.core.times import HOUR, SECOND, now_ns, parse_instant
from pilothouse.query.logql.units import parse_prometheus_duration
from pilothouse.store.logs.query.errors import QueryRefused

DEFAULT_SINCE = HOUR
DEFAULT_LIMIT = 100
MAX_LIMIT = 10_000
"""Lines of one answer. Loki's default is 5,000; the product's own API gives up to 10,000 a page."""
MAX_POINTS = 11_000
"""Points of a series in one answer, as in Loki and Prometheus."""
MAX_FORM = 1 << 20
"""Bytes of a form that is posted."""

Params = QueryParams | Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """From `start` up to `end`, ns."""

    start: int
    end: int


async def read_params(request: Request) -> QueryParams:
    """What the URL says, and a posted form, which wins. Raises TooLarge."""
    if request.method != "POST":
        return request.query_params
    if int(request.headers.get("content-length") or 0) > MAX_FORM:
        raise TooLarge(f"a form of more than {MAX_FORM} bytes")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MAX_FORM:
            raise TooLarge(f"a form of more than {MAX_FORM} bytes")
    form = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    given = {name for name, _ in form}
    return QueryParams([*form, *((k, v) for k, v in request.query_params.multi_items() if k not in given)])


def text(params: Params, name: str) -> str:
    """A parameter, empty where it is missing."""
    value = params.get(name) or ""
    return value if isinstance(value, str) else ""


def instant(value: str, name: str, default: int) -> int:
    """Nanoseconds: an integer of seconds (up to ten digits) or nanoseconds, seconds with decimals, or RFC 3339."""
    if not value:
        return default
    try:
        digits = value.removeprefix("-")
        if digits.isascii() and digits.isdigit():
            number = int(value)
            return number * SECOND if len(value) <= 10 else number
        if "." in value and value.replace(".", "", 1).isdigit():
            whole, _, part = value.partition(".")
            return int(whole or 0) * SECOND + int(part[:9].ljust(9, "0"))
        return parse_instant(value, field=name)
    except InvalidRequest as error:
        raise QueryRefused(f"could not parse '{name}' parameter: {error.message}", details={"field": name}) from error


def span(params: Params, since: int = DEFAULT_SINCE) -> Span:
    """`start`, `end` and `since`. Raises QueryRefused."""
    now = now_ns()
    given = text(params, "since")
    if given:
        parsed = parse_prometheus_duration(given)
        if parsed is None:
            raise QueryRefused(f"could not parse 'since' parameter: not a valid duration string: \"{given}\"")
        since = parsed
    end = instant(text(params, "end"), "end", now)
    start = instant(text(params, "start"), "start", min(end, now) - since)
    if end < start:
        raise QueryRefused("end timestamp must not be before or equal to start time")
    return Span(start=start, end=end)


def duration(value: str) -> int:
    """Nanoseconds of a number of seconds or of a duration. Raises QueryRefused."""
    try:
        seconds = float(value)
        if math.isfinite(seconds) and abs(seconds) < 2**63 / SECOND:
            return int(seconds * SECOND)
    except ValueError:
        parsed = parse_prometheus_duration(value)
        if parsed is not None:
            return parsed
    raise QueryRefused(f'cannot parse "{value}" to a valid duration')


def step(params: Params, over: Span) -> int:
    """The step in ns; where none is given, one that makes 250 points. Raises QueryRefused."""
    value = text(params, "step")
    ns = duration(value) if value else max((over.end - over.start) // SECOND // 250, 1) * SECOND
    if ns <= 0:
        raise QueryRefused("zero or negative query resolution step widths are not accepted. Try a positive integer")
    if (over.end - over.start) // ns > MAX_POINTS:
        raise QueryRefused(
            "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step "
            "parameter"
        )
    return ns


def interval(params: Params) -> int:
    """Nanoseconds between the lines of an answer at the least; zero gives every line. Raises QueryRefused."""
    value = text(params, "interval")
    ns = duration(value) if value else 0
    if ns < 0:
        raise QueryRefused("interval must be >= 0")
    return ns


def integer(params: Params, name: str, default: int) -> int:
    """A positive integer. Raises QueryRefused."""
    value = text(params, name)
    if not value:
        return default
    try:
        number = int(value)
    except ValueError:
        raise QueryRefused(f'strconv.Atoi: parsing "{value}": invalid syntax', details={"field": name}) from None
    if number <= 0:
        raise QueryRefused(f"{name} must be a positive value", details={"field": name})
    return number


def limit(params: Params) -> int:
    """How many lines at most. Raises QueryRefused."""
    number = integer(params, "limit", DEFAULT_LIMIT)
    if number > MAX_LIMIT:
        raise QueryRefused(f"max entries limit per query exceeded, limit > max_entries_limit ({number} > {MAX_LIMIT})")
    return number


def forward(params: Params) -> bool:
    """Whether the oldest lines come first. Raises QueryRefused."""
    value = text(params, "direction").upper() or "BACKWARD"
    if value not in {"FORWARD", "BACKWARD"}:
        raise QueryRefused(f"invalid direction '{text(params, 'direction')}'", details={"field": "direction"})
    return value == "FORWARD"
