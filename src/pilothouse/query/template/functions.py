"""The functions of templates: Go's own, Loki's, and those of sprig that Loki lets in."""

import base64
import binascii
import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote_plus, unquote_plus
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pilothouse.query.logql.regex import RegexError, compile_search
from pilothouse.query.logql.units import parse_go_duration, parse_size
from pilothouse.query.template.errors import TemplateError
from pilothouse.query.template.layouts import format_time, parse_time
from pilothouse.query.template.values import (
    at_nanoseconds,
    compare,
    sprintf,
    to_float,
    to_int,
    to_text,
    truth,
    type_name,
)

MAX_TEXT = 1 << 20
"""Characters that a function may make: repeat and indent could fill the memory otherwise."""
_ZERO_TIME = datetime(1, 1, 1, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _text(value: object, function: str) -> str:
    if not isinstance(value, str):
        raise TemplateError(f"wrong type for value; expected string; got {type_name(value)} in {function}")
    return value


def _strings(function: Callable[..., object], name: str) -> Callable[..., object]:
    return lambda *arguments: function(*(_text(argument, name) for argument in arguments))


def _bounded(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise TemplateError(f"a value of more than {MAX_TEXT} characters")
    return text


def _regex(pattern: object) -> Any:
    try:
        return compile_search(_text(pattern, "regexReplaceAll"))
    except RegexError as error:
        raise TemplateError(str(error)) from error


def expand(template: str, match: Any) -> str:
    """A Go replacement: `$1`, `${name}`, `$$`; a group that is not there is empty."""

    def one(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if not name:
            return "$"
        try:
            return match[int(name) if name.isdigit() else name] or ""
        except (IndexError, KeyError):
            return ""

    return re.sub(r"\$(?:\$|(\w+)|\{(\w+)\})", one, template, flags=re.ASCII)


def _replace_all(pattern: object, text: object, by: object) -> str:
    replacement = _text(by, "regexReplaceAll")
    return _bounded(_regex(pattern).sub(lambda match: expand(replacement, match), _text(text, "regexReplaceAll")))


def _replace_literal(pattern: object, text: object, by: object) -> str:
    return _bounded(_regex(pattern).sub(lambda _: by, _text(text, "regexReplaceAllLiteral")))


def _replace(text: str, old: str, new: str, count: object) -> str:
    return _bounded(text.replace(old, new, to_int(count)))


def _trunc(size: object, text: object) -> str:
    count, line = to_int(size), _text(text, "trunc")
    if count < 0:
        return line[count:] if len(line) + count > 0 else line
    return line[:count]


def _substr(start: object, end: object, text: object) -> str:
    first, last, line = to_int(start), to_int(end), _text(text, "substr")
    if first < 0:
        return line[: max(last, 0)]
    return line[first:] if last < 0 or last > len(line) else line[first:last]


def _align(size: object, text: object, *, left: bool) -> str:
    count, line = to_int(size), _text(text, "align")
    if count < 0 or count == len(line):
        return line
    _bounded(" " * min(count, MAX_TEXT + 1))
    if left:
        return line.ljust(count)[:count]
    return line.rjust(count)[-count:] if count else ""


def _indent(size: object, text: object) -> str:
    pad = " " * min(max(to_int(size), 0), 1000)
    return _bounded(pad + _text(text, "indent").replace("\n", "\n" + pad))


def _repeat(count: object, text: object) -> str:
    times, line = to_int(count), _text(text, "repeat")
    if times * len(line) > MAX_TEXT:
        raise TemplateError(f"a value of more than {MAX_TEXT} characters")
    return line * times


def _int_division(op: str) -> Callable[[object, object], int]:
    def divide(left: object, right: object) -> int:
        a, b = to_int(left), to_int(right)
        if not b:
            raise TemplateError(f"error calling {op}: runtime error: integer divide by zero")
        whole = abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
        return whole if op == "div" else a - whole * b

    return divide


def _fold(start: Callable[[object], Any], step: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    def fold(*arguments: object) -> Any:
        if not arguments:
            raise TemplateError("wrong number of args")
        out = start(arguments[0])
        for argument in arguments[1:]:
            out = step(out, start(argument))
        return out

    return fold


def _divide(left: float, right: float) -> float:
    if right:
        return left / right
    return math.nan if not left else math.copysign(math.inf, left)


def _round(value: object, places: object, up_from: object = 0.5) -> float:
    scale = 10.0 ** to_int(places)
    scaled = to_float(value) * scale
    if not math.isfinite(scaled):
        return to_float(value)
    part, whole = math.modf(scaled)
    return (math.ceil(scaled) if part >= to_float(up_from) else math.floor(scaled)) / scale if whole or part else 0.0


def _whole(function: Callable[[float], int]) -> Callable[[object], float]:
    def apply(value: object) -> float:
        number = to_float(value)
        return float(function(number)) if math.isfinite(number) else number

    return apply


def _b64dec(text: str) -> str:
    padded = text + "=" * (-len(text) % 4 if len(text) % 4 != 1 else 0)
    try:
        return base64.b64decode(padded, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return "illegal base64 data at input byte 0"


def _from_json(text: str) -> object:
    try:
        value: object = json.loads(text, parse_int=float)
    except (ValueError, RecursionError):
        return None
    return value


def _unix_time(text: object) -> datetime:
    digits = _text(text, "unixToTime")
    units = {5: 86_400 * 10**9, 10: 10**9, 13: 10**6, 16: 10**3, 19: 1}
    if not digits.isdigit() or len(digits) not in units:
        raise TemplateError(f"unable to parse time '{digits}'")
    return at_nanoseconds(int(digits) * units[len(digits)])


def _date_in_zone(layout: str, zone: str, text: str) -> datetime:
    try:
        where: Any = ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        where = UTC
    return parse_time(text, layout, where) or _ZERO_TIME


def _date(layout: object, value: object) -> str:
    if not isinstance(value, datetime):
        value = at_nanoseconds(to_int(value) * 10**9) if isinstance(value, int) else datetime.now(UTC)
    return format_time(value, _text(layout, "date"))


def _since_epoch(unit: int) -> Callable[[object], str]:
    def count(value: object) -> str:
        if not isinstance(value, datetime):
            raise TemplateError(f"wrong type for value; expected time.Time; got {type_name(value)}")
        return str((value - _EPOCH) // timedelta(microseconds=1) * 1000 // unit)

    return count


def _seconds(text: object) -> float:
    value = parse_go_duration(_text(text, "duration"))
    if value is None:
        raise TemplateError(f'error calling duration: time: invalid duration "{text}"')
    return value / 10**9


def _bytes(text: object) -> float:
    value = parse_size(_text(text, "bytes"))
    if value is None:
        raise TemplateError("error calling bytes: unhandled size name")
    return float(value)


def _urldecode(text: str) -> str:
    return unquote_plus(text, errors="replace")


def _index(value: Any, *keys: Any) -> object:
    for key in keys:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, str | list) and isinstance(key, int) and 0 <= key < len(value):
            value = ord(value[key]) if isinstance(value, str) else value[key]
        else:
            raise TemplateError("error calling index: index out of range")
    return value


def _slice(value: object, *bounds: object) -> object:
    if not isinstance(value, str | list) or len(bounds) > 2:
        raise TemplateError("error calling slice: can't slice item")
    first, last = (to_int(bounds[0]) if bounds else 0), (to_int(bounds[1]) if len(bounds) > 1 else len(value))
    if not 0 <= first <= last <= len(value):
        raise TemplateError("error calling slice: index out of range")
    return value[first:last]


def _len(value: object) -> int:
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, dict | list):
        return len(value)
    raise TemplateError(f"error calling len: len of type {type_name(value)}")


def _eq(first: object, *others: object) -> bool:
    if not others:
        raise TemplateError("error calling eq: missing argument for comparison")
    return any(compare("eq", first, other) for other in others)


def _print(*values: object) -> str:
    out = ""
    for index, value in enumerate(values):
        gap = index and not isinstance(value, str) and not isinstance(values[index - 1], str)
        out += (" " if gap else "") + to_text(value)
    return out


def _title(text: str) -> str:
    return re.sub(r"(?<!\S)\S", lambda match: match[0].upper(), text)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "not": lambda value: not truth(value), "len": _len, "index": _index, "slice": _slice, "print": _print,
    "println": lambda *values: " ".join(map(to_text, values)) + "\n",
    "printf": lambda template, *values: _bounded(sprintf(_text(template, "printf"), values)),
    "urlquery": lambda *values: quote_plus(_print(*values)),
    "html": lambda value: to_text(value).translate({34: "&#34;", 39: "&#39;", 38: "&amp;", 60: "&lt;", 62: "&gt;"}),
    "eq": _eq, **{op: (lambda a, b, op=op: compare(op, a, b)) for op in ("ne", "lt", "le", "gt", "ge")},
    "ToLower": _strings(str.lower, "ToLower"), "ToUpper": _strings(str.upper, "ToUpper"),
    "lower": _strings(str.lower, "lower"), "upper": _strings(str.upper, "upper"), "title": _strings(_title, "title"),
    "Replace": lambda s, old, new, n: _replace(_text(s, "Replace"), _text(old, "Replace"), _text(new, "Replace"), n),
    "replace": _strings(lambda old, new, s: _bounded(s.replace(old, new)), "replace"),
    "Trim": _strings(lambda s, cut: s.strip(cut) if cut else s, "Trim"),
    "TrimLeft": _strings(lambda s, cut: s.lstrip(cut) if cut else s, "TrimLeft"),
    "TrimRight": _strings(lambda s, cut: s.rstrip(cut) if cut else s, "TrimRight"),
    "TrimPrefix": _strings(lambda s, prefix: s.removeprefix(prefix), "TrimPrefix"),
    "TrimSuffix": _strings(lambda s, suffix: s.removesuffix(suffix), "TrimSuffix"),
    "TrimSpace": _strings(str.strip, "TrimSpace"), "trim": _strings(str.strip, "trim"),
    "trimAll": _strings(lambda cut, s: s.strip(cut) if cut else s, "trimAll"),
    "trimPrefix": _strings(lambda prefix, s: s.removeprefix(prefix), "trimPrefix"),
    "trimSuffix": _strings(lambda suffix, s: s.removesuffix(suffix), "trimSuffix"),
    "contains": _strings(lambda part, s: part in s, "contains"),
    "hasPrefix": _strings(lambda prefix, s: s.startswith(prefix), "hasPrefix"),
    "hasSuffix": _strings(lambda suffix, s: s.endswith(suffix), "hasSuffix"),
    "regexReplaceAll": _replace_all, "regexReplaceAllLiteral": _replace_literal,
    "count": lambda pattern, s: sum(1 for _ in _regex(pattern).finditer(_text(s, "count"))),
    "trunc": _trunc, "substr": _substr, "repeat": _repeat, "indent": _indent,
    "nindent": lambda size, s: "\n" + _indent(size, s),
    "alignLeft": lambda size, s: _align(size, s, left=True),
    "alignRight": lambda size, s: _align(size, s, left=False),
    "urlencode": _strings(quote_plus, "urlencode"), "urldecode": _strings(_urldecode, "urldecode"),
    "b64enc": _strings(lambda s: base64.b64encode(s.encode()).decode(), "b64enc"),
    "b64dec": _strings(_b64dec, "b64dec"),
    "fromJson": _strings(_from_json, "fromJson"),
    "default": lambda fallback, value=None: value if truth(value) else fallback,
    "int": to_int, "float64": to_float, "bytes": _bytes, "duration": _seconds, "duration_seconds": _seconds,
    "add": _fold(to_int, lambda a, b: a + b), "mul": _fold(to_int, lambda a, b: a * b),
    "sub": lambda a, b: to_int(a) - to_int(b), "div": _int_division("div"), "mod": _int_division("mod"),
    "max": _fold(to_int, max), "min": _fold(to_int, min), "maxf": _fold(to_float, max), "minf": _fold(to_float, min),
    "addf": _fold(to_float, lambda a, b: a + b), "subf": _fold(to_float, lambda a, b: a - b),
    "mulf": _fold(to_float, lambda a, b: a * b), "divf": _fold(to_float, _divide),
    "ceil": _whole(math.ceil), "floor": _whole(math.floor), "round": _round,
    "now": lambda: datetime.now(UTC), "date": _date, "toDateInZone": _strings(_date_in_zone, "toDateInZone"),
    "toDate": _strings(lambda layout, s: parse_time(s, layout) or _ZERO_TIME, "toDate"), "unixToTime": _unix_time,
    "unixEpoch": _since_epoch(10**9), "unixEpochMillis": _since_epoch(10**6), "unixEpochNanos": _since_epoch(1),
}  # fmt: skip

NAMES = frozenset(FUNCTIONS) | {"and", "or", "__line__", "__timestamp__"}
"""Every name that a template may call; those that are not in FUNCTIONS are the renderer's own."""
