"""Which labels a series keeps, and so which labels a line's parsers have to find."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pilothouse.query.logql import ast
from pilothouse.store.logs.levels import DETECTED
from pilothouse.store.logs.query.matrix import Key, key_of
from pilothouse.store.logs.query.rowlabels import SUFFIX, RowLabels

_PUSHED = frozenset(("bytes_over_time", "bytes_rate", "sum_over_time", "rate", "count_over_time"))
"""Ranges whose sum may be grouped at once: adding up is all that either does."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Groups:
    """How the labels of a line become those of its series: `none` of them, `by` or without the named ones, or all."""

    labels: tuple[str, ...] = ()
    without: bool = False
    none: bool = False

    def of(self, labels: RowLabels) -> Key:
        """The key of the series that a line adds to. A line with an error keeps everything, so that it is told."""
        if labels.error:
            return key_of(labels.all())
        if self.none:
            return ()
        if not self.labels:
            return key_of(labels.all())
        if self.without:
            return key_of({name: value for name, value in labels.all().items() if name not in self.labels})
        found = {name: value for name in self.labels if (value := labels.get(name)) is not None}
        return key_of(found)

    @property
    def bounded(self) -> bool:
        """Whether no label counts but the named ones."""
        return self.none or (bool(self.labels) and not self.without)

    def needs_level(self) -> bool:
        """Whether the detected level tells series apart."""
        if self.bounded:
            return not self.none and DETECTED in self.labels
        return DETECTED not in self.labels

    def needs_metadata(self, bases: Sequence[Mapping[str, str]]) -> bool:
        """Whether structured metadata can tell series apart, over streams with labels `bases`."""
        if not self.bounded:
            return True
        return any(
            name.endswith(SUFFIX) or any(name not in base for base in bases)
            for name in self.labels
            if name != DETECTED and not self.none
        )


def groups_for(expr: ast.RangeAggregation, outer: ast.VectorAggregation | None) -> Groups:
    """The grouping of a range's series, taken from the sum around it where that changes nothing."""
    grouping = expr.grouping
    if grouping is None and outer is not None and outer.op == "sum" and expr.op in _PUSHED:
        grouping = outer.grouping or ast.Grouping(())
    labels: tuple[str, ...] = ()
    without = none = False
    if grouping is not None:
        labels, without = grouping.labels, grouping.without
        none = not labels and not without
    if expr.op == "absent_over_time":
        none = True
    if expr.range.unwrap is not None and (not labels or without):
        without = True
        labels = (*labels, expr.range.unwrap.label)
    return Groups(labels=labels, without=without, none=none)


def wanted_labels(groups: Groups, required: frozenset[str], unwrap: str | None) -> frozenset[str] | None:
    """The labels that parsers need to find, None where all of them, empty where none."""
    names = set(required)
    if not groups.none or groups.labels:
        names |= set(groups.labels)
    if unwrap:
        names.add(unwrap)
    names |= {name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX)}
    if groups.none:
        return frozenset(names)
    return frozenset(names) if groups.labels and not groups.without else None
