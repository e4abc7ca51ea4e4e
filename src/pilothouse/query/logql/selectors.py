"""Reads selectors and label filters."""

import math

from pilothouse.core.labels import Matcher, MatchOp
from pilothouse.query.logql import ast
from pilothouse.query.logql.errors import MeaningFault
from pilothouse.query.logql.lexer import Kind
from pilothouse.query.logql.reader import Reader

_MATCH_OPS = {op.value: op for op in MatchOp}
_COMPARES = {op.value: op for op in ast.Compare} | {"=": ast.Compare.EQUAL}
_PRECEDENCE = {"or": 1, "and": 2}


def read_selector(reader: Reader) -> tuple[Matcher, ...]:
    """`{name="value", …}`; an empty one is read too."""
    reader.expect("{")
    if reader.accept("}"):
        return ()
    if reader.kind != Kind.IDENTIFIER:
        raise reader.unexpected(Kind.IDENTIFIER, "}")
    matchers = [read_matcher(reader)]
    while reader.accept(","):
        matchers.append(read_matcher(reader))
    reader.expect("}", among=("}", ","))
    return tuple(matchers)


def read_matcher(reader: Reader) -> Matcher:
    """`name op "value"`."""
    name = reader.expect(Kind.IDENTIFIER).text
    op = _MATCH_OPS.get(reader.kind)
    if op is None:
        raise reader.unexpected("=", "=~", "!~", "!=")
    reader.next()
    return Matcher(name, op, reader.expect(Kind.STRING).text)


def read_label_filter(reader: Reader) -> ast.LabelFilter:
    """Comparisons joined by `and`, `or`, a comma or nothing.

    `and` binds closer than `or`; a comma and mere juxtaposition are `and` too, but take all that follows them as
    their right side. That is how Loki's grammar resolves itself.
    """
    operands = [_operand(reader)]
    operators: list[str] = []
    while (operator := _joint(reader)) is not None:
        while operators and operator in _PRECEDENCE and _PRECEDENCE.get(operators[-1], 0) >= _PRECEDENCE[operator]:
            _reduce(operands, operators)
        operators.append(operator)
        if operator:
            reader.operator()
        else:
            reader.count_operator()
        operands.append(_operand(reader))
    while operators:
        _reduce(operands, operators)
    return operands[0]


def _joint(reader: Reader) -> str | None:
    if reader.kind in {"and", "or", ","}:
        return reader.kind
    return "" if reader.kind in {Kind.IDENTIFIER, "("} else None


def _reduce(operands: list[ast.LabelFilter], operators: list[str]) -> None:
    right = operands.pop()
    join = ast.OrFilter if operators.pop() == "or" else ast.AndFilter
    operands.append(join(operands.pop(), right))


def _operand(reader: Reader) -> ast.LabelFilter:
    if reader.accept("("):
        reader.deeper()
        inner = read_label_filter(reader)
        reader.shallower()
        reader.expect(")")
        return inner
    name = reader.expect(Kind.IDENTIFIER).text
    operator = reader.kind
    if operator not in _COMPARES and operator not in _MATCH_OPS:
        raise reader.unexpected()
    reader.next()
    if reader.kind == Kind.STRING and operator in _MATCH_OPS:
        return ast.MatcherFilter(Matcher(name, _MATCH_OPS[operator], reader.next().text))
    if operator not in _COMPARES:
        raise reader.unexpected(Kind.STRING)
    compare = _COMPARES[operator]
    if reader.kind == Kind.DURATION:
        return ast.DurationFilter(name, compare, reader.next().value)
    if reader.kind == Kind.BYTES:
        return ast.BytesFilter(name, compare, reader.next().value)
    if reader.kind == "IP" and operator in {"=", "!="}:
        reader.next()
        reader.expect("(")
        pattern = reader.expect(Kind.STRING).text
        reader.expect(")")
        return ast.IPFilter(name, operator == "!=", pattern)
    return ast.NumberFilter(name, compare, read_number(reader))


def read_number(reader: Reader) -> float:
    """A number with or without a sign."""
    sign = 1.0
    if reader.kind in {"+", "-"}:
        sign = -1.0 if reader.next().kind == "-" else 1.0
        return sign * number(reader.expect(Kind.NUMBER).text)
    if reader.kind != Kind.NUMBER:
        raise reader.unexpected()
    return number(reader.next().text)


def number(text: str) -> float:
    """The value of a NUMBER token. Raises MeaningFault where no float holds it."""
    value = float(int(text[:300], 16)) if text[:2].lower() == "0x" else float(text)
    if math.isinf(value):
        raise MeaningFault(
            f'unable to parse literal as a float: strconv.ParseFloat: parsing "{text}": value out of range'
        )
    return value
