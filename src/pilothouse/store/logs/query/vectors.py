"""Aggregations over series: sum, topk and their kin."""

from collections.abc import Sequence

import numpy as np

from pilothouse.query.logql import ast
from pilothouse.store.logs.query.matrix import Floats, Key, Mask, Matrix, from_rows


def aggregate_vector(expr: ast.VectorAggregation, matrix: Matrix) -> Matrix:
    """`expr.op` over the series of `matrix`, by its grouping, at each step."""
    grouping = expr.grouping or ast.Grouping(())
    members: dict[Key, list[int]] = {}
    for number, key in enumerate(matrix.series):
        members.setdefault(_group(key, grouping), []).append(number)
    steps = matrix.values.shape[1]
    if expr.op in {"sort", "sort_desc"}:
        return matrix
    if expr.op in {"topk", "bottomk", "approx_topk"}:
        present = np.zeros_like(matrix.present)
        for numbers in members.values():
            _choose(matrix, numbers, expr.parameter or 0, present, largest=expr.op != "bottomk")
        return from_rows(list(zip(matrix.series, matrix.values, present, strict=True)), steps)
    rows: list[tuple[Key, Floats, Mask]] = []
    for key, numbers in members.items():
        values, present = matrix.values[numbers], matrix.present[numbers]
        rows.append((key, _reduce(expr.op, values, present), np.asarray(np.any(present, axis=0))))
    return from_rows(rows, steps)


def _group(key: Key, grouping: ast.Grouping) -> Key:
    if grouping.without:
        return tuple(pair for pair in key if pair[0] not in grouping.labels and pair[0] != "__name__")
    return tuple(pair for pair in key if pair[0] in grouping.labels)


def _reduce(op: str, values: Floats, present: Mask) -> Floats:
    counts = present.sum(axis=0)
    some = np.maximum(counts, 1)
    out: Floats
    with np.errstate(invalid="ignore", over="ignore"):
        match op:
            case "count":
                out = counts.astype(np.float64)
            case "sum":
                out = np.where(present, values, 0.0).sum(axis=0)
            case "avg":
                out = np.where(present, values, 0.0).sum(axis=0) / some
            case "max":
                out = np.fmax.reduce(np.where(present, values, np.nan), axis=0)
            case "min":
                out = np.fmin.reduce(np.where(present, values, np.nan), axis=0)
            case _:
                mean = np.where(present, values, 0.0).sum(axis=0) / some
                out = np.where(present, (values - mean) ** 2, 0.0).sum(axis=0) / some
                if op == "stddev":
                    out = np.sqrt(out)
    return out


def _choose(matrix: Matrix, numbers: Sequence[int], count: int, chosen: Mask, *, largest: bool) -> None:
    """Mark the `count` greatest or least of some series at each step; what is not a number comes last."""
    rows = np.asarray(numbers)
    values = matrix.values[rows]
    # Infinities stay in front of what is absent: rank by three keys, the last being the most important.
    keys = (-values if largest else values, np.isnan(values), ~matrix.present[rows])
    ranks = np.argsort(np.lexsort(keys, axis=0), axis=0)
    chosen[rows] = (ranks < count) & matrix.present[rows]
