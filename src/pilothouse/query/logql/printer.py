"""Syntax tree to text that reads back as the same tree."""

from pilothouse.core.labels import Matcher, quote
from pilothouse.query.logql import ast
from pilothouse.query.logql.units import format_go_duration, format_range

_JOINED = (ast.AndFilter, ast.OrFilter)


def format(expr: ast.Expr) -> str:  # noqa: A001 - `logql.format` is its name for callers
    """The canonical text of a query."""
    match expr:
        case ast.LogQuery():
            return _query(expr)
        case ast.RangeAggregation(op, log_range, parameter, grouping):
            head = "" if parameter is None else f"{format_number(parameter)},"
            return f"{op}({head}{_range(log_range)}){_grouping(grouping)}"
        case ast.VectorAggregation(op, inner, count, grouping):
            head = "" if count is None else f"{count},"
            return f"{op}{_grouping(grouping)}({head}{format(inner)})"
        case ast.BinaryOperation(op, left, right, returns_bool, matching):
            modifiers = f"{' bool' if returns_bool else ''}{_matching(matching)}"
            return f"{_leg(left, op, right=False)} {op}{modifiers} {_leg(right, op, right=True)}"
        case ast.LabelReplace(inner, target, replacement, source, regex):
            texts = ",".join(quote(text) for text in (target, replacement, source, regex))
            return f"label_replace({format(inner)},{texts})"
        case ast.Literal(value):
            return format_number(value)
        case ast.Vector(value):
            return f"vector({format_number(value)})"


def format_selector(matchers: tuple[Matcher, ...]) -> str:
    """`{a="b", c=~"d"}`."""
    return "{" + ", ".join(str(matcher) for matcher in matchers) + "}"


def format_number(value: float) -> str:
    """A finite number without an exponent, as short as reads back exactly."""
    if value.is_integer():
        return str(int(value))
    text = repr(value)
    if "e" not in text:
        return text
    mantissa, _, exponent = text.partition("e")
    sign, digits = ("-", mantissa[1:]) if mantissa.startswith("-") else ("", mantissa)
    return f"{sign}0.{'0' * (-int(exponent) - 1)}{digits.replace('.', '')}"


def format_stage(stage: ast.Stage) -> str:
    """One stage, with its pipe."""
    match stage:
        case ast.LineFilter(op, needles):
            return f"{op.value} " + " or ".join(_needle(needle) for needle in needles)
        case ast.JsonParser(extractions):
            return "| json" + _extractions(extractions)
        case ast.LogfmtParser(extractions, strict, keep_empty):
            flags = f"{' --strict' if strict else ''}{' --keep-empty' if keep_empty else ''}"
            return f"| logfmt{flags}{_extractions(extractions)}"
        case ast.RegexpParser(pattern):
            return f"| regexp {quote(pattern)}"
        case ast.PatternParser(pattern):
            return f"| pattern {quote(pattern)}"
        case ast.UnpackParser():
            return "| unpack"
        case ast.LineFormat(template):
            return f"| line_format {quote(template)}"
        case ast.LabelFormat(assigns):
            return "| label_format " + ",".join(
                f"{a.label}={a.source if a.rename else quote(a.source)}" for a in assigns
            )
        case ast.Decolorize():
            return "| decolorize"
        case ast.DropLabels(labels):
            return "| drop " + ",".join(str(label) for label in labels)
        case ast.KeepLabels(labels):
            return "| keep " + ",".join(str(label) for label in labels)
        case _:
            return "| " + format_label_filter(stage)


def format_label_filter(condition: ast.LabelFilter) -> str:
    """A label filter without its pipe."""
    match condition:
        case ast.MatcherFilter(matcher):
            return str(matcher)
        case ast.NumberFilter(name, op, value):
            return f"{name}{op.value}{format_number(value)}"
        case ast.DurationFilter(name, op, ns):
            return f"{name}{op.value}{format_go_duration(ns)}"
        case ast.BytesFilter(name, op, size):
            return f"{name}{op.value}{size}B"
        case ast.IPFilter(name, negated, pattern):
            return f"{name}{'!=' if negated else '='}ip({quote(pattern)})"
        case ast.AndFilter(left, right) if isinstance(right, _JOINED):  # a comma takes all that follows it
            return f"{_closed(left)}, {format_label_filter(right)}"
        case ast.AndFilter(left, right):
            return f"{_closed(left, unless=ast.AndFilter)} and {_closed(right)}"
        case ast.OrFilter(left, right):
            return f"{_closed(left, unless=_JOINED)} or {_closed(right, unless=ast.AndFilter)}"


def _leg(leg: ast.Metric, parent: str, *, right: bool) -> str:
    text = format(leg)
    if not isinstance(leg, ast.BinaryOperation):
        return text
    mine, around = ast.PRECEDENCE[leg.op], ast.PRECEDENCE[parent]
    groups_here = right == (parent == "^")
    return text if mine > around or (mine == around and groups_here) else f"({text})"


def _closed(condition: ast.LabelFilter, *, unless: type | tuple[type, ...] = ()) -> str:
    """In parentheses, unless it is a single comparison or one of `unless` whose own parts do not reach beyond it."""
    text = format_label_filter(condition)
    if not isinstance(condition, _JOINED) or (isinstance(condition, unless) and not _open_ended(condition)):
        return text
    return f"({text})"


def _open_ended(condition: ast.LabelFilter) -> bool:
    while isinstance(condition, _JOINED):
        if isinstance(condition, ast.AndFilter) and isinstance(condition.right, _JOINED):
            return True
        condition = condition.right
    return False


def _query(query: ast.LogQuery) -> str:
    return " ".join([format_selector(query.matchers), *(format_stage(stage) for stage in query.stages)])


def _needle(needle: ast.Needle) -> str:
    return f"ip({quote(needle.text)})" if needle.ip else quote(needle.text)


def _extractions(extractions: tuple[ast.Extraction, ...]) -> str:
    return " " + ",".join(f"{e.label}={quote(e.expression)}" for e in extractions) if extractions else ""


def _range(log_range: ast.LogRange) -> str:
    text = _query(log_range.query)
    if unwrap := log_range.unwrap:
        label = f"{unwrap.conversion}({unwrap.label})" if unwrap.conversion else unwrap.label
        text += f" | unwrap {label}" + "".join(f" | {format_label_filter(condition)}" for condition in unwrap.filters)
    offset = f" offset {format_go_duration(log_range.offset)}" if log_range.offset else ""
    return f"{text} [{format_range(log_range.interval)}]{offset}"


def _grouping(grouping: ast.Grouping | None) -> str:
    if grouping is None:
        return ""
    return f" {'without' if grouping.without else 'by'} ({','.join(grouping.labels)})"


def _matching(matching: ast.Matching | None) -> str:
    if matching is None:
        return ""
    text = f" {'on' if matching.on else 'ignoring'} ({','.join(matching.labels)})"
    if matching.cardinality is not ast.Cardinality.ONE_TO_ONE:
        text += f" {matching.cardinality.value} ({','.join(matching.include)})"
    return text
