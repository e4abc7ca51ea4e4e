"""Label filters as functions over the labels of a line."""

import math
from collections.abc import Callable

from pilothouse.core.labels import Matcher, MatchOp
from pilothouse.query.logql import ast
from pilothouse.query.logql.address import holds, parse_addresses
from pilothouse.query.logql.arithmetic import compare
from pilothouse.query.logql.regex import compile_anchored
from pilothouse.query.logql.units import parse_go_duration, parse_size
from pilothouse.store.logs.query.rowlabels import ERROR, RowLabels

Condition = Callable[[RowLabels], bool]

FILTER_ERROR = "LabelFilterErr"


def text_test(matcher: Matcher) -> Callable[[str], bool]:
    """Whether a label's text satisfies a matcher."""
    wanted = matcher.value
    match matcher.op:
        case MatchOp.EQUAL:
            return lambda value: value == wanted
        case MatchOp.NOT_EQUAL:
            return lambda value: value != wanted
        case MatchOp.REGEX:
            fullmatch = compile_anchored(wanted).fullmatch
            return lambda value: fullmatch(value) is not None
        case MatchOp.NOT_REGEX:
            fullmatch = compile_anchored(wanted).fullmatch
            return lambda value: fullmatch(value) is None


def compile_condition(condition: ast.LabelFilter) -> Condition:
    """A label filter as a function. One that meets a value it can't read keeps the line and sets its error."""
    match condition:
        case ast.MatcherFilter(matcher):
            return _text(matcher)
        case ast.NumberFilter(name, op, value):
            return _measure(name, op, value, parse_float, _float_fault)
        case ast.DurationFilter(name, op, value):
            return _measure(name, op, value, parse_go_duration, duration_fault)
        case ast.BytesFilter(name, op, value):
            return _measure(name, op, value, parse_size, size_fault)
        case ast.IPFilter():
            return _address(condition)
        case ast.AndFilter(left, right):
            first, second = compile_condition(left), compile_condition(right)
            return lambda labels: first(labels) and second(labels)
        case ast.OrFilter(left, right):
            first, second = compile_condition(left), compile_condition(right)
            return lambda labels: first(labels) or second(labels)


def required_names(condition: ast.LabelFilter) -> set[str]:
    """The labels that a filter looks at."""
    match condition:
        case ast.AndFilter(left, right) | ast.OrFilter(left, right):
            return required_names(left) | required_names(right)
        case ast.MatcherFilter(matcher):
            return {matcher.name}
        case _:
            return {condition.name}


def _text(matcher: Matcher) -> Condition:
    test, name = text_test(matcher), matcher.name
    if name == ERROR:
        return lambda labels: test(labels.error)
    return lambda labels: test(labels.get(name) or "")


def _measure(
    name: str,
    op: ast.Compare,
    wanted: float,
    parse: Callable[[str], float | None],
    fault: Callable[[str], str],
) -> Condition:
    sign = op.value

    def holds_for(labels: RowLabels) -> bool:
        text = labels.get(name)
        if text is None:
            return False
        value = parse(text)
        if value is None:
            if not labels.error:
                labels.error, labels.details = FILTER_ERROR, fault(text)
            return True
        return compare(sign, value, wanted)

    return holds_for


def _address(condition: ast.IPFilter) -> Condition:
    test, name, negated = parse_addresses(condition.pattern), condition.name, condition.negated

    def holds_for(labels: RowLabels) -> bool:
        if labels.error:
            return True
        text = labels.get(name)
        return text is not None and holds(test, text) != negated

    return holds_for


def parse_float(text: str) -> float | None:
    """A number as Go reads it, or None."""
    try:
        value = float(text)
    except ValueError:
        try:
            return float.fromhex(text) if text.lower().lstrip("+-").startswith("0x") and "p" in text.lower() else None
        except (ValueError, OverflowError):
            return None
    if text[:1].isspace() or text[-1:].isspace() or "_" in text or not text.isascii():
        return None
    if math.isinf(value) and "inf" not in text.lower():
        return None
    return value


def _float_fault(text: str) -> str:
    return f'strconv.ParseFloat: parsing "{text}": invalid syntax'


def duration_fault(text: str) -> str:
    """What Go says of a duration that it can't read."""
    return (
        f'time: missing unit in duration "{text}"'
        if parse_float(text) is not None
        else f'time: invalid duration "{text}"'
    )


def size_fault(text: str) -> str:
    """What Loki says of a size that it can't read."""
    unit = text.lstrip("0123456789.,").strip().lower()
    return f"unhandled size name: {unit}" if unit and unit != text.lower() else _float_fault("")
