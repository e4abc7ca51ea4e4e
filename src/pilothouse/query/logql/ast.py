"""What a LogQL query is once read. Every node is frozen and compares by value.

Expr
├── LogQuery            {selector} and its stages
└── Metric
    ├── RangeAggregation    rate(LogRange)
    ├── VectorAggregation   sum by (a) (Metric)
    ├── BinaryOperation     Metric + Metric
    ├── LabelReplace
    ├── Literal             a number
    └── Vector              vector(number)
"""

from dataclasses import dataclass
from enum import StrEnum

from pilothouse.core.labels import Matcher


class LineOp(StrEnum):
    """How a line filter compares."""

    CONTAINS = "|="
    LACKS = "!="
    MATCHES = "|~"
    DIFFERS = "!~"
    PATTERN = "|>"
    NOT_PATTERN = "!>"

    @property
    def negated(self) -> bool:
        """Whether lines that fit are dropped."""
        return self.value.startswith("!")


class Compare(StrEnum):
    """How a label filter compares a number, a duration or a size. `=` is `==`."""

    EQUAL = "=="
    NOT_EQUAL = "!="
    GREATER = ">"
    GREATER_EQUAL = ">="
    LESS = "<"
    LESS_EQUAL = "<="


@dataclass(frozen=True, slots=True)
class Needle:
    """What a line filter looks for: a text, a regex or a pattern by the filter's operator, or an address range."""

    text: str
    ip: bool = False


@dataclass(frozen=True, slots=True)
class LineFilter:
    """`|= "a" or "b"` keeps lines with any of the needles; a negated operator keeps those with none."""

    op: LineOp
    needles: tuple[Needle, ...]


@dataclass(frozen=True, slots=True)
class Extraction:
    """`label="expression"` of `| json` and `| logfmt`."""

    label: str
    expression: str


@dataclass(frozen=True, slots=True)
class JsonParser:
    """`| json`, of all fields or of the extractions alone."""

    extractions: tuple[Extraction, ...] = ()


@dataclass(frozen=True, slots=True)
class LogfmtParser:
    """`| logfmt`, of all fields or of the extractions alone."""

    extractions: tuple[Extraction, ...] = ()
    strict: bool = False
    keep_empty: bool = False


@dataclass(frozen=True, slots=True)
class RegexpParser:
    """`| regexp`: each named group becomes a label."""

    pattern: str


@dataclass(frozen=True, slots=True)
class PatternParser:
    """`| pattern`: each `<name>` becomes a label."""

    pattern: str


@dataclass(frozen=True, slots=True)
class UnpackParser:
    """`| unpack`: what promtail's pack stage put together."""


@dataclass(frozen=True, slots=True)
class MatcherFilter:
    """A label filter by text."""

    matcher: Matcher


@dataclass(frozen=True, slots=True)
class NumberFilter:
    """A label filter by number."""

    name: str
    op: Compare
    value: float


@dataclass(frozen=True, slots=True)
class DurationFilter:
    """A label filter by duration, in nanoseconds."""

    name: str
    op: Compare
    value: int


@dataclass(frozen=True, slots=True)
class BytesFilter:
    """A label filter by size, in bytes."""

    name: str
    op: Compare
    value: int


@dataclass(frozen=True, slots=True)
class IPFilter:
    """A label filter by address: one, a range `a-b`, or a CIDR block."""

    name: str
    negated: bool
    pattern: str


@dataclass(frozen=True, slots=True)
class AndFilter:
    """Both hold."""

    left: "LabelFilter"
    right: "LabelFilter"


@dataclass(frozen=True, slots=True)
class OrFilter:
    """Either holds."""

    left: "LabelFilter"
    right: "LabelFilter"


LabelFilter = MatcherFilter | NumberFilter | DurationFilter | BytesFilter | IPFilter | AndFilter | OrFilter


@dataclass(frozen=True, slots=True)
class LineFormat:
    """`| line_format` with a template."""

    template: str


@dataclass(frozen=True, slots=True)
class LabelAssign:
    """One `label=source` of label_format: another label's name where `rename`, else a template."""

    label: str
    source: str
    rename: bool


@dataclass(frozen=True, slots=True)
class LabelFormat:
    """`| label_format`."""

    assigns: tuple[LabelAssign, ...]


@dataclass(frozen=True, slots=True)
class Decolorize:
    """`| decolorize`: ANSI sequences go."""


@dataclass(frozen=True, slots=True)
class DropLabels:
    """`| drop`: labels by name, or only where the matcher holds."""

    labels: tuple[str | Matcher, ...]


@dataclass(frozen=True, slots=True)
class KeepLabels:
    """`| keep`: the other labels go."""

    labels: tuple[str | Matcher, ...]


Parser = JsonParser | LogfmtParser | RegexpParser | PatternParser | UnpackParser
Stage = LineFilter | Parser | LabelFilter | LineFormat | LabelFormat | Decolorize | DropLabels | KeepLabels


@dataclass(frozen=True, slots=True)
class LogQuery:
    """`{selector}` and the stages that each line goes through."""

    matchers: tuple[Matcher, ...]
    stages: tuple[Stage, ...] = ()


@dataclass(frozen=True, slots=True)
class Unwrap:
    """`| unwrap label`, read as a number or by `bytes`, `duration` or `duration_seconds`, then filtered."""

    label: str
    conversion: str | None = None
    filters: tuple[LabelFilter, ...] = ()


@dataclass(frozen=True, slots=True)
class LogRange:
    """The lines of a query within `interval` nanoseconds, moved back by `offset`."""

    query: LogQuery
    interval: int
    offset: int = 0
    unwrap: Unwrap | None = None


@dataclass(frozen=True, slots=True)
class Grouping:
    """`by (labels)` or `without (labels)`, in the order written."""

    labels: tuple[str, ...]
    without: bool = False


@dataclass(frozen=True, slots=True)
class RangeAggregation:
    """`rate({…}[5m])`; `parameter` is the quantile of quantile_over_time."""

    op: str
    range: LogRange
    parameter: float | None = None
    grouping: Grouping | None = None


@dataclass(frozen=True, slots=True)
class VectorAggregation:
    """`sum by (a) (…)`; `parameter` is the count of topk, bottomk and approx_topk."""

    op: str
    expr: "Metric"
    parameter: int | None = None
    grouping: Grouping | None = None


class Cardinality(StrEnum):
    """Which side of a binary operation may have several series for one of the other."""

    ONE_TO_ONE = ""
    MANY_TO_ONE = "group_left"
    ONE_TO_MANY = "group_right"


@dataclass(frozen=True, slots=True)
class Matching:
    """`on`/`ignoring (labels)` and `group_left`/`group_right (include)`."""

    on: bool = False
    labels: tuple[str, ...] = ()
    cardinality: Cardinality = Cardinality.ONE_TO_ONE
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class BinaryOperation:
    """`left op right`; `returns_bool` is the modifier `bool`. `matching` is None where none was written."""

    op: str
    left: "Metric"
    right: "Metric"
    returns_bool: bool = False
    matching: Matching | None = None


@dataclass(frozen=True, slots=True)
class LabelReplace:
    """`label_replace(expr, target, replacement, source, regex)`."""

    expr: "Metric"
    target: str
    replacement: str
    source: str
    regex: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class Vector:
    """`vector(number)`: one series without labels."""

    value: float


Metric = RangeAggregation | VectorAggregation | BinaryOperation | LabelReplace | Literal | Vector
Expr = LogQuery | Metric

ARITHMETIC = frozenset("+-*/%^")
COMPARISONS = frozenset(("==", "!=", ">", ">=", "<", "<="))
SET_OPERATIONS = frozenset(("and", "or", "unless"))
PRECEDENCE = (
    {"or": 0, "and": 1, "unless": 1} | dict.fromkeys(COMPARISONS, 2) | {"+": 3, "-": 3, "*": 4, "/": 4, "%": 4, "^": 5}
)
"""How close a binary operator binds. All group to the left but `^`."""
