"""Text to syntax tree, by recursive descent."""

from pilothouse.core.labels import Matcher
from pilothouse.query.logql import ast
from pilothouse.query.logql.check import check, check_selector, constant
from pilothouse.query.logql.errors import LogQLError, MeaningFault
from pilothouse.query.logql.lexer import RANGE_FUNCTIONS, VECTOR_FUNCTIONS, Kind
from pilothouse.query.logql.reader import Reader
from pilothouse.query.logql.selectors import number, read_number, read_selector
from pilothouse.query.logql.stages import read_stages, read_unwrap

_RANGES = frozenset(name.upper() for name in RANGE_FUNCTIONS)
_VECTORS = frozenset(name.upper() for name in VECTOR_FUNCTIONS)
_COUNTED = frozenset(("topk", "bottomk", "approx_topk"))


def parse(text: str) -> ast.Expr:
    """The syntax tree of a query. Raises LogQLError with Loki's own text for what is wrong."""
    reader = Reader(text)
    expr = _expr(reader)
    if reader.kind != Kind.END:
        raise reader.unexpected()
    check(expr)
    return expr


def parse_log_query(text: str) -> ast.LogQuery:
    """As `parse`, for a query that must give lines. Raises LogQLError."""
    expr = parse(text)
    if not isinstance(expr, ast.LogQuery):
        raise LogQLError("only log selector is supported")
    return expr


def parse_selector(text: str) -> tuple[Matcher, ...]:
    """The matchers of `{…}` standing alone; `{}` has none and is allowed. Raises LogQLError."""
    reader = Reader(text)
    expr = _expr(reader)
    if reader.kind != Kind.END:
        raise reader.unexpected()
    if not isinstance(expr, ast.LogQuery) or expr.stages:
        raise LogQLError("only label matchers are supported")
    check_selector(expr.matchers)
    return expr.matchers


def _expr(reader: Reader, loosest: int = 0) -> ast.Expr:
    left = _primary(reader)
    while (level := ast.PRECEDENCE.get(reader.kind, -1)) >= loosest:
        left = _binary(reader, left, level if reader.kind == "^" else level + 1)
    return left


def _binary(reader: Reader, left: ast.Expr, loosest: int) -> ast.Expr:
    op = reader.operator()
    returns_bool = reader.accept("bool")
    matching = _matching(reader)
    reader.deeper()
    right = _expr(reader, loosest)
    reader.shallower()
    return ast.BinaryOperation(op, _leg("left", op, left), _leg("right", op, right), returns_bool, matching)


def _leg(side: str, op: str, leg: ast.Expr) -> ast.Metric:
    if isinstance(leg, ast.LogQuery):
        kind = "PipelineExpr" if leg.stages else "MatchersExpr"
        raise MeaningFault(f"unexpected type for {side} leg of binary operation ({op}): *syntax.{kind}")
    if op in ast.SET_OPERATIONS and (value := constant(leg)) is not None:
        raise MeaningFault(f"unexpected literal for {side} leg of logical/set binary operation ({op}): {value:.6f}")
    return leg


def _matching(reader: Reader) -> ast.Matching | None:
    if reader.kind not in {"on", "ignoring"}:
        return None
    on = reader.next().kind == "on"
    labels = _label_list(reader)
    for cardinality in (ast.Cardinality.MANY_TO_ONE, ast.Cardinality.ONE_TO_MANY):
        if reader.accept(cardinality.value):
            include = _label_list(reader) if reader.kind == "(" and _is_label_list(reader) else ()
            return ast.Matching(on, labels, cardinality, include)
    return ast.Matching(on, labels)


def _is_label_list(reader: Reader) -> bool:
    return reader.following in {")", Kind.IDENTIFIER}


def _label_list(reader: Reader) -> tuple[str, ...]:
    reader.expect("(")
    labels: list[str] = []
    if reader.accept(")"):
        return ()
    labels.append(reader.expect(Kind.IDENTIFIER, among=(Kind.IDENTIFIER, ")")).text)
    while reader.accept(","):
        labels.append(reader.expect(Kind.IDENTIFIER).text)
    reader.expect(")", among=(",", ")"))
    return tuple(labels)


def _primary(reader: Reader) -> ast.Expr:
    kind = reader.kind
    if kind == "{":
        query = ast.LogQuery(read_selector(reader), read_stages(reader))
        if reader.accept("|"):  # before an unwrap, which only a range may hold
            raise reader.unexpected()
        return query
    if kind == "(":
        reader.next()
        reader.deeper()
        inner = _expr(reader)
        reader.shallower()
        reader.expect(")", among=())
        return inner
    if kind in {Kind.NUMBER, "+", "-"}:
        return ast.Literal(read_number(reader))
    if kind in _RANGES:
        return _range_aggregation(reader)
    if kind in _VECTORS:
        return _vector_aggregation(reader)
    if kind == "LABEL_REPLACE":
        return _label_replace(reader)
    if kind == "VECTOR":
        reader.next()
        reader.expect("(")
        value = number(reader.expect(Kind.NUMBER).text)
        reader.expect(")")
        return ast.Vector(value)
    raise reader.unexpected()


def _metric(reader: Reader) -> ast.Metric:
    reader.deeper()
    expr = _expr(reader)
    reader.shallower()
    if isinstance(expr, ast.LogQuery):
        raise reader.unexpected()
    return expr


def _grouping(reader: Reader) -> ast.Grouping | None:
    if reader.kind not in {"by", "without"}:
        return None
    without = reader.next().kind == "without"
    return ast.Grouping(_label_list(reader), without)


def _vector_aggregation(reader: Reader) -> ast.VectorAggregation:
    op = reader.next().text
    grouping = _grouping(reader)
    reader.expect("(")
    parameter = None
    if reader.kind == Kind.NUMBER and reader.following == ",":
        parameter = reader.next().text
        reader.next()
    expr = _metric(reader)
    reader.expect(")", among=())
    if grouping is None:
        grouping = _grouping(reader)
    if grouping == ast.Grouping(()) and op != "approx_topk":
        grouping = None  # `sum by ()` is `sum`
    if op not in _COUNTED:
        if parameter is not None:
            raise MeaningFault(f"unsupported parameter for operation {op}({parameter},")
        if op.startswith("sort") and grouping and grouping.labels:
            raise MeaningFault("sort and sort_desc doesn't allow grouping by ")
        return ast.VectorAggregation(op, expr, None, grouping)
    if parameter is None:
        raise MeaningFault(f"parameter required for operation {op}")
    if not parameter.isdigit():
        raise MeaningFault(f"invalid parameter {op}({parameter},")
    if int(parameter) <= 0:
        raise MeaningFault(f"invalid parameter (must be greater than 0) {op}({parameter}")
    if op == "approx_topk" and grouping is not None:
        raise MeaningFault(f"grouping not allowed for {op} aggregation")
    return ast.VectorAggregation(op, expr, int(parameter), grouping)


def _range_aggregation(reader: Reader) -> ast.RangeAggregation:
    op = reader.next().text
    reader.expect("(")
    parameter = None
    if reader.kind == Kind.NUMBER:
        parameter = reader.next().text
        reader.expect(",")
    log_range = _log_range(reader)
    reader.expect(")", among=())
    grouping = _grouping(reader)
    if parameter is not None and op != "quantile_over_time":
        raise MeaningFault(f"parameter {parameter} not supported for operation {op}")
    if parameter is None and op == "quantile_over_time":
        raise MeaningFault(f"parameter required for operation {op}")
    return ast.RangeAggregation(op, log_range, None if parameter is None else number(parameter), grouping)


def _log_range(reader: Reader) -> ast.LogRange:
    """`{…} stages | unwrap [5m] offset 1m`, or the range before the stages, with or without parentheses."""
    if reader.accept("("):
        reader.deeper()
        if reader.kind == "(":
            inner = _log_range(reader)
            reader.expect(")")
            reader.shallower()
            return inner
        query, unwrap = _bare_query(reader)
        if reader.kind == Kind.RANGE:
            inner = _ranged(reader, query, unwrap)
            reader.expect(")")
            reader.shallower()
            return inner
        reader.shallower()
        reader.expect(")", among=())
        interval = reader.expect(Kind.RANGE).value
        offset = _offset(reader)
        if not query.stages and unwrap is None:
            unwrap = read_unwrap(reader)
        return ast.LogRange(query, interval, offset, unwrap)
    query, unwrap = _bare_query(reader)
    return _ranged(reader, query, unwrap)


def _bare_query(reader: Reader) -> tuple[ast.LogQuery, ast.Unwrap | None]:
    matchers = read_selector(reader)
    stages = read_stages(reader)
    return ast.LogQuery(matchers, stages), read_unwrap(reader)


def _ranged(reader: Reader, query: ast.LogQuery, unwrap: ast.Unwrap | None) -> ast.LogRange:
    interval = reader.expect(Kind.RANGE, among=()).value
    offset = _offset(reader)
    if not query.stages and unwrap is None:
        query = ast.LogQuery(query.matchers, read_stages(reader))
        unwrap = read_unwrap(reader)
    return ast.LogRange(query, interval, offset, unwrap)


def _offset(reader: Reader) -> int:
    return reader.expect(Kind.DURATION).value if reader.accept("offset") else 0


def _label_replace(reader: Reader) -> ast.LabelReplace:
    reader.next()
    reader.expect("(")
    expr = _metric(reader)
    texts = []
    for _ in range(4):
        reader.expect(",")
        texts.append(reader.expect(Kind.STRING).text)
    reader.expect(")")
    target, replacement, source, regex = texts
    return ast.LabelReplace(expr, target, replacement, source, regex)
