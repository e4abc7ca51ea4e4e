"""Binary operations between numbers and matrices."""

from collections.abc import Sequence

import numpy as np

from pilothouse.query.logql import ast
from pilothouse.store.logs.query.errors import QueryRefused
from pilothouse.store.logs.query.matrix import Floats, Key, Mask, Matrix, empty, from_rows

_NUMPY = {
    "+": np.add, "-": np.subtract, "*": np.multiply,
    "==": np.equal, "!=": np.not_equal, ">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal,
}  # fmt: skip
_Row = tuple[Key, Floats, Mask]


def apply(op: str, left: Floats | float, right: Floats | float) -> Floats:
    """`left op right` for each pair: division by zero is NaN, a comparison 1 or 0."""
    with np.errstate(all="ignore"):
        out: Floats
        if op in _NUMPY:
            out = np.asarray(_NUMPY[op](left, right), dtype=np.float64)
        elif op == "^":
            out = np.power(np.asarray(left, dtype=np.float64), right)
        else:
            divided = np.divide(left, right) if op == "/" else np.fmod(left, right)
            out = np.where(np.equal(right, 0), np.nan, divided)
        return out


def with_number(expr: ast.BinaryOperation, matrix: Matrix, number: float, *, number_left: bool) -> Matrix:
    """A matrix against one number. A comparison keeps the matrix's values where it holds, or gives 1 and 0."""
    left, right = (number, matrix.values) if number_left else (matrix.values, number)
    result = apply(expr.op, left, right)
    if expr.op not in ast.COMPARISONS or expr.returns_bool:
        return Matrix(series=matrix.series, values=result, present=matrix.present)
    present = matrix.present & (result == 1)
    return from_rows(list(zip(matrix.series, matrix.values, present, strict=True)), matrix.values.shape[1])


def between(expr: ast.BinaryOperation, left: Matrix, right: Matrix) -> Matrix:
    """Two matrices, matched series by series. Raises QueryRefused where a match is not unique."""
    matching = expr.matching or ast.Matching()
    if expr.op in ast.SET_OPERATIONS:
        return _set_operation(expr.op, matching, left, right)
    steps = left.values.shape[1]
    swapped = matching.cardinality is ast.Cardinality.ONE_TO_MANY
    many, one = (right, left) if swapped else (left, right)
    ones: dict[Key, list[_Row]] = {}
    for row in one.rows():
        ones.setdefault(_signature(row[0], matching), []).append(row)
    for rows in ones.values():
        if _overlap([present for _, _, present in rows]):
            side = "left" if swapped else "right"
            raise QueryRefused(
                f"found duplicate series on the {side} hand-side;many-to-many matching not allowed: matching labels "
                "must be unique on one side"
            )
    results: dict[Key, list[_Row]] = {}
    matched: dict[Key, list[Mask]] = {}
    for row in many.rows():
        signature = _signature(row[0], matching)
        for other in ones.get(signature, ()):
            found = _combine(expr, row, other, swapped=swapped)
            both = row[2] & other[2]
            if not both.any():
                continue
            key = _result_key(row[0], other[0], matching)
            results.setdefault(key, []).append((key, *found))
            matched.setdefault(signature if matching.cardinality is ast.Cardinality.ONE_TO_ONE else key, []).append(
                both
            )
    if any(_overlap(masks) for masks in matched.values()):
        reason = (
            "many-to-one matching must be explicit (group_left/group_right)"
            if matching.cardinality is ast.Cardinality.ONE_TO_ONE
            else "grouping labels must ensure unique matches"
        )
        raise QueryRefused(f"multiple matches for labels: {reason}")
    return from_rows([row for rows in results.values() for row in rows], steps)


def _combine(expr: ast.BinaryOperation, many: _Row, one: _Row, *, swapped: bool) -> tuple[Floats, Mask]:
    left, right = (one[1], many[1]) if swapped else (many[1], one[1])
    both = many[2] & one[2]
    result = apply(expr.op, left, right)
    if expr.op in ast.COMPARISONS and not expr.returns_bool:
        return left, both & (result == 1)
    return result, both


def _overlap(masks: Sequence[Mask]) -> bool:
    return len(masks) > 1 and bool((np.sum(masks, axis=0) > 1).any())


def _signature(key: Key, matching: ast.Matching) -> Key:
    return tuple(pair for pair in key if (pair[0] in matching.labels) == matching.on)


def _result_key(many: Key, one: Key, matching: ast.Matching) -> Key:
    labels = dict(many)
    if matching.cardinality is ast.Cardinality.ONE_TO_ONE:
        labels = {name: value for name, value in many if (name in matching.labels) == matching.on}
    source = dict(one)
    for name in matching.include:
        labels.pop(name, None)
        if source.get(name):
            labels[name] = source[name]
    return tuple(sorted(labels.items()))


def _set_operation(op: str, matching: ast.Matching, left: Matrix, right: Matrix) -> Matrix:
    steps = left.values.shape[1]
    if op == "and" and not (left.series and right.series):
        return empty(steps)
    held_left, held_right = _held(left, matching), _held(right, matching)
    nowhere = np.zeros(steps, dtype=np.bool_)
    rows: list[_Row] = []
    for key, values, present in left.rows():
        there = held_right.get(_signature(key, matching), nowhere)
        rows.append((key, values, present if op == "or" else present & (there if op == "and" else ~there)))
    if op == "or":
        for key, values, present in right.rows():
            there = held_left.get(_signature(key, matching), nowhere)
            rows.append((key, values, present & ~there))
    return from_rows(rows, steps)


def _held(matrix: Matrix, matching: ast.Matching) -> dict[Key, Mask]:
    held: dict[Key, Mask] = {}
    for key, _, present in matrix.rows():
        signature = _signature(key, matching)
        held[signature] = held[signature] | present if signature in held else present
    return held
