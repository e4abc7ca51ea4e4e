"""LogQL's text: what is read, what it prints as, what is refused, and how scopes get in."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.core.labels import Matcher, MatchOp
from pilothouse.query import logql
from pilothouse.query.logql import ast
from pilothouse.query.logql.lexer import FUNCTIONS, KEYWORDS, MAX_QUERY
from pilothouse.query.logql.reader import MAX_NESTING, MAX_OPERATORS

CASES = Path(__file__).parents[2] / "cases" / "logql" / "queries.txt"


def read_cases():
    lines = [line for line in CASES.read_text().splitlines() if not line.startswith("# ") and line not in {"", "#"}]
    for query, outcome in zip(lines[::2], lines[1::2], strict=True):
        yield pytest.param(query.replace("\\n", "\n"), outcome[:2], outcome[3:], id=query)


@pytest.mark.parametrize(("query", "kind", "wanted"), list(read_cases()))
def test_each_case_prints_or_fails_as_written(query, kind, wanted):
    """Every query of the case file gives the text or the error that stands under it."""
    if kind == "!>":
        with pytest.raises(logql.LogQLError) as caught:
            logql.parse(query)
        assert caught.value.message == wanted
        assert caught.value.status == 400
        return
    tree = logql.parse(query)
    text = logql.format(tree)
    assert text == (query if wanted == "same" else wanted)
    assert logql.parse(text) == tree


def test_syntax_errors_carry_their_place():
    """`details` names line and column, counted from one."""
    with pytest.raises(logql.LogQLError) as caught:
        logql.parse('{app="a"}\n  | json |')
    assert caught.value.details == {"line": 2, "column": 11}


@pytest.mark.parametrize(
    "query",
    [
        "(" * (MAX_NESTING + 1) + "1" + ")" * (MAX_NESTING + 1),
        '{a="b"} | ' + "(" * (MAX_NESTING + 1) + "c=1" + ")" * (MAX_NESTING + 1),
        "1" + "+1" * (MAX_OPERATORS + 1),
        "1" + "^1" * (MAX_OPERATORS + 1),
        '{a="b"} | c=1' + " c=1" * (MAX_OPERATORS + 1),
        '{a="' + "b" * MAX_QUERY + '"}',
        "sum(" * 5000 + "1",
    ],
    ids=["parentheses", "conditions", "sums", "powers", "juxtaposed", "length", "calls"],
)
def test_queries_beyond_the_bounds_are_refused(query):
    """Nesting, operators and length are bounded, with an error and not a broken stack."""
    with pytest.raises(logql.LogQLError):
        logql.parse(query)


def test_queries_at_the_bounds_are_read_and_printed():
    """The bounds themselves are usable: what is printed reads back."""
    tree = logql.parse("1" + "+1" * MAX_OPERATORS)
    assert logql.parse(logql.format(tree)) == tree


def test_a_lone_surrogate_is_refused():
    """Text that is no UTF-8 is an error, not a crash."""
    with pytest.raises(logql.LogQLError, match="invalid UTF-8"):
        logql.parse('{a="\ud800"}')


def test_a_scope_enters_every_selector():
    """Matchers are added to each selector of the tree, whatever the text around them says."""
    scope = (Matcher("project", MatchOp.EQUAL, "shop"), Matcher("service_name", MatchOp.REGEX, 'a|"}b'))
    query = (
        'label_replace(sum by (x) (rate({a="1"} |= "{a=`1`}" [5m])) / on (x) group_left () '
        'topk(2, quantile_over_time(0.9, {a="2"} | json | unwrap y [5m])), "d", "$1", "s", "(.*)") > bool 1 + vector(2)'
    )
    text = logql.format(logql.add_matchers(logql.parse(query), scope))
    added = 'project="shop", service_name=~"a|\\"}b"}'
    assert text.count(added) == 2
    assert f'{{a="1", {added} |= "{{a=`1`}}"' in text
    assert f'{{a="2", {added} | json' in text
    assert logql.format(logql.add_matchers(logql.parse(text), scope)) == text


def test_an_empty_scope_changes_nothing():
    """No matchers, no change."""
    tree = logql.parse('rate({a="1"}[5m])')
    assert logql.add_matchers(tree, ()) == tree


def test_selectors_alone_may_be_empty():
    """The label APIs take `{}`; a query does not; and neither takes stages there."""
    assert logql.parse_selector("{}") == ()
    assert logql.parse_selector('{a=~"b"}') == (Matcher("a", MatchOp.REGEX, "b"),)
    with pytest.raises(logql.LogQLError, match="only label matchers"):
        logql.parse_selector('{a="b"} |= "c"')
    with pytest.raises(logql.LogQLError, match="only log selector"):
        logql.parse_log_query('rate({a="b"}[1m])')


# Trees of every kind, for the round trip.
names = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,6}", fullmatch=True).filter(
    lambda n: n.lower() not in KEYWORDS | FUNCTIONS
)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
matchers = st.one_of(
    st.builds(Matcher, names, st.sampled_from([MatchOp.EQUAL, MatchOp.NOT_EQUAL]), texts),
    st.builds(Matcher, names, st.sampled_from([MatchOp.REGEX, MatchOp.NOT_REGEX]), st.sampled_from(["a.+", "b|c"])),
)
selectors = st.lists(matchers, max_size=2).map(lambda ms: (Matcher("app", MatchOp.EQUAL, "x"), *ms))
numbers = st.floats(allow_nan=False, allow_infinity=False).map(lambda f: f + 0.0)
spans = st.integers(-(2**62), 2**62)
compares = st.sampled_from(ast.Compare)
conditions = st.recursive(
    st.one_of(
        st.builds(ast.MatcherFilter, matchers),
        st.builds(ast.NumberFilter, names, compares, numbers),
        st.builds(ast.DurationFilter, names, compares, spans),
        st.builds(ast.BytesFilter, names, compares, st.integers(0, 2**64 - 1)),
        st.builds(ast.IPFilter, names, st.booleans(), st.sampled_from(["10.0.0.1", "::/8", "1.1.1.1-1.1.1.9"])),
    ),
    lambda inner: st.one_of(st.builds(ast.AndFilter, inner, inner), st.builds(ast.OrFilter, inner, inner)),
    max_leaves=4,
)
needles = st.builds(ast.Needle, texts)
extractions = st.lists(st.builds(ast.Extraction, names, texts), max_size=2).map(tuple)
mixed = st.lists(st.one_of(names, matchers), min_size=1, max_size=3).map(tuple)
stages = st.one_of(
    st.builds(
        ast.LineFilter,
        st.sampled_from([ast.LineOp.CONTAINS, ast.LineOp.LACKS]),
        st.lists(needles, min_size=1, max_size=3).map(tuple),
    ),
    st.builds(ast.LineFilter, st.sampled_from(ast.LineOp), st.just((ast.Needle("a<_>b"),))),
    st.builds(ast.JsonParser, extractions),
    st.builds(ast.LogfmtParser, extractions, st.booleans(), st.booleans()),
    st.builds(ast.RegexpParser, st.just("(?P<x>.)")),
    st.builds(ast.PatternParser, st.just("<x> y")),
    st.builds(ast.UnpackParser),
    conditions,
    st.builds(ast.LineFormat, texts),
    st.builds(
        ast.LabelFormat,
        st.lists(
            st.one_of(
                st.builds(ast.LabelAssign, names, names, st.just(True)),
                st.builds(ast.LabelAssign, names, texts, st.just(False)),
            ),
            min_size=1,
            max_size=2,
        ).map(tuple),
    ),
    st.builds(ast.Decolorize),
    st.builds(ast.DropLabels, mixed),
    st.builds(ast.KeepLabels, mixed),
)
queries = st.builds(ast.LogQuery, selectors, st.lists(stages, max_size=4).map(tuple))
intervals = st.integers(0, 2**40).map(lambda ms: ms * 1_000_000)
unwraps = st.builds(
    ast.Unwrap,
    names,
    st.sampled_from([None, "bytes", "duration", "duration_seconds"]),
    st.lists(conditions, max_size=2).map(tuple),
)
label_lists = st.lists(names, max_size=3).map(tuple)
groupings = st.builds(ast.Grouping, label_lists, st.booleans())
some_groupings = st.one_of(st.none(), groupings.filter(lambda g: g != ast.Grouping(())))
ranges = st.one_of(
    st.builds(
        ast.RangeAggregation,
        st.sampled_from(["rate", "count_over_time", "bytes_rate", "absent_over_time"]),
        st.builds(ast.LogRange, queries, intervals, spans),
    ),
    st.builds(
        ast.RangeAggregation,
        st.just("quantile_over_time"),
        st.builds(ast.LogRange, queries, intervals, spans, unwraps),
        numbers.map(abs),
        st.one_of(st.none(), groupings),
    ),
)
matchings = st.one_of(
    st.none(),
    st.builds(ast.Matching, st.booleans(), label_lists),
    st.builds(
        ast.Matching,
        st.booleans(),
        label_lists,
        st.sampled_from([ast.Cardinality.MANY_TO_ONE, ast.Cardinality.ONE_TO_MANY]),
        label_lists,
    ),
)
metrics = st.recursive(
    st.one_of(ranges, st.builds(ast.Vector, numbers.map(abs))),
    lambda inner: st.one_of(
        st.builds(ast.VectorAggregation, st.sampled_from(["sum", "stdvar"]), inner, st.none(), some_groupings),
        st.builds(ast.VectorAggregation, st.just("topk"), inner, st.integers(1, 10**9), some_groupings),
        st.builds(
            ast.BinaryOperation,
            st.sampled_from(sorted(ast.ARITHMETIC | ast.COMPARISONS | ast.SET_OPERATIONS)),
            inner,
            inner,
            st.booleans(),
            matchings,
        ),
        st.builds(ast.BinaryOperation, st.just("-"), inner, st.builds(ast.Literal, numbers)),
        st.builds(ast.LabelReplace, inner, texts, texts, texts, st.just("(.*)")),
    ),
    max_leaves=4,
)


@settings(max_examples=300, deadline=None)
@given(st.one_of(queries, metrics))
def test_printing_then_reading_gives_the_same_tree(tree):
    """Any tree prints as text that reads back as that tree."""
    assert logql.parse(logql.format(tree)) == tree


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet='{}()[]"`\\|=!~><,.+-*/%^#ab1 \n', max_size=40))
def test_no_text_breaks_the_parser(text):
    """Whatever the text, the answer is a tree or a LogQLError."""
    try:
        tree = logql.parse(text)
    except logql.LogQLError:
        return
    assert logql.parse(logql.format(tree)) == tree
