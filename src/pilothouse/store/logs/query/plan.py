"""What of a pipeline can be done for many lines at once, and what must be done line by line."""

from collections.abc import Sequence
from dataclasses import dataclass

from pilothouse.core.labels import Matcher
from pilothouse.query.logql import ast
from pilothouse.store.logs.query.literals import Clause, required
from pilothouse.store.logs.query.rowlabels import DETAILS, ERROR
from pilothouse.store.logs.query.stages import Steps, compile_stages

_CHANGES_LINE = (ast.LineFormat, ast.UnpackParser, ast.Decolorize)
_CHANGES_LABELS = (
    ast.JsonParser,
    ast.LogfmtParser,
    ast.RegexpParser,
    ast.PatternParser,
    ast.UnpackParser,
    ast.LabelFormat,
    ast.DropLabels,
    ast.KeepLabels,
)
_LABEL_FILTERS = (
    ast.MatcherFilter,
    ast.NumberFilter,
    ast.DurationFilter,
    ast.BytesFilter,
    ast.IPFilter,
    ast.AndFilter,
    ast.OrFilter,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How to answer for one selector and its stages.

    `line_filters` and `label_filters` hold for the line and labels as they are stored, and are applied to whole
    columns; `rest` then runs on each line that is left. `clauses` are what the index is asked for.
    """

    matchers: tuple[Matcher, ...]
    line_filters: tuple[ast.LineFilter, ...]
    label_filters: tuple[ast.LabelFilter, ...]
    clauses: tuple[Clause, ...]
    rest: tuple[ast.Stage, ...]
    steps: Steps


def plan(query: ast.LogQuery) -> Plan:
    """Raises MeaningFault for a stage that can't be compiled."""
    line_filters: list[ast.LineFilter] = []
    label_filters: list[ast.LabelFilter] = []
    rest: list[ast.Stage] = []
    as_stored = labels_as_stored = True
    for stage in _reordered(query.stages):
        if isinstance(stage, ast.LineFilter) and as_stored:
            line_filters.append(stage)
        elif isinstance(stage, _LABEL_FILTERS) and labels_as_stored and _by_text(stage):
            label_filters.append(stage)
        else:
            rest.append(stage)
            as_stored = as_stored and not isinstance(stage, _CHANGES_LINE)
            labels_as_stored = labels_as_stored and not isinstance(stage, _CHANGES_LABELS)
    return Plan(
        matchers=query.matchers,
        line_filters=tuple(line_filters),
        label_filters=tuple(label_filters),
        clauses=required(line_filters),
        rest=tuple(rest),
        steps=compile_stages(rest),
    )


def _by_text(condition: ast.LabelFilter) -> bool:
    """Whether a label filter sets no error, so that it may be moved and applied to columns."""
    match condition:
        case ast.AndFilter(left, right) | ast.OrFilter(left, right):
            return _by_text(left) and _by_text(right)
        case ast.MatcherFilter(matcher):
            return matcher.name not in {ERROR, DETAILS}
        case _:
            return False


def _reordered(stages: Sequence[ast.Stage]) -> list[ast.Stage]:
    """Line filters moved forward as Loki moves them: over all but label filters, line_format and unpack.

    It moves them over decolorize too, so that they see the colours; an answer that differs from Loki's would surprise.
    """
    out: list[ast.Stage] = []
    filters: list[ast.Stage] = []
    others: list[ast.Stage] = []
    for stage in stages:
        if isinstance(stage, ast.LineFilter):
            filters.append(stage)
            continue
        if isinstance(stage, _LABEL_FILTERS):
            out += [*filters, *others, stage]
        else:
            others.append(stage)
            if not isinstance(stage, ast.LineFormat | ast.UnpackParser):
                continue
            out += [*filters, *others]
        filters, others = [], []
    return [*out, *filters, *others]
