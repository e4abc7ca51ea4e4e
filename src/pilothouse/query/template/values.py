"""How Go prints, compares and converts what a template holds: str, int, float, bool, None, datetime, list, dict."""

import math
import re
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from decimal import Decimal

from pilothouse.query.template.errors import TemplateError

MAX_WIDTH = 1000
"""Characters that a format may pad to."""

_VERB = re.compile(r"%(?P<flags>[-+# 0]*)(?P<width>\d+)?(?:\.(?P<precision>\d*))?(?P<verb>.)", re.DOTALL)


def type_name(value: object) -> str:
    """Go's name of a value's type, for error texts."""
    names = {str: "string", bool: "bool", int: "int", float: "float64", type(None): "nil", datetime: "time.Time"}
    return names.get(type(value), "[]interface {}" if isinstance(value, list) else "map[string]interface {}")


def to_text(value: object) -> str:
    """A value as `{{ … }}` prints it."""
    if isinstance(value, str):
        return value
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return float_text(value)
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_inner(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(_inner(item) for item in value) + "]"
    return str(value)


def _inner(value: object) -> str:
    return "<nil>" if value is None else to_text(value)


def float_text(value: float) -> str:
    """The shortest text that reads back, with an exponent below 1e-4 and from 1e21 on."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == 0:
        return "-0" if math.copysign(1, value) < 0 else "0"
    exponent = Decimal(repr(value)).adjusted()
    if -4 <= exponent < 21:
        text = format(Decimal(repr(value)), "f")
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa = repr(value).split("e", maxsplit=1)[0]
    if "e" not in repr(value):
        mantissa = str(Decimal(repr(value)).scaleb(-exponent).normalize())
    return f"{mantissa.removesuffix('.0')}e{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def time_text(value: datetime) -> str:
    """A time as Go's String prints it, in UTC."""
    fraction = f".{value.microsecond:06d}".rstrip("0") if value.microsecond else ""
    return f"{value:%Y-%m-%d %H:%M:%S}{fraction} {value:%z} {value.tzname() or 'UTC'}".rstrip()


def truth(value: object) -> bool:
    """Whether `if` takes a value for true: all but zeros and what is empty."""
    return isinstance(value, datetime) or bool(value)


def compare(op: str, left: object, right: object) -> bool:
    """`eq`, `ne`, `lt`, `le`, `gt`, `ge`. Raises TemplateError for values of different kinds."""
    if _family(left) != _family(right):
        raise TemplateError(f"error calling {op}: incompatible types for comparison")
    if op in {"eq", "ne"}:
        return (left == right) == (op == "eq")
    if isinstance(left, bool | dict | list) or left is None:
        raise TemplateError(f"error calling {op}: invalid type for comparison")
    less, equal = bool(left < right), left == right  # type: ignore[operator] # of one family, checked above
    return {"lt": less, "le": less or equal, "gt": not (less or equal), "ge": not less}[op]


def _family(value: object) -> str:
    return type(value).__name__


def to_float(value: object) -> float:
    """As sprig's float64: what can't be read is zero."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value) if "_" not in value and value == value.strip() else 0.0
        except ValueError:
            return 0.0
    return 0.0


def to_int(value: object) -> int:
    """As sprig's int64: what can't be read is zero; a number with decimals within a string is none."""
    if isinstance(value, str):
        try:
            number = int(value, 0) if "_" not in value and value == value.strip() else 0
        except ValueError:
            number = int(value) if value.isdigit() and len(value) < 30 else 0
    elif isinstance(value, float):
        number = int(value) if math.isfinite(value) else 0
    elif isinstance(value, int):
        number = int(value)
    else:
        number = 0
    return number if -(2**63) <= number < 2**63 else 0


def sprintf(template: str, arguments: Sequence[object]) -> str:
    """Go's fmt.Sprintf, for the verbs that make sense in a line."""
    rest = list(arguments)

    def one(match: re.Match[str]) -> str:
        verb = match["verb"]
        if verb == "%":
            return "%"
        if not rest:
            return f"%!{verb}(MISSING)"
        value = rest.pop(0)
        flags, precision = match["flags"], match["precision"]
        width = min(int(match["width"] or 0), MAX_WIDTH)
        text = _verb(verb, value, flags, None if precision is None else min(int(precision or 0), MAX_WIDTH))
        if "-" in flags:
            return text.ljust(width)
        if "0" in flags and not isinstance(value, str | bool) and not text.startswith("%!"):
            return text.zfill(width)
        return text.rjust(width)

    out = _VERB.sub(one, template)
    if rest:
        extra = ", ".join(f"{type_name(value)}={to_text(value)}" for value in rest)
        out += f"%!(EXTRA {extra})"
    return out


def _verb(verb: str, value: object, flags: str, precision: int | None) -> str:
    plus = "+" if "+" in flags else " " if " " in flags else ""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    sign = plus if number and value >= 0 else ""  # type: ignore[operator] # a number
    match verb, value:
        case "v", None:
            return "<nil>"
        case "v", str():
            return value if precision is None else value[:precision]
        case "v", _:
            return sign + to_text(value)
        case "s", str():
            return value if precision is None else value[:precision]
        case "q", str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'
        case "t", bool():
            return to_text(value)
        case "x" | "X", str():
            text = value.encode("utf-8", "replace").hex()
            return text.upper() if verb == "X" else text
        case "T", _:
            return type_name(value)
        case "f" | "F" | "e" | "E" | "g" | "G", float():
            if verb in "gG" and precision is None:
                return sign + float_text(value)
            return sign + format(value, f".{6 if precision is None else precision}{verb}")
        case "d" | "x" | "X" | "o" | "b" | "c", int() if not isinstance(value, bool):
            return chr(value) if verb == "c" and 0 <= value < 0x110000 else sign + format(value, verb)
        case _:
            return f"%!{verb}({type_name(value)}={to_text(value)})"


def at_nanoseconds(ns: int) -> datetime:
    """An instant in UTC, to the microsecond."""
    return datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(microseconds=ns // 1000)  # noqa: UP017
