"""Filters applied to whole columns of a piece."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import re2
from numpy.typing import NDArray

from pilothouse.core.labels import Matcher
from pilothouse.query.logql import ast
from pilothouse.store.logs.levels import DETECTED, LEVELS
from pilothouse.store.logs.query.conditions import text_test
from pilothouse.store.logs.query.pieces import Ids, Keys
from pilothouse.store.logs.query.stages import line_test
from pilothouse.store.logs.streams import StreamIndex

Mask: TypeAlias = NDArray[np.bool_]
_ABSENT = 2
RARE = 64
"""Lines of a piece up to which looking for the next place of a text is quicker than looking at each line."""


def line_mask(lines: pa.StringArray, filters: Sequence[ast.LineFilter]) -> Mask | None:
    """Which lines pass all filters; None where there are none.

    A text that few lines hold is found in all lines at once. Any other is searched for as an escaped regex: Arrow's own
    substring search is four times slower than RE2's.
    """
    mask: Mask | None = None
    for one in filters:
        pattern = _pattern(one)
        if pattern is None:
            test = line_test(one)
            if mask is None:
                mask = np.fromiter((test(line) for line in lines.to_pylist()), np.bool_, len(lines))
            else:
                left = np.flatnonzero(mask)
                passed = (test(line) for line in lines.take(pa.array(left)).to_pylist())
                mask[left] = np.fromiter(passed, np.bool_, len(left))
            continue
        found = _rare(lines, one)
        if found is None:
            found = pc.match_substring_regex(lines, pattern).to_numpy(zero_copy_only=False)
        if one.op.negated:
            found = ~found
        mask = found.copy() if mask is None else mask & found
        if not mask.any():
            break
    return mask


def _rare(lines: pa.StringArray, one: ast.LineFilter) -> Mask | None:
    """Which lines hold the one plain text of a filter; None where it is no such filter, or more than RARE do."""
    if one.op not in {ast.LineOp.CONTAINS, ast.LineOp.LACKS} or len(one.needles) != 1 or one.needles[0].ip:
        return None
    needle = one.needles[0].text.encode("utf-8", "surrogatepass")
    if not needle or not len(lines):
        return None
    _, bounds, data = lines.buffers()
    offsets = np.frombuffer(bounds, dtype=np.int32)[lines.offset : lines.offset + len(lines) + 1]
    first = int(offsets[0])
    text = data.slice(first, int(offsets[-1]) - first).to_pybytes() if data is not None else b""
    mask = np.zeros(len(lines), np.bool_)
    at = text.find(needle)
    for _ in range(RARE):
        if at < 0:
            return mask
        row = int(np.searchsorted(offsets, at + first, side="right")) - 1
        end = int(offsets[row + 1]) - first
        # What begins in one line and ends in the next is in neither.
        mask[row] |= at + len(needle) <= end
        at = text.find(needle, end if mask[row] else at + 1)
    return None


def _pattern(one: ast.LineFilter) -> str | None:
    """The regex of RE2 that says the same as a filter's needles; None where none does."""
    if any(needle.ip for needle in one.needles) or one.op in {ast.LineOp.PATTERN, ast.LineOp.NOT_PATTERN}:
        return None
    plain = one.op in {ast.LineOp.CONTAINS, ast.LineOp.LACKS}
    parts = [re2.escape(needle.text) if plain else needle.text for needle in one.needles]
    return parts[0] if len(parts) == 1 else "|".join(f"(?:{part})" for part in parts)


class LabelFilters:
    """Label filters over labels as they are stored. One instance serves one query, from one thread at a time."""

    def __init__(self, conditions: Sequence[ast.LabelFilter], streams: StreamIndex) -> None:
        self._conditions = conditions
        self._streams = streams
        self._tables: dict[Matcher, tuple[Callable[[str], bool], NDArray[np.int8], Mask]] = {}

    @property
    def need_metadata(self) -> bool:
        """Whether any filter names what may be structured metadata."""
        return any(name != DETECTED for condition in self._conditions for name in _names(condition))

    def mask(self, keys: Keys, rows: Ids, metadata: pa.MapArray | None) -> Mask | None:
        """Which of `rows` pass all filters; None where there are none."""
        mask: Mask | None = None
        for condition in self._conditions:
            found = self._mask(condition, keys, rows, metadata)
            mask = found if mask is None else mask & found
        return mask

    def _mask(self, condition: ast.LabelFilter, keys: Keys, rows: Ids, metadata: pa.MapArray | None) -> Mask:
        match condition:
            case ast.AndFilter(left, right):
                return self._mask(left, keys, rows, metadata) & self._mask(right, keys, rows, metadata)
            case ast.OrFilter(left, right):
                return self._mask(left, keys, rows, metadata) | self._mask(right, keys, rows, metadata)
            case ast.MatcherFilter(matcher):
                return self._by_text(matcher, keys, rows, metadata)
            case _:
                raise TypeError(type(condition))

    def _by_text(self, matcher: Matcher, keys: Keys, rows: Ids, metadata: pa.MapArray | None) -> Mask:
        test, by_stream, by_level = self._table(matcher, keys.stream[rows])
        state = by_stream[keys.stream[rows]]
        mask: Mask = np.asarray(state == 1)
        absent = np.flatnonzero(state == _ABSENT)
        if not len(absent):
            return mask
        if matcher.name == DETECTED:
            mask[absent] = by_level[keys.level[rows[absent]]]
        elif metadata is None:
            mask[absent] = test("")
        else:
            values = metadata_values(metadata, matcher.name)
            missing = test("")
            mask[absent] = missing
            if len(values):
                where = rows[absent]
                known = {row: test(value) for row, value in values.items()}
                mask[absent] = np.fromiter((known.get(int(row), missing) for row in where), np.bool_, len(where))
        return mask

    def _table(self, matcher: Matcher, streams: Ids) -> tuple[Callable[[str], bool], NDArray[np.int8], Mask]:
        known = self._tables.get(matcher)
        if known is None or len(known[1]) < len(self._streams):
            test = text_test(matcher)
            by_level = np.fromiter((test(level) for level in LEVELS), np.bool_, len(LEVELS))
            known = (test, np.full(len(self._streams), -1, dtype=np.int8), by_level)
            self._tables[matcher] = known
        test, by_stream, _ = known
        for stream in np.unique(streams[by_stream[streams] == -1]):
            value = self._streams.labels(int(stream)).get(matcher.name)
            by_stream[stream] = _ABSENT if value is None else int(test(value))
        return known


def _names(condition: ast.LabelFilter) -> list[str]:
    match condition:
        case ast.AndFilter(left, right) | ast.OrFilter(left, right):
            return _names(left) + _names(right)
        case ast.MatcherFilter(matcher):
            return [matcher.name]
        case _:
            return [condition.name]


def metadata_values(metadata: pa.MapArray, name: str) -> dict[int, str]:
    """The values of one key of structured metadata, by row; rows without it are left out."""
    offsets = metadata.offsets.to_numpy()
    keys, items = metadata.keys, metadata.items
    at = np.flatnonzero(pc.equal(keys, name).to_numpy(zero_copy_only=False))
    at = at[(at >= offsets[0]) & (at < offsets[-1])]
    if not len(at):
        return {}
    rows = np.searchsorted(offsets, at, side="right") - 1
    return dict(zip(rows.tolist(), items.take(pa.array(at)).to_pylist(), strict=True))
