"""Range aggregations: lines of a selector, counted or unwrapped, over a window."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pilothouse.core.labels import MatchOp, format_labels
from pilothouse.core.times import SECOND
from pilothouse.query.logql import ast
from pilothouse.query.logql.units import parse_go_duration, parse_size
from pilothouse.store.logs.levels import DETECTED, LEVELS
from pilothouse.store.logs.query.budget import Budget
from pilothouse.store.logs.query.conditions import (
    compile_condition,
    duration_fault,
    parse_float,
    required_names,
    size_fault,
)
from pilothouse.store.logs.query.errors import QueryRefused
from pilothouse.store.logs.query.groups import Groups, groups_for, wanted_labels
from pilothouse.store.logs.query.jsonrows import JsonSamples
from pilothouse.store.logs.query.matrix import Matrix, Window, everywhere, from_rows, key_of
from pilothouse.store.logs.query.pieces import Ids, Ints, Levels
from pilothouse.store.logs.query.plan import Plan, plan
from pilothouse.store.logs.query.ranges import Buckets, Samples, Series
from pilothouse.store.logs.query.rowlabels import ERROR, PRESERVE, RowLabels
from pilothouse.store.logs.query.scan import Rows, Scan, row_labels
from pilothouse.store.logs.query.stages import compile_stages
from pilothouse.store.logs.snapshot import Snapshot

_PARSERS = (ast.JsonParser, ast.LogfmtParser, ast.PatternParser, ast.RegexpParser)
_UNKNOWN = -1
MOST_RUNS = 64
"""Streams of a piece up to which counting by runs is quicker than placing each row."""
PORTION = 4096
"""Lines decoded at a time where they must be looked at one by one."""


def aggregate_range(
    snapshot: Snapshot,
    expr: ast.RangeAggregation,
    outer: ast.VectorAggregation | None,
    window: Window,
    budget: Budget,
) -> Matrix:
    """A range aggregation at each step; `outer` is the vector aggregation right around it.

    Raises QueryRefused for a line whose error nobody filtered out, and what a Scan raises.
    """
    work = _Aggregation(snapshot, expr, groups_for(expr, outer), window, budget)
    matrix = work.run()
    for key in matrix.series:
        labels = dict(key)
        if labels.get(ERROR) and labels.get(PRESERVE) != "true":
            raise QueryRefused(_pipeline_error(labels))
    return _absent(expr, matrix, window) if expr.op == "absent_over_time" else matrix


def _pipeline_error(labels: Mapping[str, str]) -> str:
    kind = labels[ERROR]
    return (
        f"pipeline error: '{kind}' for series: '{format_labels(labels)}'.\n"
        f'Use a label filter to intentionally skip this error. (e.g | __error__!="{kind}").\n'
        'To skip all potential errors you can match empty errors.(e.g __error__="")\n'
        'The label filter can also be specified after unwrap. (e.g | unwrap latency | __error__="" )\n'
    )


def _absent(expr: ast.RangeAggregation, matrix: Matrix, window: Window) -> Matrix:
    labels: dict[str, str] = {}
    unsure = set()
    for matcher in expr.range.query.matchers:
        if matcher.op is MatchOp.EQUAL and matcher.name not in labels:
            labels[matcher.name] = matcher.value
        else:
            unsure.add(matcher.name)
    key = key_of({name: value for name, value in labels.items() if name not in unsure})
    one = everywhere(key, 1.0, window.count)
    present = np.logical_not(np.any(matrix.present, axis=0))
    return from_rows([(key, one.values[0], present)], window.count)


class _Aggregation:
    def __init__(
        self, snapshot: Snapshot, expr: ast.RangeAggregation, groups: Groups, window: Window, budget: Budget
    ) -> None:
        self.expr, self.groups, self.window, self.budget = expr, groups, window, budget
        self.series = Series()
        log_range, unwrap = expr.range, expr.range.unwrap
        made = plan(log_range.query)
        required = made.steps.required
        if unwrap is not None:
            required = required.union(*(required_names(condition) for condition in unwrap.filters))
        self.wanted = wanted_labels(groups, required, unwrap.label if unwrap else None)
        self.plan = self._without_idle_parsers(made)
        start = int(window.steps[0]) - log_range.offset - log_range.interval + 1
        self.scan = Scan(snapshot, self.plan, start, int(window.steps[-1]) - log_range.offset + 1, budget)
        self.streams = snapshot.streams
        self.bytes = expr.op in {"bytes_over_time", "bytes_rate"}
        bases = [self.streams.labels(int(stream)) for stream in self.scan.streams]
        self.by_metadata = groups.needs_metadata(bases)
        self.by_level = groups.needs_level()
        self.json = self._by_columns(bases)
        if self.json is not None:
            self.scan.refine = self.json.read
        self._numbers = np.full((len(self.streams), len(LEVELS)), _UNKNOWN, dtype=np.int32)
        self._attached: dict[tuple[int, int, tuple[tuple[str, str], ...]], int] = {}

    def _by_columns(self, bases: Sequence[Mapping[str, str]]) -> JsonSamples | None:
        """How to read JSON by columns; None where the series have labels that these do not give."""
        if not self.groups.bounded or DETECTED in self.groups.labels or not self.plan.rest:
            return None
        beyond = [name for name in self.groups.labels if not all(name in base for base in bases)]
        return JsonSamples.of(self.scan, () if self.groups.none else beyond, self.expr.range.unwrap)

    def _without_idle_parsers(self, made: Plan) -> Plan:
        """Parsers that nothing asks for a label do nothing, and set no error either."""
        if self.wanted != frozenset():
            return made
        rest = tuple(stage for stage in made.rest if not isinstance(stage, _PARSERS))
        return made if len(rest) == len(made.rest) else replace(made, rest=rest, steps=compile_stages(rest))

    def run(self) -> Matrix:
        log_range, op = self.expr.range, self.expr.op
        if log_range.unwrap is not None:
            samples = Samples(self.series)
            for rows in self.scan.all():
                self._unwrap(self._unwrap_columns(rows, samples), log_range.unwrap, samples)
            return samples.matrix(op, self.window, log_range.interval, log_range.offset, self.expr.parameter)
        buckets = Buckets(self.window, log_range.interval, log_range.offset, self.series)
        for rows in self.scan.all(lines=bool(self.bytes or self.plan.rest), metadata=self.by_metadata):
            if self.plan.rest:
                self._count_each(self._count_columns(rows, buckets), buckets)
            else:
                self._count(rows, buckets)
        return buckets.matrix("count_over_time" if op == "absent_over_time" else op, log_range.interval)

    # Whole columns

    def _count(self, rows: Rows, buckets: Buckets) -> None:
        if not len(rows.rows) or self._count_runs(rows, buckets):
            return
        weights = None
        if self.bytes and rows.lines is not None:
            weights = pc.binary_length(rows.lines).to_numpy().astype(np.int64)[rows.rows]
        buckets.add(rows.keys.ts[rows.rows], self._number_all(rows), weights)

    def _count_runs(self, rows: Rows, buckets: Buckets) -> bool:
        """Count rows that lie together as a segment sorts them, by stream and time: each row need not be placed.

        False where they do not, or more than their stream and level makes their series; then nothing was counted.
        """
        first, last = int(rows.rows[0]), int(rows.rows[-1])
        if self.bytes or (self.by_metadata and rows.metadata is not None) or last - first + 1 != len(rows.rows):
            return False
        ts, stream = rows.keys.ts[first : last + 1], rows.keys.stream[first : last + 1]
        begins = np.flatnonzero(np.diff(stream)) + 1
        falls = np.flatnonzero(np.diff(ts) < 0) + 1
        if len(begins) >= MOST_RUNS or not np.isin(falls, begins).all():
            return False
        for begin, end in pairwise((0, *begins.tolist(), len(ts))):
            of = int(stream[begin])
            codes = rows.keys.level[first + begin : first + end] if self.by_level else None
            levels = (0,) if codes is None else np.flatnonzero(np.bincount(codes)).tolist()
            numbers = {level: self._number_of(of, level) for level in levels}
            buckets.add_sorted(ts[begin:end], codes, numbers)
        return True

    def _number_of(self, stream: int, level: int) -> int:
        if self._numbers[stream, level] == _UNKNOWN:
            labels = row_labels(self.streams, stream, level, None)
            self._numbers[stream, level] = self.series.number(self.groups.of(labels))
        return int(self._numbers[stream, level])

    def _number_all(self, rows: Rows) -> Ids:
        streams = rows.keys.stream[rows.rows]
        levels = rows.keys.level[rows.rows] if self.by_level else np.zeros(len(streams), dtype=np.uint8)
        if self.by_metadata and rows.metadata is not None:
            return self._number_attached(rows, streams, levels)
        numbers = self._numbers[streams, levels]
        unknown = np.flatnonzero(numbers == _UNKNOWN)
        if len(unknown):
            pairs = np.unique(streams[unknown].astype(np.int64) * len(LEVELS) + levels[unknown])
            for pair in pairs:
                self._number_of(*divmod(int(pair), len(LEVELS)))
            numbers = self._numbers[streams, levels]
        out: Ids = numbers
        return out

    def _number_attached(self, rows: Rows, streams: Ids, levels: Levels) -> Ids:
        assert rows.metadata is not None  # noqa: S101 - the caller looked
        attached = rows.metadata.take(pa.array(rows.rows)).to_pylist()
        out = np.empty(len(streams), dtype=np.int32)
        for at, (stream, level, pairs) in enumerate(zip(streams.tolist(), levels.tolist(), attached, strict=True)):
            known = (stream, level, tuple(pairs or ()))
            number = self._attached.get(known)
            if number is None:
                number = self.series.number(self.groups.of(row_labels(self.streams, stream, level, pairs)))
                if len(self._attached) < 100_000:
                    self._attached[known] = number
            out[at] = number
        return out

    # Fields of JSON by columns; each gives back the rows that are left to be looked at one by one

    def _count_columns(self, rows: Rows, buckets: Buckets) -> Rows:
        if self.json is None or rows.fields is None or not len(rows.rows):
            return rows
        sure, unsure = self.json.split(rows.fields)
        some = rows.rows[sure]
        weights = None
        if self.bytes:
            weights = pc.binary_length(rows.texts()).to_numpy().astype(np.int64)[sure]
        buckets.add(rows.keys.ts[some], self._number_fields(rows, sure), weights)
        return replace(rows, rows=rows.rows[unsure])

    def _unwrap_columns(self, rows: Rows, samples: Samples) -> Rows:
        if self.json is None or rows.fields is None or self.json.unwrap is None or not len(rows.rows):
            return rows
        sure, unsure = self.json.split(rows.fields)
        values = rows.fields.numbers[self.json.unwrap][sure]
        samples.add(rows.keys.ts[rows.rows[sure]], self._number_fields(rows, sure), values)
        return replace(rows, rows=rows.rows[unsure])

    def _number_fields(self, rows: Rows, at: NDArray[np.int64]) -> Ids:
        """Series numbers of lines whose fields are known, by stream and by the texts that they are grouped by."""
        assert self.json is not None  # noqa: S101 - the caller looked
        assert rows.fields is not None  # noqa: S101
        combined = rows.keys.stream[rows.rows[at]].astype(np.int64)
        words: list[list[str | None]] = []
        for name in self.json.groups:
            encoded = rows.fields.texts[name].take(pa.array(at)).dictionary_encode()
            known = encoded.dictionary.to_pylist()
            codes = pc.fill_null(encoded.indices, len(known)).to_numpy()
            combined = combined * (len(known) + 1) + codes
            words.append([*known, None])
        distinct, inverse = np.unique(combined, return_inverse=True)
        numbers = np.empty(len(distinct), dtype=np.int32)
        for index, combination in enumerate(distinct.tolist()):
            code, found = combination, {}
            for name, choice in zip(reversed(self.json.groups), reversed(words), strict=True):
                code, which = divmod(code, len(choice))
                if (word := choice[which]) is not None:
                    found[name] = word
            labels = row_labels(self.streams, code, 0, None)
            for name, word in found.items():
                labels.set(name, word)
            numbers[index] = self.series.number(self.groups.of(labels))
        out: Ids = numbers[inverse]
        return out

    # Line by line

    def _each(self, rows: Rows, take: Callable[[int, str, RowLabels], None]) -> None:
        run, streams, wanted = self.plan.steps.run, self.streams, self.wanted
        if rows.lines is None:
            return
        for begin in range(0, len(rows.rows), PORTION):
            self.budget.check()
            some = rows.rows[begin : begin + PORTION]
            index = pa.array(some)
            texts = rows.lines.take(index).to_pylist()
            attached = [None] * len(some) if rows.metadata is None else rows.metadata.take(index).to_pylist()
            columns = (rows.keys.ts[some].tolist(), rows.keys.stream[some].tolist(), rows.keys.level[some].tolist())
            for text, metadata, ts, stream, level in zip(texts, attached, *columns, strict=True):
                labels = row_labels(streams, stream, level, metadata, wanted)
                out = run(ts, text, labels)
                if out is not None:
                    take(ts, out, labels)

    def _count_each(self, rows: Rows, buckets: Buckets) -> None:
        times: list[int] = []
        numbers: list[int] = []
        sizes: list[int] = []

        def take(ts: int, line: str, labels: RowLabels) -> None:
            times.append(ts)
            numbers.append(self.series.number(self.groups.of(labels)))
            if self.bytes:
                sizes.append(len(line.encode("utf-8", "surrogatepass")))

        self._each(rows, take)
        weights: Ints | None = np.array(sizes, dtype=np.int64) if self.bytes else None
        buckets.add(np.array(times, dtype=np.int64), np.array(numbers, dtype=np.int32), weights)

    def _unwrap(self, rows: Rows, unwrap: ast.Unwrap, samples: Samples) -> None:
        times: list[int] = []
        numbers: list[int] = []
        values: list[float] = []
        convert, fault = _conversion(unwrap.conversion)
        conditions = [compile_condition(condition) for condition in unwrap.filters]
        name = unwrap.label

        def take(ts: int, _: str, labels: RowLabels) -> None:
            text = labels.get(name)
            if not text:
                return
            value = convert(text)
            if value is None:
                labels.error, labels.details = "SampleExtractionErr", fault(text)
                value = 0.0
            if all(condition(labels) for condition in conditions):
                times.append(ts)
                numbers.append(self.series.number(self.groups.of(labels)))
                values.append(value)

        self._each(rows, take)
        samples.add(np.array(times, dtype=np.int64), np.array(numbers, dtype=np.int32), np.array(values))


def _conversion(name: str | None) -> tuple[Callable[[str], float | None], Callable[[str], str]]:
    if name == "bytes":
        return lambda text: None if (size := parse_size(text)) is None else float(size), size_fault
    if name is not None:
        return lambda text: None if (ns := parse_go_duration(text)) is None else ns / SECOND, duration_fault
    return parse_float, lambda text: f'strconv.ParseFloat: parsing "{text}": invalid syntax'
