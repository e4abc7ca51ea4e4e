"""What a readable query must still satisfy: meaning, regexes, patterns."""

from collections.abc import Iterable

from pilothouse.core.labels import Matcher, MatchOp
from pilothouse.query.logql import ast, pattern, regex
from pilothouse.query.logql.address import AddressError, parse_addresses
from pilothouse.query.logql.arithmetic import apply
from pilothouse.query.logql.errors import MeaningFault
from pilothouse.query.logql.printer import format_stage

_GROUPED = frozenset(
    [
        "avg_over_time",
        "stddev_over_time",
        "stdvar_over_time",
        "quantile_over_time",
        "max_over_time",
        "min_over_time",
        "first_over_time",
        "last_over_time",
    ]
)
_UNWRAPPED = _GROUPED | {"sum_over_time", "rate", "rate_counter", "absent_over_time"}
_COUNTING = frozenset(["bytes_over_time", "bytes_rate", "count_over_time", "rate", "absent_over_time"])
_NO_SELECTION = (
    "queries require at least one regexp or equality matcher that does not have an empty-compatible value. For "
    'instance, app=~".*" does not meet this requirement, but app=~".+" will'
)


def check(expr: ast.Expr) -> None:
    """Raises MeaningFault for a query that is well-formed and yet means nothing."""
    match expr:
        case ast.LogQuery():
            check_query(expr)
        case ast.RangeAggregation():
            _check_range(expr)
        case ast.VectorAggregation():
            check(expr.expr)
        case ast.BinaryOperation():
            check(expr.left)
            check(expr.right)
        case ast.LabelReplace():
            try:
                regex.compile_anchored(expr.regex)
            except regex.RegexError as error:
                raise MeaningFault(f"invalid regex in label_replace: {error}") from error
            check(expr.expr)
        case ast.Literal() | ast.Vector():
            pass


def constant(expr: ast.Expr) -> float | None:
    """The value of an expression of literals alone, else None."""
    match expr:
        case ast.Literal(value):
            return value
        case ast.BinaryOperation(op, left, right) if op not in ast.SET_OPERATIONS:
            a, b = constant(left), constant(right)
            return None if a is None or b is None else apply(op, a, b)
        case _:
            return None


def check_selector(matchers: Iterable[Matcher]) -> None:
    """Raises MeaningFault for a regex that RE2 can't read."""
    for matcher in matchers:
        if matcher.op in {MatchOp.REGEX, MatchOp.NOT_REGEX}:
            try:
                regex.compile_anchored(matcher.value)
            except regex.RegexError as error:
                raise MeaningFault(str(error)) from error


def check_query(query: ast.LogQuery) -> None:
    """Raises MeaningFault for a selector that selects nothing in particular, or a stage that can't be."""
    check_selector(query.matchers)
    if not any(_selects(matcher) for matcher in query.matchers):
        raise MeaningFault(_NO_SELECTION)
    for stage in query.stages:
        _check_stage(stage)


def _selects(matcher: Matcher) -> bool:
    match matcher.op:
        case MatchOp.EQUAL:
            return matcher.value != ""
        case MatchOp.REGEX:
            return regex.compile_anchored(matcher.value).fullmatch("") is None
        case _:
            return False


def _check_range(expr: ast.RangeAggregation) -> None:
    if expr.grouping is not None and expr.op not in _GROUPED:
        raise MeaningFault(f"grouping not allowed for {expr.op} aggregation")
    if expr.range.unwrap is not None and expr.op not in _UNWRAPPED:
        raise MeaningFault(f"invalid aggregation {expr.op} with unwrap")
    if expr.range.unwrap is None and expr.op not in _COUNTING:
        raise MeaningFault(f"invalid aggregation {expr.op} without unwrap")
    check_query(expr.range.query)
    if expr.range.unwrap is not None:
        for condition in expr.range.unwrap.filters:
            _check_label_filter(condition)


def _check_stage(stage: ast.Stage) -> None:
    match stage:
        case ast.RegexpParser():
            try:
                groups = regex.compile_search(stage.pattern).groupindex
            except regex.RegexError as error:
                raise MeaningFault(f"invalid regexp parser: {error}") from error
            if not groups:
                raise MeaningFault("invalid regexp parser: at least one named capture must be supplied")
        case ast.PatternParser():
            try:
                pattern.parse_captures(stage.pattern)
            except pattern.PatternError as error:
                raise MeaningFault(f"invalid pattern parser: {error}") from error
        case ast.LineFilter():
            _check_line_filter(stage)
        case ast.DropLabels(labels) | ast.KeepLabels(labels):
            check_selector(label for label in labels if isinstance(label, Matcher))
        case (
            ast.MatcherFilter()
            | ast.AndFilter()
            | ast.OrFilter()
            | ast.IPFilter()
            | ast.NumberFilter()
            | ast.DurationFilter()
            | ast.BytesFilter()
        ):
            _check_label_filter(stage)
        case _:
            pass


def _check_line_filter(stage: ast.LineFilter) -> None:
    for needle in stage.needles:
        try:
            if needle.ip:
                if stage.op not in {ast.LineOp.CONTAINS, ast.LineOp.LACKS}:
                    raise MeaningFault(f"stage '{format_stage(stage)}' : ip: invalid operation")
                parse_addresses(needle.text)
            elif stage.op in {ast.LineOp.MATCHES, ast.LineOp.DIFFERS}:
                regex.compile_search(needle.text)
            elif stage.op in {ast.LineOp.PATTERN, ast.LineOp.NOT_PATTERN}:
                pattern.parse_line_pattern(needle.text)
        except (regex.RegexError, pattern.PatternError, AddressError) as error:
            raise MeaningFault(f"stage '{format_stage(stage)}' : {error}") from error


def _check_label_filter(condition: ast.LabelFilter) -> None:
    match condition:
        case ast.AndFilter(left, right) | ast.OrFilter(left, right):
            _check_label_filter(left)
            _check_label_filter(right)
        case ast.MatcherFilter(matcher):
            check_selector((matcher,))
        case ast.IPFilter():
            try:
                parse_addresses(condition.pattern)
            except AddressError as error:
                raise MeaningFault(f"stage '{format_stage(condition)}' : {error}") from error
        case _:
            pass
