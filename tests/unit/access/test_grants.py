"""The grammar of permissions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.access import Grant, Permission, intersect, parse_grant, parse_grants
from pilothouse.core.errors import InvalidRequest
from pilothouse.core.labels import Matcher, MatchOp

labels = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True)
values = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
matchers = st.builds(Matcher, labels, st.sampled_from([MatchOp.EQUAL, MatchOp.NOT_EQUAL]), values)
scoped_names = st.sampled_from(["*", "logs:*", "logs:read", "metrics:read", "containers:act", "terminal:open"])
grants = st.builds(
    lambda name, scope: Grant(name, tuple(dict.fromkeys(scope))), scoped_names, st.lists(matchers, max_size=3)
)


@given(grants)
def test_a_grant_prints_back_what_it_was_read_from(grant):
    """parse → print → parse is the identity, whatever characters a value holds."""
    assert parse_grant(str(grant)) == grant


def test_the_designs_own_example():
    """`logs:read{project="shop",service=~"api|web"}` is read as two matchers."""
    assert parse_grant('logs:read{project="shop",service=~"api|web"}') == Grant(
        "logs:read",
        (Matcher("project", MatchOp.EQUAL, "shop"), Matcher("service", MatchOp.REGEX, "api|web")),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not a permission"),
        ("logs:reed", "is not a permission"),
        ("logs", "is not a permission"),
        ("*:read", "is not a permission"),
        ("LOGS:READ", "is not a permission"),
        ("logs:read{}", "at least one matcher"),
        ("logs:read{a}", "expected =, !=, =~ or !~"),
        ('logs:read{a="b"', "expected , or }"),
        ('logs:read{a="b"} x', "expected the end"),
        ('logs:read{a="b" c="d"}', "expected , or }"),
        ('logs:read{,a="b"}', "expected a label name"),
        ('logs:read{1a="b"}', "expected a label name"),
        ('logs:read{ä="b"}', "expected a label name"),
        ("logs:read{a=b}", "expected a value"),
        ('logs:read{a="b}', "no end"),
        ('logs:read{a="\\q"}', "unknown escape"),
        ('logs:read{a="\\xzz"}', "is not a character"),
        ('logs:read{a="\\U7fffffff"}', "is not a character"),
        ('logs:read{a=~"("}', "not a regular expression"),
        ('logs:read{a=~"(?=x)"}', "not a regular expression"),
        ('users:write{project="shop"}', "can't have a scope"),
        ('audit:read{project="shop"}', "can't have a scope"),
        ('dashboards:read{project="shop"}', "can't have a scope"),
        ("x" * 1001, "characters"),
    ],
)
def test_what_is_not_a_permission_is_refused_with_its_place(text, says):
    """Each fault has its own words; nothing is guessed at."""
    with pytest.raises(InvalidRequest, match=says):
        parse_grant(text)


def test_a_scope_on_everything_reaches_only_what_has_labels():
    """`*{project="shop"}` reads the shop's logs and makes nobody an administrator."""
    grant = parse_grant('*{project="shop"}')
    assert {permission for permission in Permission if grant.covers(permission)} == {
        permission for permission in Permission if permission.has_scope
    }
    assert not grant.covers(Permission.USERS_WRITE)
    assert not grant.covers(Permission.AUDIT_READ)


@pytest.mark.parametrize(
    ("held", "wanted", "within"),
    [
        ("*", 'logs:read{a="b"}', True),
        ("logs:*", "logs:read", True),
        ("logs:read", "logs:*", False),
        ("logs:read", "*", False),
        ("logs:read", 'logs:read{a="b"}', True),
        ('logs:read{a="b"}', "logs:read", False),
        ('logs:read{a="b"}', 'logs:read{c="d", a="b"}', True),
        ('logs:read{a="b"}', 'logs:read{a="c"}', False),
        ('*{a="b"}', "users:write", False),
        ('logs:read{a=~"b|c"}', 'logs:read{a="b"}', False),
        ("metrics:*", "logs:read", False),
        ("log:*", "logs:read", False),
    ],
)
def test_one_grant_within_another(held, wanted, within):
    """Containment errs on the side of no."""
    held = parse_grant(held) if held != "log:*" else Grant("log:*")
    assert held.contains(parse_grant(wanted)) is within


@pytest.mark.parametrize(
    ("left", "right", "both"),
    [
        (["*"], ["logs:read"], ["logs:read"]),
        (["logs:read"], ["*"], ["logs:read"]),
        (["logs:*"], ["logs:read", "metrics:read"], ["logs:read"]),
        (['logs:read{a="b"}'], ['logs:*{c="d"}'], ['logs:read{a="b",c="d"}']),
        (['*{a="b"}'], ["users:write"], []),
        (["metrics:read"], ["logs:read"], []),
        (['logs:read{a="b"}', 'logs:read{a="c"}'], ["logs:read"], ['logs:read{a="b"}', 'logs:read{a="c"}']),
    ],
)
def test_the_intersection_is_what_both_allow(left, right, both):
    """Names narrow to the narrower, scopes add up."""
    assert intersect(parse_grants(left), parse_grants(right)) == parse_grants(both)


def test_too_many_are_refused():
    """A hundred and one grants are more than a person can judge."""
    with pytest.raises(InvalidRequest, match="at most 100"):
        parse_grants(f'logs:read{{a="{n}"}}' for n in range(101))
