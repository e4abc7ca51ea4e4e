"""LogQL narrowed to what its author may see: every selector, nothing more, nothing less."""

import dataclasses

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pilothouse.access import (
    Grant,
    Permission,
    Principal,
    PrincipalKind,
    narrow_selector,
    parse_grants,
    scope_query,
    visible_scopes,
    within,
)
from pilothouse.access.scope import EVERYTHING, narrow
from pilothouse.core.errors import Forbidden
from pilothouse.core.labels import Matcher, MatchOp
from pilothouse.query import logql
from pilothouse.query.logql import ast

EQUAL, NOT_EQUAL, REGEX, NOT_REGEX = MatchOp.EQUAL, MatchOp.NOT_EQUAL, MatchOp.REGEX, MatchOp.NOT_REGEX


def holder(*grants):
    return Principal(kind=PrincipalKind.USER, id="u", username="u", session_id="s", grants=grants)


def reader(*scopes):
    return holder(*parse_grants(f"logs:read{scope}" for scope in scopes))


SHOP = reader('{project="shop"}')


@pytest.mark.parametrize(
    ("query", "narrowed"),
    [
        ('{service_name="api"}', '{service_name="api", project="shop"}'),
        ('{project="shop"}', '{project="shop"}'),
        ('{project="bank"}', '{project="bank", project="shop"}'),
        ('{project=~".+"} |= "{a=`b`}"', '{project=~".+", project="shop"} |= "{a=`b`}"'),
        ('rate({a="b"}[5m])', 'rate({a="b", project="shop"}[5m])'),
        (
            'sum by (x) (rate({a="b"}[5m])) / on (x) group_left sum(rate({c="d"} | json [1h] offset 1m))',
            'sum by (x)(rate({a="b", project="shop"}[5m])) / on (x) group_left () sum(rate({c="d", project="shop"} | json[1h] offset 1m))',
        ),
        ('rate({a="b"}[1m]) or vector(1)', '(rate({a="b", project="shop"}[1m]) or vector(1))'),
        (
            'label_replace(rate({a="b"}[1m]), "x", "$1", "y", "{z=`1`}")',
            'label_replace(rate({a="b", project="shop"}[1m]),"x","$1","y","{z=`1`}")',
        ),
        ("1 + 1", "1 + 1"),
    ],
)
def test_the_scope_is_in_every_selector(query, narrowed):
    """And nowhere else; one that stands there already is not repeated."""
    assert logql.parse(scope_query(SHOP, query)) == logql.parse(narrowed)


def test_who_sees_all_asks_as_they_like():
    """A grant without a scope changes nothing, even beside narrow ones."""
    query = '{service_name=~"a.*"} | json'
    assert scope_query(reader(""), query) == query
    assert scope_query(reader("", '{project="shop"}'), query) == query
    assert scope_query(holder(Grant("*")), query) == query


def test_who_sees_nothing_is_refused():
    """With the permission's name; a grant for something else is none."""
    for principal in (holder(), holder(Grant("metrics:read")), holder(Grant("dashboards:read"))):
        with pytest.raises(Forbidden) as caught:
            scope_query(principal, '{a="b"}')
        assert caught.value.details == {"permission": "logs:read"}


def test_each_permission_has_its_own_scope():
    """What may be written is narrowed by the grant for writing."""
    principal = holder(*parse_grants(['logs:read{project="shop"}', 'logs:write{project="bank"}']))
    assert scope_query(principal, '{a="b"}') == '{a="b", project="shop"}'
    assert scope_query(principal, '{a="b"}', Permission.LOGS_WRITE) == '{a="b", project="bank"}'


def test_scopes_of_one_label_are_joined():
    """By a regular expression in which each value stands for itself."""
    principal = reader('{project="a.b"}', '{project=~"c|d.*"}', '{project="a.b"}')
    assert narrow_selector(principal, EVERYTHING) == (
        *EVERYTHING, Matcher("project", REGEX, "(?:a\\.b)|(?:c|d.*)")
    )  # fmt: skip


def test_what_scopes_share_stays_beside():
    """Only the label that differs is joined."""
    principal = reader('{env="prod", project="a"}', '{env="prod", project="b"}')
    assert narrow_selector(principal, EVERYTHING) == (
        *EVERYTHING, Matcher("env", EQUAL, "prod"), Matcher("project", REGEX, "(?:a)|(?:b)")
    )  # fmt: skip


def test_scopes_that_one_query_cannot_say():
    """Refused with what there is to choose from; the selector that names one of them is answered."""
    principal = reader('{project="shop"}', '{service_name="api"}')
    with pytest.raises(Forbidden) as caught:
        scope_query(principal, '{host="h"}')
    assert 'what you may see is {project="shop"} or {service_name="api"}' in caught.value.message
    assert caught.value.code == "NARROW_THE_QUERY"
    assert scope_query(principal, '{service_name="web"}') == '{service_name="web", project="shop"}'
    with pytest.raises(Forbidden):
        scope_query(principal, 'rate({service_name="web"}[1m]) + rate({host="h"}[1m])')


def test_negative_scopes_are_not_joined():
    """`!=` or `!=` would be everything: refused, not guessed."""
    with pytest.raises(Forbidden):
        scope_query(reader('{project!="a"}', '{project!="b"}'), '{host="h"}')


def test_a_query_that_is_none_is_the_askers_fault():
    """LogQLError with its place, before anything is narrowed."""
    with pytest.raises(logql.LogQLError):
        scope_query(SHOP, '{a="b"')


names = st.sampled_from(["project", "service_name", "host", "env"])
values = st.sampled_from(["shop", "bank", "api", "", "a.b", 'q"}', "\\", "`", "\n", "ü"])
patterns = st.sampled_from(["shop|bank", "a.*", ".+", "(?i)SHOP", "a\\.b", "[^b].*", "(a|s)[a-z]+"])
matchers = st.one_of(
    st.builds(Matcher, names, st.sampled_from([EQUAL, NOT_EQUAL]), values),
    st.builds(Matcher, names, st.sampled_from([REGEX, NOT_REGEX]), patterns),
)
scopes = st.lists(matchers, min_size=1, max_size=3, unique=True).map(tuple)
principals = st.lists(scopes, min_size=1, max_size=4).map(
    lambda given: holder(*(Grant("logs:read", scope) for scope in given))
)
label_sets = st.dictionaries(names, values.filter(bool), max_size=4)
selectors = st.lists(matchers, max_size=3).map(lambda more: (Matcher("app", EQUAL, "x"), *more))
stages = st.sampled_from(
    [
        (),
        (ast.JsonParser(),),
        (ast.LineFilter(op=ast.LineOp.CONTAINS, needles=(ast.Needle('"} or {a="b"}'), ast.Needle("`"))),),
        (ast.MatcherFilter(Matcher("project", EQUAL, "bank")),),
        (ast.LineFormat("{{.project}}"), ast.DropLabels(("project",))),
    ]
)
log_queries = st.builds(ast.LogQuery, selectors, stages)
metrics = st.recursive(
    st.one_of(
        st.builds(
            ast.RangeAggregation,
            st.sampled_from(["rate", "count_over_time", "absent_over_time"]),
            st.builds(ast.LogRange, log_queries, st.just(60 * 10**9), st.sampled_from([0, 10**9])),
        ),
        st.just(ast.Vector(1.0)),
    ),
    lambda inner: st.one_of(
        st.builds(ast.VectorAggregation, st.just("sum"), inner, st.none(), st.just(ast.Grouping(("project",)))),
        st.builds(ast.VectorAggregation, st.just("topk"), inner, st.just(3)),
        st.builds(ast.BinaryOperation, st.sampled_from(["+", "or", "unless", ">", "/"]), inner, inner),
        st.builds(ast.LabelReplace, inner, st.just("a"), st.just('{b="c"}'), st.just("d"), st.just("(.*)")),
    ),
    max_leaves=5,
)


def log_queries_of(node):
    """Every LogQuery anywhere in a tree, found by its fields alone: nothing that walks it here is under test."""
    if isinstance(node, ast.LogQuery):
        yield node
    if dataclasses.is_dataclass(node):
        for field in dataclasses.fields(node):
            yield from log_queries_of(getattr(node, field.name))
    elif isinstance(node, tuple):
        for one in node:
            yield from log_queries_of(one)


@settings(max_examples=400, deadline=None)
@given(tree=st.one_of(log_queries, metrics), scope=scopes)
def test_every_selector_anywhere_has_all_of_the_scope(tree, scope):
    """In the text that the backend gets, read again; the asker's own matchers and stages stay as they were."""
    text = scope_query(holder(Grant("logs:read", scope)), logql.format(tree))
    asked, got = list(log_queries_of(tree)), list(log_queries_of(logql.parse(text)))
    assert len(got) == len(asked)
    for before, after in zip(asked, got, strict=True):
        assert set(scope) <= set(after.matchers)
        assert set(after.matchers) == set(before.matchers) | set(scope)
        assert after.stages == before.stages


@settings(max_examples=300, deadline=None)
@given(principal=principals, query=log_queries, labels=label_sets)
def test_what_is_seen_is_what_may_be_seen(principal, query, labels):
    """A stream answers the narrowed query if and only if it answers the query and lies in a scope."""
    labels = {**labels, "app": "x"}
    try:
        expr = narrow(principal, query).expr
    except Forbidden:
        assume(False)
    allowed = any(within(scope, labels) for scope in visible_scopes(principal, Permission.LOGS_READ))
    assert within(expr.matchers, labels) == (allowed and within(query.matchers, labels))


@settings(max_examples=300, deadline=None)
@given(principal=principals, tree=metrics)
def test_no_selector_of_a_metric_query_reaches_out(principal, tree):
    """With several scopes too: each selector keeps within what the scopes allow together."""
    try:
        expr = narrow(principal, tree).expr
    except Forbidden:
        return
    allowed = visible_scopes(principal, Permission.LOGS_READ)
    for query in log_queries_of(expr):
        for project in ("shop", "bank", "a.b", "ü"):
            for service in ("api", "shop", ""):
                labels = {"app": "x", "project": project, "service_name": service}
                if within(query.matchers, labels):
                    assert any(within(scope, labels) for scope in allowed)
