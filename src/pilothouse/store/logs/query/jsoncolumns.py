"""Fields of JSON lines for a whole piece at once, as far as that gives exactly what `| json` gives line by line.

DuckDB reads a field by its key; Loki makes a label of it by rules of its own (jsonlines). The two agree on a line
whose own keys leave no doubt: which they are is looked at once for each distinct set of keys. Whatever is in doubt is
left to the line-by-line way.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from pilothouse.query.logql import ast
from pilothouse.store.logs.levels import DETECTED
from pilothouse.store.logs.query import duck
from pilothouse.store.logs.query.binary import apply
from pilothouse.store.logs.query.conditions import text_test
from pilothouse.store.logs.query.jsonlines import JSON_ERROR, keys_of, label_name
from pilothouse.store.logs.query.matrix import Floats
from pilothouse.store.logs.query.rowlabels import DETAILS, ERROR, SUFFIX

Mask: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fields:
    """Of each line: whether it is `exact` (what the columns say is all there is to it), and an `object` or an error.

    `numbers` are NaN and `texts` null where a line lacks the label.
    """

    exact: Mask
    objects: Mask
    numbers: Mapping[str, Floats]
    texts: Mapping[str, pa.StringArray]


def eligible(name: str, bases: Iterable[Mapping[str, str]]) -> bool:
    """Whether a label of this name can come from a JSON field alone."""
    return (
        name not in {DETECTED, ERROR, DETAILS}
        and not name.startswith("_")
        and not name.endswith(SUFFIX)
        and not any(name in base for base in bases)
    )


def names_in(conditions: Sequence[ast.LabelFilter]) -> tuple[set[str], set[str]] | None:
    """The labels that conditions read as numbers and as texts; None where one of them reads in another way."""
    numbers: set[str] = set()
    texts: set[str] = set()
    todo = list(conditions)
    while todo:
        match todo.pop():
            case ast.AndFilter(left, right) | ast.OrFilter(left, right):
                todo += [left, right]
            case ast.NumberFilter(name):
                numbers.add(name)
            case ast.MatcherFilter(matcher):
                if matcher.name == DETAILS:
                    return None
                texts.add(matcher.name)
            case _:
                return None
    return numbers, texts - {ERROR}


def read_fields(lines: pa.StringArray, numbers: Sequence[str], texts: Sequence[str]) -> Fields:
    """The fields of each line."""
    count = len(lines)
    objects = pc.starts_with(lines, "{").to_numpy(zero_copy_only=False)
    # A line may begin with spaces and be an object all the same.
    exact = objects | ~pc.match_substring_regex(lines, r"^[ \t\r\n]").to_numpy(zero_copy_only=False)
    where = np.flatnonzero(objects)
    table = _extract(lines if len(where) == count else lines.take(pa.array(where)), numbers, texts)
    exact[where] = _exact_rows(lines, where, table["keys"], [*numbers, *texts])
    found: dict[str, Floats] = {}
    for index, name in enumerate(numbers):
        values = np.full(count, np.nan)
        number = table[f"n{index}"].to_numpy()
        values[where] = number
        odd = table[f"o{index}"].to_numpy()
        exact[where] &= ~odd
        found[name] = values
    words: dict[str, pa.StringArray] = {}
    back = np.full(count, -1, dtype=np.int64)
    back[where] = np.arange(len(where))
    for index, name in enumerate(texts):
        column = table[f"t{index}"].combine_chunks()
        column = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
        odd = pc.fill_null(pc.match_substring_regex(column, r"^(?:[{\[]|[-0-9][0-9]*[.eE])|\x{FFFD}"), False)
        exact[where] &= ~odd.to_numpy(zero_copy_only=False)
        words[name] = column.take(pa.array(back, mask=back < 0))
    return Fields(exact=exact, objects=objects, numbers=found, texts=words)


def _extract(lines: pa.StringArray, numbers: Sequence[str], texts: Sequence[str]) -> pa.Table:
    piece = pa.table({"line": lines})
    paths = [f'$."{name}"' for name in (*numbers, *texts)]
    for guarded in (False, True):
        guard = "CASE WHEN json_valid(line) THEN {} END" if guarded else "{}"
        inner = [f"{guard.format(f'json_extract(line, ${i + 1})')}::VARCHAR AS j{i}" for i in range(len(numbers))]
        outer = [f"TRY_CAST(j{i} AS DOUBLE) AS n{i}" for i in range(len(numbers))]
        # A number in a string, a boolean or an object is no matter for columns.
        outer += [
            f"CASE WHEN j{i} IS NULL OR n{i} IS NOT NULL THEN false ELSE j{i} <> 'null' AND j{i}[1] <> '[' END AS o{i}"
            for i in range(len(numbers))
        ]
        inner += [
            f"{guard.format(f'json_extract_string(line, ${len(numbers) + i + 1})')} AS t{i}" for i in range(len(texts))
        ]
        outer += [f"t{i}" for i in range(len(texts))]
        inner.append(f"{guard.format('hash(json_keys(line))')} AS keys")
        sql = f"SELECT {', '.join([*outer, 'keys'])} FROM (SELECT {', '.join(inner)} FROM piece)"  # noqa: S608 - names of columns alone
        try:
            return _filled(duck.run(sql, piece, paths), len(numbers))
        except duckdb.InvalidInputException:
            if guarded:
                raise
    raise AssertionError


def _filled(table: pa.Table, numbers: int) -> pa.Table:
    for index in range(numbers):
        at = table.schema.get_field_index(f"n{index}")
        table = table.set_column(at, f"n{index}", pc.fill_null(table.column(at), np.nan))
        at = table.schema.get_field_index(f"o{index}")
        table = table.set_column(at, f"o{index}", pc.fill_null(table.column(at), False))
    return table


def _exact_rows(lines: pa.StringArray, where: NDArray[np.int64], keys: pa.ChunkedArray, names: Sequence[str]) -> Mask:
    """Which of the object lines have keys that leave no doubt; one that is no JSON does not."""
    if not len(where):
        return np.zeros(0, dtype=np.bool_)
    valid = pc.is_valid(keys).to_numpy()
    hashes = pc.fill_null(keys, 0).to_numpy()
    _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    clear = np.array([valid[row] and _clear(lines[int(where[row])].as_py(), names) for row in first], dtype=np.bool_)
    out: Mask = clear[inverse] & valid
    return out


def _clear(line: str, names: Sequence[str]) -> bool:
    keys = keys_of(line)
    if keys is None:
        return False
    labels = [label_name(key) for key in keys]
    for name in names:
        if any(not label or name.startswith(f"{label}_") for label in labels):
            return False  # the label may come from an object within
        first = next((key for key, label in zip(keys, labels, strict=True) if label == name), name)
        if first != name:
            return False
    return True


def passing(conditions: Sequence[ast.LabelFilter], fields: Fields) -> Mask:
    """Which lines pass, of those that are exact; of the others this says nothing."""
    mask = np.ones(len(fields.exact), dtype=np.bool_)
    for condition in conditions:
        mask &= _mask(condition, fields)
    return mask


def _mask(condition: ast.LabelFilter, fields: Fields) -> Mask:
    out: Mask
    match condition:
        case ast.AndFilter(left, right):
            out = _mask(left, fields) & _mask(right, fields)
        case ast.OrFilter(left, right):
            out = _mask(left, fields) | _mask(right, fields)
        case ast.NumberFilter(name, op, value):
            numbers = fields.numbers[name]
            out = (apply(op.value, numbers, value) == 1) & ~np.isnan(numbers)
        case ast.MatcherFilter(matcher):
            test = text_test(matcher)
            if matcher.name == ERROR:
                out = np.where(fields.objects, test(""), test(JSON_ERROR))
            else:
                encoded = fields.texts[matcher.name].dictionary_encode()
                verdicts = np.array([*(test(word) for word in encoded.dictionary.to_pylist()), test("")])
                out = verdicts[pc.fill_null(encoded.indices, len(verdicts) - 1).to_numpy()]
        case _:
            raise TypeError(type(condition))
    return out
