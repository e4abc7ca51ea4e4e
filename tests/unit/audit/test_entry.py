"""What an entry keeps, and what it must not."""

import json

import pytest

from pilothouse.access import Permission, Principal, PrincipalKind, parse_grants
from pilothouse.audit import Action, Filters, Outcome
from pilothouse.audit.entry import MAX_DETAILS, canonical_details, clean_text
from pilothouse.core.errors import InvalidRequest
from pilothouse.identity.opaque import new_secret


@pytest.mark.parametrize(
    "details",
    [
        {"password": "hunter2hunter2"},
        {"new_password": "hunter2hunter2"},
        {"body": {"refresh_token": "hunter2hunter2"}},
        {"headers": [{"Authorization": "hunter2hunter2"}]},
        {"Cookie": "hunter2hunter2"},
        {"query": "Bearer hunter2hunter2"},
        {"client_secret": ["hunter2hunter2"]},
        {"url": "/ws/logs/api?ticket=hunter2hunter2&level=x"},
    ],
)
def test_secrets_are_masked_by_name_and_by_place(details):
    """However deep they are."""
    assert "hunter2" not in canonical_details(details)


def test_secrets_are_masked_by_form():
    """An API key or a JWT, wherever it stands in a text, is not kept."""
    key, token = new_secret("ph_"), "eyJhbGciOiJFZDI1NTE5In0.eyJzdWIiOiJ1In0.c2lnbmF0dXJl"
    text = clean_text(f"tried {key} and {token} today")
    assert text == "tried ••• and ••• today"


@pytest.mark.parametrize(
    "value",
    [
        "\0",
        "\ud800",
        "x" * 100_000,
        float("nan"),
        float("inf"),
        2**200,
        b"bytes",
        {1: 2},
        {"a": {"b": {"c": {"d": {"e": {"f": {"g": 1}}}}}}},
        object(),
    ],
)
def test_any_value_can_be_kept(value):
    """What a client sends never keeps an entry from being written."""
    text = canonical_details({"value": value, "more": ["x" * 3000] * 50})
    json.loads(text)
    assert len(text.encode()) <= MAX_DETAILS
    assert "\\u0000" not in text


def test_details_are_canonical():
    """Keys are sorted, so that equal details are equal bytes."""
    assert canonical_details({"b": 1, "a": [True, None, "é"]}) == '{"a":[true,null,"é"],"b":1}'


@pytest.mark.parametrize("action", Action)
def test_actions_follow_their_grammar(action):
    """`noun.verb`, lower case."""
    noun, _, verb = action.value.partition(".")
    assert all(part.replace("_", "").isalpha() and part.islower() for part in (noun, verb))


async def test_an_entry_says_who_where_and_what(audit):
    """All that the design lists is there to be read back."""
    principal = Principal(
        kind=PrincipalKind.USER, id="u_1", username="ann", session_id="s_1", grants=parse_grants(["logs:read"])
    )
    await audit.record(
        principal, Action.LOGS_QUERY, object='{service_name="api"}', outcome=Outcome.OK, details={"lines": 3},
        address="10.1.2.3", permission=Permission.LOGS_READ,
    )  # fmt: skip
    ((entry, _),) = (await audit.query(Filters())).entries
    assert (entry.actor, entry.actor_id, entry.session, entry.kind) == ("ann", "u_1", "s_1", "user")
    assert (entry.address, entry.permission, entry.object) == ("10.1.2.3", "logs:read", '{service_name="api"}')
    assert (entry.action, entry.outcome, entry.details) == ("logs.query", "ok", '{"lines":3}')


@pytest.fixture
async def filled(audit):
    for n in range(25):
        await audit.record(
            None, Action.LOGS_READ if n % 2 else Action.AUTH_LOGIN, object=f"100%_{n:02}", actor="ann" if n < 10 else "bob",
            outcome=Outcome.DENIED if n % 5 == 0 else Outcome.OK, details={"note": f"Größe {n}"},
        )  # fmt: skip
    return audit


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (Filters(), 25),
        (Filters(actor="ann"), 10),
        (Filters(actor="an"), 0),
        (Filters(action="auth.login"), 13),
        (Filters(action="auth.*"), 13),
        (Filters(action="au.*"), 0),
        (Filters(object="%_0"), 10),
        (Filters(object="1__"), 0),
        (Filters(outcome="denied"), 5),
        (Filters(text="größe 1"), 11),
        (Filters(text="BOB"), 15),
        (Filters(text="'; DROP TABLE audit_entries; --"), 0),
        (Filters(since=0, until=1), 0),
        (Filters(actor="bob", action="logs.read", outcome="denied"), 1),
    ],
)
async def test_filters_let_through_what_they_say(filled, filters, count):
    """Alone and together; wildcards of SQL are ordinary characters."""
    assert len((await filled.query(filters)).entries) == count


async def test_pages_join_without_a_gap(filled):
    """Walking the cursors gives each entry once, newest first."""
    seen, cursor = [], None
    while True:
        page = await filled.query(Filters(), cursor=cursor, limit=7)
        seen += [entry.id for entry, _ in page.entries]
        if (cursor := page.next_cursor) is None:
            break
    assert seen == list(range(25, 0, -1))


@pytest.mark.parametrize(("limit", "cursor"), [(0, None), (1001, None), (10, "x"), (10, "-1"), (10, "9" * 30)])
async def test_limits_and_cursors_out_of_bounds_are_refused(audit, limit, cursor):
    """With the field's name."""
    with pytest.raises(InvalidRequest):
        await audit.query(Filters(), limit=limit, cursor=cursor)
