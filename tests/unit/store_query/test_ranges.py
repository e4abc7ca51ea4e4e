"""Counting what lies in order gives what counting each sample gives."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.store.logs.query.matrix import window
from pilothouse.store.logs.query.ranges import Buckets, Series


def buckets(start: int, end: int, step: int, interval: int, offset: int) -> Buckets:
    series = Series()
    for number in range(3):
        series.number((("n", str(number)),))
    return Buckets(window(start, end, step), interval, offset, series)


@given(
    st.lists(st.tuples(st.integers(0, 120), st.integers(0, 2)), max_size=60),
    st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 20), st.integers(1, 40), st.integers(-5, 20)),
    st.booleans(),
)
def test_in_order_or_one_by_one(samples, shape, levels):
    """For windows that lie side by side, overlap, or leave gaps; with and without levels."""
    start, length, step, interval, offset = shape
    samples = sorted(samples, key=lambda sample: sample[0])
    ts = np.array([sample[0] for sample in samples], dtype=np.int64)
    codes = np.array([sample[1] if levels else 0 for sample in samples], dtype=np.uint8)
    one, other = (buckets(start, start + length, step, interval, offset) for _ in range(2))
    one.add(ts, codes.astype(np.int32))
    numbers = {int(code): int(code) for code in np.unique(codes)} or {0: 0}
    other.add_sorted(ts, codes if levels else None, numbers)
    expected, got = (each.matrix("count_over_time", interval) for each in (one, other))
    assert got.series == expected.series
    assert np.array_equal(got.present, expected.present)
    assert np.array_equal(got.values[got.present], expected.values[expected.present])
