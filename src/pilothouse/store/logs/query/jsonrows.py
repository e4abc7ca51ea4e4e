"""Conditions right behind `| json`, and unwrapped fields, for whole columns where that is exact."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pilothouse.query.logql import ast
from pilothouse.store.logs.query.jsoncolumns import Fields, eligible, names_in, passing, read_fields
from pilothouse.store.logs.query.scan import Rows, Scan

_CONDITIONS = (ast.MatcherFilter, ast.NumberFilter, ast.AndFilter, ast.OrFilter)


def leading_conditions(stages: Sequence[ast.Stage]) -> tuple[ast.LabelFilter, ...]:
    """The label filters right behind a `| json` of all fields, at the beginning of `stages`."""
    if not stages or stages[0] != ast.JsonParser():
        return ()
    out: list[ast.LabelFilter] = []
    for stage in stages[1:]:
        if not isinstance(stage, _CONDITIONS):
            break
        out.append(stage)
    return tuple(out)


@dataclass(frozen=True, kw_only=True, slots=True)
class JsonConditions:
    """Drops lines that conditions right behind `| json` would drop anyway."""

    conditions: tuple[ast.LabelFilter, ...]
    numbers: tuple[str, ...]
    texts: tuple[str, ...]

    @classmethod
    def of(cls, scan: Scan) -> "JsonConditions | None":
        """None where the stages begin in another way, or their labels can't be told from the stream's."""
        conditions = leading_conditions(scan.plan.rest)
        names = names_in(conditions) if conditions else None
        if names is None:
            return None
        bases = [scan.snapshot.streams.labels(int(stream)) for stream in scan.streams]
        if not all(eligible(name, bases) for name in names[0] | names[1]):
            return None
        return cls(conditions=conditions, numbers=tuple(sorted(names[0])), texts=tuple(sorted(names[1])))

    def narrow(self, found: Rows) -> Rows:
        """The rows that may pass. They must have no structured metadata, whose names could clash with fields."""
        fields = read_fields(found.texts(), self.numbers, self.texts)
        keep = ~fields.exact | passing(self.conditions, fields)
        return replace(found, rows=found.rows[keep], narrowed=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class JsonSamples:
    """Reads what a metric query over `| json` needs: its conditions' labels, its groups', and its unwrapped number."""

    conditions: tuple[ast.LabelFilter, ...]
    numbers: tuple[str, ...]
    texts: tuple[str, ...]
    groups: tuple[str, ...]
    unwrap: str | None

    @classmethod
    def of(cls, scan: Scan, groups: Sequence[str], unwrap: ast.Unwrap | None) -> "JsonSamples | None":
        """None where a stage, a group or a conversion needs more than columns give.

        `groups` are the labels that tell series apart, beyond those that every selected stream has itself.
        """
        conditions = leading_conditions(scan.plan.rest)
        if scan.plan.rest[:1] != (ast.JsonParser(),) or len(conditions) + 1 != len(scan.plan.rest):
            return None
        if unwrap is not None:
            if unwrap.conversion is not None or not all(isinstance(one, _CONDITIONS) for one in unwrap.filters):
                return None
            conditions += unwrap.filters
        names = names_in(conditions)
        if names is None:
            return None
        numbers, texts = names[0] | ({unwrap.label} if unwrap else set()), names[1] | set(groups)
        bases = [scan.snapshot.streams.labels(int(stream)) for stream in scan.streams]
        if not all(eligible(name, bases) for name in numbers | texts):
            return None
        return cls(
            conditions=conditions,
            numbers=tuple(sorted(numbers)),
            texts=tuple(sorted(texts)),
            groups=tuple(groups),
            unwrap=unwrap.label if unwrap else None,
        )

    def read(self, found: Rows) -> Rows:
        """The same rows with their fields; without them where structured metadata could clash."""
        if found.metadata is not None:
            return found
        return replace(found, fields=read_fields(found.texts(), self.numbers, self.texts))

    def split(self, fields: Fields) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Positions of lines that make a sample, and of lines that must be looked at one by one."""
        passes = fields.exact & passing(self.conditions, fields)
        if self.unwrap is not None:
            return np.flatnonzero(passes & ~np.isnan(fields.numbers[self.unwrap])), np.flatnonzero(~fields.exact)
        # A line that is no JSON and yet passes makes a sample with an error, which must be told as Loki tells it.
        return np.flatnonzero(passes & fields.objects), np.flatnonzero(~fields.exact | (passes & ~fields.objects))
