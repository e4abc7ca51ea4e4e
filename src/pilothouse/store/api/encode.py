"""Answers as Loki writes them."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from pilothouse.query.logql.printer import format_number
from pilothouse.store.logs.query.budget import Budget
from pilothouse.store.logs.query.lines import Line
from pilothouse.store.logs.query.matrix import Key, Matrix, Window

CATEGORIZE = "categorize-labels"
"""The flag by which a client asks for stream labels, structured metadata and parsed labels apart."""


def streams(lines: Iterable[Line], *, categorized: bool) -> list[dict[str, Any]]:
    """Lines gathered by their labels, streams in the order of their labels, lines as they come."""
    found: dict[Any, dict[str, Any]] = {}
    for line in lines:
        labels = line.labels
        if categorized:
            stream = labels.stream()
            extra: dict[str, dict[str, str]] = {}
            if labels.metadata:
                extra["structuredMetadata"] = labels.metadata
            if parsed := labels.found():
                extra["parsed"] = parsed
            value: list[Any] = [str(line.ts), line.text, extra]
        else:
            stream = labels.all()
            value = [str(line.ts), line.text]
        key = tuple(sorted(stream.items()))
        entry = found.get(key)
        if entry is None:
            found[key] = {"stream": stream, "values": [value]}
        else:
            entry["values"].append(value)
    return [found[key] for key in sorted(found)]


def stream_answer(lines: Sequence[Line], budget: Budget, *, categorized: bool) -> bytes:
    """The body of an answer to a log query."""
    data: dict[str, Any] = {"resultType": "streams", "result": streams(lines, categorized=categorized)}
    if categorized:
        data["encodingFlags"] = [CATEGORIZE]
    data["stats"] = stats(budget, len(lines))
    return success(data)


def matrix_answer(value: Matrix | float, window: Window, budget: Budget) -> bytes:
    """The body of an answer to a metric query over a range."""
    times = [seconds(int(step)) for step in window.steps]
    if not isinstance(value, Matrix):
        points = [[time, number(value)] for time in times]
        result: list[dict[str, Any]] = [{"metric": {}, "values": points}]
    else:
        result = []
        for index in sorted(range(len(value.series)), key=value.series.__getitem__):
            row = value.values[index].tolist()
            there = value.present[index].nonzero()[0].tolist()
            result.append({"metric": dict(value.series[index]), "values": [[times[i], number(row[i])] for i in there]})
    return success({"resultType": "matrix", "result": result, "stats": stats(budget, len(result))})


def vector_answer(value: Matrix | float, window: Window, budget: Budget, *, order: int) -> bytes:
    """The body of an answer to a metric query at one time. `order`: 0 by labels, 1 least first, -1 greatest first."""
    ns = int(window.steps[0])
    if not isinstance(value, Matrix):
        # Loki gives a scalar's time in milliseconds.
        result: Any = [ns // 1_000_000, number(value)]
        return success({"resultType": "scalar", "result": result, "stats": stats(budget, 1)})

    def place(index: int) -> tuple[float, Key]:
        amount = float(value.values[index, 0])
        if not order:
            return 0.0, value.series[index]
        return (math.inf if math.isnan(amount) else order * amount), value.series[index]

    result = [
        {"metric": dict(value.series[i]), "value": [seconds(ns), number(float(value.values[i, 0]))]}
        for i in sorted(range(len(value.series)), key=place)
        if value.present[i, 0]
    ]
    return success({"resultType": "vector", "result": result, "stats": stats(budget, len(result))})


def success(data: Any) -> bytes:
    """The envelope. An empty list of data stays one."""
    return orjson.dumps({"status": "success", "data": data})


def seconds(ns: int) -> float | int:
    """Seconds since the epoch, to the millisecond, as Prometheus writes times."""
    whole, rest = divmod(ns // 1_000_000, 1000)
    return whole + rest / 1000 if rest else whole


def number(value: float) -> str:
    """A sample's value as text, never with an exponent."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return format_number(value)


def stats(budget: Budget, entries: int) -> dict[str, Any]:
    """What the query read, under the names that Grafana shows."""
    took = max(budget.seconds(), 1e-9)
    return {
        "summary": {
            "bytesProcessedPerSecond": int(budget.bytes / took),
            "linesProcessedPerSecond": int(budget.lines / took),
            "totalBytesProcessed": budget.bytes,
            "totalLinesProcessed": budget.lines,
            "execTime": took,
            "totalEntriesReturned": entries,
        }
    }
