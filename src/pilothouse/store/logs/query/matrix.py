"""Numbers by series and step: what every metric expression evaluates to."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Mask: TypeAlias = NDArray[np.bool_]
Steps: TypeAlias = NDArray[np.int64]
Key: TypeAlias = tuple[tuple[str, str], ...]
"""A label set, sorted by name."""


def key_of(labels: Mapping[str, str]) -> Key:
    """The key of a label set."""
    return tuple(sorted(labels.items()))


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """The steps at which an expression is evaluated, ns. An instant query has one."""

    steps: Steps
    step: int

    @property
    def count(self) -> int:
        """How many steps."""
        return len(self.steps)


def window(start: int, end: int, step: int) -> Window:
    """The steps from `start` on that are not past `end`."""
    return Window(steps=np.arange(start, end + 1, max(step, 1), dtype=np.int64), step=step)


@dataclass(frozen=True, kw_only=True, slots=True)
class Matrix:
    """`values[i, j]` is series i at step j, where `present[i, j]`. Not to be changed once made."""

    series: tuple[Key, ...]
    values: Floats
    present: Mask

    def rows(self) -> Iterable[tuple[Key, Floats, Mask]]:
        """Each series with its values."""
        return zip(self.series, self.values, self.present, strict=True)


def from_rows(rows: Sequence[tuple[Key, Floats, Mask]], steps: int) -> Matrix:
    """A matrix of the rows that have any value; rows of one label set are laid over one another."""
    merged: dict[Key, tuple[Floats, Mask]] = {}
    for key, values, present in rows:
        if not present.any():
            continue
        if key in merged:
            old, had = merged[key]
            merged[key] = (np.where(present, values, old), had | present)
        else:
            merged[key] = (values, present)
    if not merged:
        return empty(steps)
    return Matrix(
        series=tuple(merged),
        values=np.vstack([values for values, _ in merged.values()]),
        present=np.vstack([present for _, present in merged.values()]),
    )


def empty(steps: int) -> Matrix:
    """No series."""
    return Matrix(series=(), values=np.empty((0, steps)), present=np.empty((0, steps), dtype=np.bool_))


def everywhere(key: Key, value: float, steps: int) -> Matrix:
    """One series with the same value at each step."""
    return Matrix(series=(key,), values=np.full((1, steps), value), present=np.ones((1, steps), dtype=np.bool_))
