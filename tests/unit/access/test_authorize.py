"""The one rule, asked both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.access import (
    BUILTIN_ROLES,
    Permission,
    Principal,
    PrincipalKind,
    authorize,
    check_delegation,
    parse_grants,
    visible_scopes,
    within,
)
from pilothouse.core.errors import Forbidden, Unauthenticated


def holder(*texts):
    return Principal(kind=PrincipalKind.USER, id="u", username="u", session_id="s", grants=parse_grants(texts))


def may(principal, permission, labels=None):
    try:
        return authorize(principal, permission, labels) is principal
    except Forbidden:
        return False


def test_nobody_is_asked_to_sign_in():
    """Without a principal the answer is 401, never 403."""
    with pytest.raises(Unauthenticated):
        authorize(None, Permission.LOGS_READ)


@pytest.mark.parametrize(
    ("role", "allowed"),
    [
        ("admin", set(Permission)),
        (
            "developer",
            {
                Permission.LOGS_READ,
                Permission.METRICS_READ,
                Permission.CONTAINERS_READ,
                Permission.ALERTS_READ,
                Permission.DASHBOARDS_READ,
            },
        ),
        ("viewer", {Permission.DASHBOARDS_READ}),
    ],
)
def test_the_built_in_roles_allow_what_the_design_says(role, allowed):
    """No more, no less, for each permission there is."""
    principal = holder(*map(str, BUILTIN_ROLES[role].grants))
    assert {permission for permission in Permission if may(principal, permission)} == allowed


@pytest.mark.parametrize(
    ("grant", "labels", "allowed"),
    [
        ('logs:read{project="shop"}', {"project": "shop"}, True),
        ('logs:read{project="shop"}', {"project": "shop2"}, False),
        ('logs:read{project="shop"}', {}, False),
        ('logs:read{project=""}', {}, True),
        ('logs:read{project!="shop"}', {}, True),
        ('logs:read{service=~"api|web"}', {"service": "web"}, True),
        ('logs:read{service=~"api|web"}', {"service": "webx"}, False),
        ('logs:read{service=~"api|web"}', {"service": "xapi"}, False),
        ('logs:read{service=~"a.c"}', {"service": "a\nc"}, True),
        ('logs:read{service!~"api.*"}', {"service": "api-1"}, False),
        ('logs:read{service!~"api.*"}', {"service": "db"}, True),
        ('logs:read{service=~".*"}', {}, True),
        ('logs:read{service=~".+"}', {}, False),
        ('logs:read{a="b",c="d"}', {"a": "b"}, False),
        ('logs:read{a="b",c="d"}', {"a": "b", "c": "d", "e": "f"}, True),
    ],
)
def test_a_scope_holds_as_lokis_matchers_do(grant, labels, allowed):
    """Regexes are anchored, a missing label is empty, all matchers must hold."""
    assert may(holder(grant), Permission.LOGS_READ, labels) is allowed


def test_no_scope_sees_nothing_and_the_empty_scope_everything():
    """The other way of asking, at its two ends."""
    assert visible_scopes(holder("metrics:read"), Permission.LOGS_READ) == ()
    assert visible_scopes(holder("logs:read", 'logs:read{a="b"}'), Permission.LOGS_READ) == ((),)


texts = st.sampled_from(
    ["*", "logs:*", "logs:read", 'logs:read{a="x"}', 'logs:read{a=~"x|y",b!="z"}', '*{b="z"}', "metrics:read"]
)
values = st.sampled_from(["x", "y", "z", ""])


@given(st.lists(texts, max_size=4), st.sampled_from(list(Permission)), values, values)
def test_may_she_and_what_may_she_see_agree(grants, permission, a, b):
    """An object is allowed exactly when one of the visible scopes holds for it."""
    principal, labels = holder(*grants), {"a": a, "b": b}
    seen = any(within(scope, labels) for scope in visible_scopes(principal, permission))
    assert may(principal, permission, labels) is seen


def test_nobody_decides_over_what_they_do_not_hold():
    """Delegation is refused by name of the first grant that is missing."""
    check_delegation(holder("logs:*"), parse_grants(["logs:read", 'logs:read{a="b"}']))
    with pytest.raises(Forbidden, match="metrics:read") as caught:
        check_delegation(holder("logs:*"), parse_grants(["logs:read", "metrics:read"]))
    assert caught.value.code == "BEYOND_YOUR_PERMISSIONS"
