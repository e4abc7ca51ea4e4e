"""Logins, refresh tokens, and what ends them."""

import asyncio

import pytest
from sqlalchemy import text, update

from pilothouse.core.errors import NotFound, Unauthenticated
from pilothouse.core.times import DAY, SECOND
from pilothouse.identity import AccountChange, Client, Identity, RefreshReused
from pilothouse.identity.sessions import GRACE
from pilothouse.state import Lock, open_state
from pilothouse.state.models import LoginSession, RefreshToken

BROWSER = Client(address="192.0.2.7", user_agent="Firefox")
PASSWORD = "correct horse battery"


async def age(state, table, column, by):
    async with state.write(Lock.SIGN_IN) as session:
        await session.execute(update(table).values({column: getattr(table, column) - by}))


async def test_a_login_gives_what_the_user_may(identity, sign_in):
    """Roles become grants at the moment of asking."""
    login = await sign_in("dev", "developer")
    principal = await identity.authenticate_bearer(login.access_token)
    assert principal == login.principal
    assert principal.roles == ("developer",)
    assert "logs:read" in map(str, principal.grants)


async def test_names_are_compared_without_case(identity, admin):
    """Root and ROOT are one account."""
    assert (await identity.login("ROOT", PASSWORD, BROWSER)).principal.id == admin.id


async def test_a_refresh_token_is_used_once(identity, admin):
    """Each use gives another token and another access token of the same session."""
    first = await identity.login("root", PASSWORD, BROWSER)
    second = await identity.refresh(first.refresh_token, BROWSER)
    assert second.refresh_token != first.refresh_token
    assert second.principal.session_id == first.principal.session_id


async def test_reuse_revokes_the_family(identity, state, admin):
    """A token that comes again later was copied: nobody goes on with any token of that login."""
    first = await identity.login("root", PASSWORD, BROWSER)
    second = await identity.refresh(first.refresh_token, BROWSER)
    await age(state, RefreshToken, "used_at", GRACE + SECOND)
    with pytest.raises(RefreshReused) as caught:
        await identity.refresh(first.refresh_token, BROWSER)
    assert caught.value.session_id == first.principal.session_id
    for call in (identity.authenticate_bearer(second.access_token), identity.refresh(second.refresh_token, BROWSER)):
        with pytest.raises(Unauthenticated):
            await call


async def test_two_tabs_may_race(identity, admin):
    """Both send the token they share at once; both get the same successor, and neither is logged out."""
    first = await identity.login("root", PASSWORD, BROWSER)
    answers = await asyncio.gather(*(identity.refresh(first.refresh_token, BROWSER) for _ in range(5)))
    assert len({answer.refresh_token for answer in answers}) == 1
    again = await identity.refresh(answers[0].refresh_token, BROWSER)
    assert (await identity.authenticate_bearer(again.access_token)).username == "root"


async def test_the_grace_is_for_the_token_before_alone(identity, admin):
    """Once its successor is used, the token before it betrays a copy, however soon."""
    first = await identity.login("root", PASSWORD, BROWSER)
    second = await identity.refresh(first.refresh_token, BROWSER)
    await identity.refresh(second.refresh_token, BROWSER)
    with pytest.raises(RefreshReused):
        await identity.refresh(first.refresh_token, BROWSER)


async def test_the_grace_is_for_the_same_browser_alone(identity, admin):
    """Another user agent with the same token is not a tab."""
    first = await identity.login("root", PASSWORD, BROWSER)
    await identity.refresh(first.refresh_token, BROWSER)
    with pytest.raises(RefreshReused):
        await identity.refresh(first.refresh_token, Client(address=BROWSER.address, user_agent="curl"))


async def test_the_database_alone_continues_no_session(identity, state, admin):
    """Refresh tokens, keys and tickets are in no column of any table, and the sealed successor opens with none."""
    login = await identity.login("root", PASSWORD, BROWSER)
    login = await identity.refresh(login.refresh_token, BROWSER)
    _, key = await identity.api_keys.create(login.principal, name="k")
    ticket = await identity.tickets.issue(login.principal, "/ws/x")
    async with state.read() as session:
        dump = ""
        for table in ("refresh_tokens", "sessions", "api_keys", "tickets", "users", "setup_tokens"):
            dump += str((await session.execute(text(f"SELECT * FROM {table}"))).all())
    for secret in (login.refresh_token, login.access_token, key, ticket, PASSWORD):
        assert secret not in dump


@pytest.mark.parametrize("token", ["", "phr_", "phr_" + "A" * 43, "\ud800", "x" * 10_000])
async def test_what_is_no_refresh_token_is_refused(identity, admin, token):
    """With 401, whatever it is."""
    with pytest.raises(Unauthenticated):
        await identity.refresh(token, BROWSER)


async def test_a_session_ends_by_itself(identity, state, admin):
    """After seven days without a refresh neither token is good."""
    login = await identity.login("root", PASSWORD, BROWSER)
    await age(state, LoginSession, "expires_at", 7 * DAY)
    for call in (identity.refresh(login.refresh_token, BROWSER), identity.current(login.principal)):
        with pytest.raises(Unauthenticated):
            await call


async def test_a_session_does_not_live_for_ever(identity, state, admin):
    """Refreshed daily it still ends thirty days after the login."""
    login = await identity.login("root", PASSWORD, BROWSER)
    await age(state, LoginSession, "created_at", 29 * DAY)
    login = await identity.refresh(login.refresh_token, BROWSER)
    (view, *_) = await identity.sessions.list(admin.id)
    assert view.expires_at - view.created_at <= 30 * DAY


async def test_sessions_are_listed_and_ended_one_by_one(identity, admin):
    """The list says where each came from; what is ended is gone at once, the others stay."""
    one = await identity.login("root", PASSWORD, Client(address="198.51.100.1", user_agent="Safari"))
    views = {view.id: view for view in await identity.sessions.list(admin.id)}
    assert (views[one.principal.session_id].address, views[one.principal.session_id].user_agent) == (
        "198.51.100.1",
        "Safari",
    )
    assert await identity.session_valid(one.principal.session_id)
    await identity.sessions.end(admin.id, one.principal.session_id)
    assert not await identity.session_valid(one.principal.session_id)
    with pytest.raises(Unauthenticated):
        await identity.authenticate_bearer(one.access_token)
    with pytest.raises(NotFound):
        await identity.sessions.end(admin.id, one.principal.session_id)
    assert await identity.current(admin) == admin


async def test_nobody_ends_anothers_session(identity, admin, sign_in):
    """Not even by its id."""
    dev = await sign_in("dev", "developer")
    with pytest.raises(NotFound):
        await identity.sessions.end(dev.principal.id, admin.session_id)


async def test_a_revocation_counts_in_every_process(identity, settings, admin):
    """Another gateway on the same database hears of it within a second, and no longer lets the token in."""
    state = open_state(settings)
    other = Identity(state, settings)
    login = await identity.login("root", PASSWORD, BROWSER)
    await other.authenticate_bearer(login.access_token)
    changes = other.changes()
    heard = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0.1)
    await identity.sessions.end(admin.id, login.principal.session_id)
    await asyncio.wait_for(heard, 1.5)
    with pytest.raises(Unauthenticated):
        await other.current(login.principal)
    await asyncio.sleep(1)
    with pytest.raises(Unauthenticated):
        await other.authenticate_bearer(login.access_token)
    await changes.aclose()
    other.close()
    await state.close()


async def test_a_changed_role_counts_at_once(identity, admin, sign_in):
    """Grants are not in the token: what was granted when it was issued is of no weight."""
    dev = await sign_in("dev", "developer")
    await identity.authenticate_bearer(dev.access_token)
    await identity.accounts.update(admin, dev.principal.id, AccountChange(roles=["viewer"]))
    now = await identity.authenticate_bearer(dev.access_token)
    assert [str(grant) for grant in now.grants] == ["dashboards:read"]


async def test_the_oldest_of_too_many_sessions_gives_way(identity, state, admin, monkeypatch):
    """A script that logs in and never out can't fill the table."""
    monkeypatch.setattr("pilothouse.identity.sessions.MAX_SESSIONS", 3)
    for _ in range(4):
        login = await identity.login("root", PASSWORD, BROWSER)
    views = await identity.sessions.list(admin.id)
    assert len(views) == 3
    assert login.principal.session_id in {view.id for view in views}
