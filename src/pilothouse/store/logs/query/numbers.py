"""Metric expressions: each node of the tree to a matrix, or to a plain number."""

from pilothouse.core.errors import PilothouseError
from pilothouse.query.logql import ast
from pilothouse.query.logql.check import constant
from pilothouse.query.logql.regex import compile_anchored
from pilothouse.query.template.functions import expand
from pilothouse.store.logs.query.binary import between, with_number
from pilothouse.store.logs.query.budget import Budget, check_series
from pilothouse.store.logs.query.matrix import Key, Matrix, Window, everywhere, from_rows
from pilothouse.store.logs.query.samples import aggregate_range
from pilothouse.store.logs.query.vectors import aggregate_vector
from pilothouse.store.logs.snapshot import Snapshot


class NotOffered(PilothouseError):
    """A part of LogQL that Loki itself has switched off by default."""

    status = 501
    default_code = "NOT_OFFERED"


def evaluate(snapshot: Snapshot, expr: ast.Metric, window: Window, budget: Budget) -> Matrix | float:
    """The value of `expr` at each step of `window`; a float where it is made of literals alone.

    Raises QueryRefused, NotOffered, MeaningFault, QueryTimeout, QueryCancelled or SegmentDamaged.
    """
    number = constant(expr)
    if number is not None:
        return number
    match expr:
        case ast.RangeAggregation():
            matrix = aggregate_range(snapshot, expr, None, window, budget)
        case ast.VectorAggregation():
            matrix = _vector(snapshot, expr, window, budget)
        case ast.BinaryOperation():
            matrix = _binary(snapshot, expr, window, budget)
        case ast.LabelReplace():
            matrix = _replace_labels(expr, _matrix(snapshot, expr.expr, window, budget))
        case ast.Vector(value):
            matrix = everywhere((), value, window.count)
        case ast.Literal():
            raise TypeError(expr)
    check_series(len(matrix.series))
    return matrix


def _matrix(snapshot: Snapshot, expr: ast.Metric, window: Window, budget: Budget) -> Matrix:
    value = evaluate(snapshot, expr, window, budget)
    return value if isinstance(value, Matrix) else everywhere((), value, window.count)


def _vector(snapshot: Snapshot, expr: ast.VectorAggregation, window: Window, budget: Budget) -> Matrix:
    if expr.op == "approx_topk":
        raise NotOffered("approx_topk is not enabled. See -limits.shard_aggregations")
    if isinstance(expr.expr, ast.RangeAggregation):
        inner = aggregate_range(snapshot, expr.expr, expr, window, budget)
    else:
        inner = _matrix(snapshot, expr.expr, window, budget)
    return aggregate_vector(expr, inner)


def _binary(snapshot: Snapshot, expr: ast.BinaryOperation, window: Window, budget: Budget) -> Matrix:
    left, right = evaluate(snapshot, expr.left, window, budget), evaluate(snapshot, expr.right, window, budget)
    if isinstance(left, Matrix) and isinstance(right, Matrix):
        return between(expr, left, right)
    if isinstance(left, Matrix) and not isinstance(right, Matrix):
        return with_number(expr, left, right, number_left=False)
    if isinstance(right, Matrix) and not isinstance(left, Matrix):
        return with_number(expr, right, left, number_left=True)
    raise TypeError(expr)


def _replace_labels(expr: ast.LabelReplace, matrix: Matrix) -> Matrix:
    compiled = compile_anchored(expr.regex)
    rows = []
    for key, values, present in matrix.rows():
        labels = dict(key)
        match = compiled.fullmatch(labels.get(expr.source, ""))
        new: Key = key
        if match:
            labels.pop(expr.target, None)
            if text := expand(expr.replacement, match):
                labels[expr.target] = text
            new = tuple(sorted(labels.items()))
        rows.append((new, values, present))
    return from_rows(rows, matrix.values.shape[1])
