"""From samples to numbers: what a range aggregation makes of the samples in each window."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from pilothouse.core.times import SECOND
from pilothouse.store.logs.query.budget import check_cells, check_samples, check_series
from pilothouse.store.logs.query.matrix import Floats, Key, Mask, Matrix, Steps, Window, from_rows
from pilothouse.store.logs.query.pieces import Ids, Ints, Levels


class Series:
    """Label sets to numbers, in order of their first appearance."""

    def __init__(self) -> None:
        self._numbers: dict[Key, int] = {}

    def number(self, key: Key) -> int:
        """The number of a series, a new one where it was not seen. Raises QueryRefused past the limit."""
        number = self._numbers.setdefault(key, len(self._numbers))
        if number == len(self._numbers) - 1:
            check_series(number)
        return number

    def keys(self) -> list[Key]:
        """Every label set, by number."""
        return list(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)


class Buckets:
    """Counts and sums of samples between the bounds of all windows, for aggregations that only add up.

    The windows are (step - interval, step]. Where the interval is a multiple of the step the buckets are the steps;
    else they lie between any two neighbours of all windows' bounds.
    """

    def __init__(self, window: Window, interval: int, offset: int, series: Series) -> None:
        self.series = series
        ends = window.steps - offset
        multiple = interval // window.step if window.step > 0 else 0
        self._width = 0
        if window.step > 0 and interval % window.step == 0 and multiple <= 3 * window.count + 1000:
            self._width = window.step
            self._first = int(ends[0]) - interval
            self._count = window.count - 1 + multiple
            self._low = np.arange(window.count)
            self._high = self._low + multiple
        else:
            self._edges: Steps = np.unique(np.concatenate((ends - interval, ends)))
            self._count = len(self._edges) - 1
            self._low = np.searchsorted(self._edges, ends - interval)
            self._high = np.searchsorted(self._edges, ends)
        self._counts: Ints = np.zeros((0, self._count), dtype=np.int64)
        self._sums: Ints = np.zeros((0, self._count), dtype=np.int64)

    def add(self, ts: Ints, series: Ids | int, weights: Ints | None = None) -> None:
        """Count samples at `ts`, each of the series with its number."""
        if not len(ts):
            return
        if self._width:
            bucket = (ts - (self._first + 1)) // self._width
        else:
            bucket = np.searchsorted(self._edges, ts, side="left") - 1
        inside = (bucket >= 0) & (bucket < self._count)
        if not inside.all():
            bucket = bucket[inside]
            series = series if isinstance(series, int) else series[inside]
            weights = weights if weights is None else weights[inside]
        self._grow()
        flat = bucket + np.int64(self._count) * series
        self._counts += self._add_up(flat, None)
        if weights is not None:
            self._sums += self._add_up(flat, weights)

    def add_sorted(self, ts: Ints, codes: Levels | None, numbers: Mapping[int, int]) -> None:
        """Count samples at ascending `ts`; `numbers` gives the series of each code, or of 0 where there are none."""
        edges = self._first + self._width * np.arange(self._count + 1) if self._width else self._edges
        at = np.searchsorted(ts, edges, side="right")
        self._grow()
        if codes is None:
            self._counts[numbers[0]] += np.diff(at)
            return
        kinds = max(numbers) + 1
        bucket = np.repeat(np.arange(self._count) * kinds, np.diff(at))
        cells = np.bincount(bucket + codes[at[0] : at[-1]], minlength=self._count * kinds).reshape(self._count, kinds)
        for code, number in numbers.items():
            self._counts[number] += cells[:, code]

    def _grow(self) -> None:
        missing = len(self.series) - len(self._counts)
        if missing > 0:
            check_cells(len(self.series), self._count)
            self._counts = np.pad(self._counts, ((0, missing), (0, 0)))
            self._sums = np.pad(self._sums, ((0, missing), (0, 0)))

    def _add_up(self, flat: Ints, weights: Ints | None) -> Ints:
        cells = len(self._counts) * self._count
        totals = np.bincount(flat, weights=weights, minlength=cells)
        cells_of: Ints = totals.astype(np.int64, copy=False).reshape(len(self._counts), self._count)
        return cells_of

    def matrix(self, op: str, interval: int) -> Matrix:
        """The windows' counts, rates or sums; a window without samples has no value."""
        self._grow()
        counts, sums = self._over_windows(self._counts), self._over_windows(self._sums)
        present = counts > 0
        raw = sums if op.startswith("bytes") else counts
        values = raw / (interval / SECOND) if op in {"rate", "bytes_rate"} else raw.astype(np.float64)
        rows = list(zip(self.series.keys(), values, present, strict=True))
        return from_rows(rows, len(self._low))

    def _over_windows(self, cells: Ints) -> Ints:
        total = np.pad(np.cumsum(cells, axis=1), ((0, 0), (1, 0)))
        out: Ints = total[:, self._high] - total[:, self._low]
        return out


@dataclass(slots=True)
class Samples:
    """Values with their times, for aggregations that need each one."""

    series: Series
    _ts: list[Ints] = field(default_factory=list)
    _numbers: list[Ids] = field(default_factory=list)
    _values: list[Floats] = field(default_factory=list)
    _count: int = 0

    def add(self, ts: Ints, numbers: Ids, values: Floats) -> None:
        """Take samples in order of arrival. Raises QueryRefused past the limit."""
        self._count += len(ts)
        check_samples(self._count)
        self._ts.append(ts)
        self._numbers.append(numbers)
        self._values.append(values)

    def matrix(self, op: str, window: Window, interval: int, offset: int, parameter: float | None) -> Matrix:
        """The aggregation `op` over each window."""
        if not self._count:
            return from_rows([], window.count)
        check_cells(len(self.series), window.count)
        ts, numbers, values = np.concatenate(self._ts), np.concatenate(self._numbers), np.concatenate(self._values)
        order = np.lexsort((ts, numbers))
        ts, numbers, values = ts[order], numbers[order], values[order]
        bounds = np.searchsorted(numbers, np.arange(len(self.series) + 1))
        ends = window.steps - offset
        rows = []
        for key, begin, end in zip(self.series.keys(), bounds, bounds[1:], strict=False):
            times = ts[begin:end]
            low = np.searchsorted(times, ends - interval, side="right")
            high = np.searchsorted(times, ends, side="right")
            present = high > low
            if present.any():
                run = _Run(times, values[begin:end], low, high, present, ends, interval)
                rows.append((key, _evaluate(op, run, parameter), present))
        return from_rows(rows, window.count)


@dataclass(frozen=True, slots=True)
class _Run:
    """One series' samples, and the half-open ranges of them that are in each window."""

    ts: Ints
    values: Floats
    low: Ints
    high: Ints
    present: Mask
    ends: Steps
    interval: int

    def reduce(self, ufunc: np.ufunc) -> Floats:
        """`ufunc` over each window; where one is empty the number means nothing."""
        padded = np.append(self.values, 0.0)
        pairs = np.column_stack((self.low, self.high)).ravel()
        out: Floats = ufunc.reduceat(padded, pairs)[::2]
        return out

    def each(self, function: Callable[[Floats], float]) -> Floats:
        """`function` of the values of each window that has any."""
        out = np.zeros(len(self.low))
        for index in np.flatnonzero(self.present):
            out[index] = function(self.values[self.low[index] : self.high[index]])
        return out


def _evaluate(op: str, run: _Run, parameter: float | None) -> Floats:
    counts = np.maximum(run.high - run.low, 1)
    match op:
        case "sum_over_time":
            return run.reduce(np.add)
        case "rate":
            return run.reduce(np.add) / (run.interval / SECOND)
        case "avg_over_time":
            return np.asarray(run.reduce(np.add) / counts)
        case "max_over_time":
            return run.reduce(np.fmax)
        case "min_over_time":
            return run.reduce(np.fmin)
        case "first_over_time":
            return run.values[np.minimum(run.low, len(run.values) - 1)]
        case "last_over_time":
            return run.values[np.maximum(run.high - 1, 0)]
        case "stdvar_over_time":
            return run.each(lambda values: float(np.var(values)))
        case "stddev_over_time":
            return run.each(lambda values: float(np.std(values)))
        case "quantile_over_time":
            return run.each(lambda values: quantile(parameter or 0.0, values))
        case "rate_counter":
            return _rate_counter(run)
        case "absent_over_time":
            return np.ones(len(run.low))
        case _:
            raise ValueError(op)


def quantile(q: float, values: Floats) -> float:
    """Between the two nearest ranks, as Prometheus does it; infinite outside 0 to 1."""
    if q < 0 or math.isnan(q):
        return -math.inf
    if q > 1:
        return math.inf
    rank = q * (len(values) - 1)
    low = math.floor(rank)
    high = min(low + 1, len(values) - 1)
    ordered = np.partition(values, (low, high))
    weight = rank - low
    return float(ordered[low] * (1 - weight) + ordered[high] * weight)


def _rate_counter(run: _Run) -> Floats:
    out = np.zeros(len(run.low))
    for index in np.flatnonzero(run.present):
        part = slice(run.low[index], run.high[index])
        out[index] = _extrapolated(run.ts[part], run.values[part], int(run.ends[index]), run.interval)
    return out


def _extrapolated(ts: Ints, values: Floats, end: int, interval: int) -> float:
    """Rise a second of a counter, with resets, extended to the window's bounds as Prometheus does it."""
    if len(values) < 2:
        return 0.0
    drops = values[:-1][values[1:] < values[:-1]]
    rise = float(values[-1] - values[0] + drops.sum())
    to_start, to_end = (int(ts[0]) - (end - interval)) / SECOND, (end - int(ts[-1])) / SECOND
    sampled = (int(ts[-1]) - int(ts[0])) / SECOND
    between = sampled / (len(values) - 1)
    if to_start >= between * 1.1:
        to_start = between / 2
    if rise > 0 and values[0] >= 0:
        to_start = min(to_start, sampled * float(values[0]) / rise)
    if to_end >= between * 1.1:
        to_end = between / 2
    if not sampled:
        return math.nan
    return rise * ((sampled + to_start + to_end) / sampled) / (interval / SECOND)
