"""API keys, tickets, the throttle, and the first administrator."""

import asyncio
import statistics
import time

import pytest
from sqlalchemy import update

from pilothouse.access import PrincipalKind
from pilothouse.core.errors import Conflict, Forbidden, InvalidRequest, NotFound, RateLimited, Unauthenticated
from pilothouse.core.times import SECOND, now_ns
from pilothouse.identity import AccountChange, Client, Identity
from pilothouse.identity.setup import Prepared, prepare
from pilothouse.identity.throttle import PER_ACCOUNT, PER_ADDRESS, WINDOW
from pilothouse.settings import SettingsError, load
from pilothouse.state import Lock, open_state
from pilothouse.state.models import ApiKey, SetupToken, Throttle, Ticket

BROWSER = Client(address="192.0.2.7", user_agent="Firefox")
PASSWORD = "correct horse battery"


async def age(state, column, by):
    """Let time pass, as far as one column can tell."""
    async with state.write(Lock.SIGN_IN) as session:
        await session.execute(update(column.class_).values({column: column - by}))


class TestApiKeys:
    async def test_a_key_is_what_its_owner_allows_now(self, identity, admin, sign_in):
        """The intersection, scopes included, follows the owner down, and up no further than the key says."""
        ann = await sign_in("ann", "developer", grants=["logs:write"])
        _, key = await identity.api_keys.create(
            ann.principal, name="k", grants=['logs:read{project="shop"}', "logs:write"]
        )

        async def held():
            return [str(grant) for grant in (await identity.authenticate_bearer(key)).grants]

        assert await held() == ['logs:read{project="shop"}', "logs:write"]
        await identity.accounts.update(admin, ann.principal.id, AccountChange(roles=[], grants=['logs:read{host="a"}']))
        assert await held() == ['logs:read{host="a", project="shop"}']
        await identity.accounts.update(admin, ann.principal.id, AccountChange(roles=["admin"], grants=[]))
        assert await held() == ['logs:read{project="shop"}', "logs:write"]

    async def test_a_key_without_permissions_named_has_its_owners(self, identity, admin):
        """And says whose it is."""
        _, key = await identity.api_keys.create(admin, name="all")
        principal = await identity.authenticate_bearer(key)
        assert (principal.kind, principal.id, principal.grants) == (PrincipalKind.API_KEY, admin.id, admin.grants)

    async def test_a_key_holds_no_more_than_its_owner(self, identity, sign_in):
        """Refused when it is made."""
        ann = await sign_in("ann", "viewer")
        for grants in (["*"], ["logs:read"], ["dashboards:*"], ["users:write"]):
            with pytest.raises(Forbidden):
                await identity.api_keys.create(ann.principal, name="k", grants=grants)

    async def test_a_key_makes_no_key(self, identity, admin):
        """It would outlive its own expiry."""
        _, key = await identity.api_keys.create(admin, name="k", expires_at=now_ns() + 60 * SECOND)
        with pytest.raises(Forbidden):
            await identity.api_keys.create(await identity.authenticate_bearer(key), name="k2")

    async def test_a_key_expires(self, identity, state, admin):
        """To the second, also for what is open already."""
        view, key = await identity.api_keys.create(admin, name="k", expires_at=now_ns() + 60 * SECOND)
        principal = await identity.authenticate_bearer(key)
        await age(state, ApiKey.expires_at, 61 * SECOND)
        with pytest.raises(Unauthenticated):
            await identity.current(principal)
        await asyncio.sleep(1.05)
        with pytest.raises(Unauthenticated):
            await identity.authenticate_bearer(key)
        assert [one.id for one in await identity.api_keys.list(admin.id)] == [view.id]

    async def test_a_revoked_key_is_dead_and_only_the_owner_revokes_it(self, identity, admin, sign_in):
        """At once."""
        ann = await sign_in("ann", "viewer")
        view, key = await identity.api_keys.create(ann.principal, name="k")
        with pytest.raises(NotFound):
            await identity.api_keys.revoke(admin.id, view.id)
        await identity.authenticate_bearer(key)
        await identity.api_keys.revoke(ann.principal.id, view.id)
        with pytest.raises(Unauthenticated):
            await identity.authenticate_bearer(key)

    async def test_the_last_use_is_noted(self, identity, admin):
        """So that a key nobody uses can be told."""
        view, key = await identity.api_keys.create(admin, name="k")
        assert view.last_used_at is None
        await identity.authenticate_bearer(key)
        (view,) = await identity.api_keys.list(admin.id)
        assert abs(now_ns() - view.last_used_at) < 10 * SECOND

    @pytest.mark.parametrize(
        "given",
        [{"name": ""}, {"name": " "}, {"name": "x" * 101}, {"name": "a\nb"}, {"name": "k", "grants": []},
         {"name": "k", "grants": ["nonsense"]}, {"name": "k", "expires_at": 1}],
    )  # fmt: skip
    async def test_bad_keys_are_refused(self, identity, admin, given):
        """With the field's name."""
        with pytest.raises(InvalidRequest):
            await identity.api_keys.create(admin, **given)

    async def test_a_lent_key_is_this_machines_own(self, identity, admin):
        """For the command line: named after who borrowed it, and gone when given back."""
        key_id, key = await identity.api_keys.lend("local:root", seconds=60)
        principal = await identity.authenticate_bearer(key)
        assert (principal.kind, principal.username) == (PrincipalKind.LOCAL, "local:root")
        assert (await identity.current(principal)).username == "local:root"
        await identity.api_keys.revoke(None, key_id)
        with pytest.raises(Unauthenticated):
            await identity.authenticate_bearer(key)

    @pytest.mark.parametrize("key", ["ph_", "ph_" + "A" * 43, "ph_\ud800", "ph_" + "x" * 9999])
    async def test_what_is_no_key_is_refused(self, identity, admin, key):
        """With 401 and its own code."""
        with pytest.raises(Unauthenticated) as caught:
            await identity.authenticate_bearer(key)
        assert caught.value.code == "INVALID_API_KEY"


class TestTickets:
    async def test_a_ticket_is_used_once_in_any_process(self, identity, settings, admin):
        """Of several that try it at once, over two processes, one is let in."""
        state = open_state(settings)
        other = Identity(state, settings)
        ticket = await identity.tickets.issue(admin, "/ws/logs/api")
        results = await asyncio.gather(
            *(one.consume_ticket(ticket, "/ws/logs/api") for one in (identity, other) * 3), return_exceptions=True
        )
        assert sum(one == admin for one in results) == 1
        assert sum(isinstance(one, Unauthenticated) for one in results) == 5
        other.close()
        await state.close()

    @pytest.mark.parametrize("path", ["/ws/logs/web", "/ws/logs/api/", "/ws/logs/API", "", "/ws/logs/api?x=1"])
    async def test_the_wrong_path_uses_it_up(self, identity, admin, path):
        """A ticket that was seen by somebody else is of no use afterwards, to anybody."""
        ticket = await identity.tickets.issue(admin, "/ws/logs/api")
        for attempt in (path, "/ws/logs/api"):
            with pytest.raises(Unauthenticated):
                await identity.consume_ticket(ticket, attempt)

    async def test_a_ticket_expires(self, identity, state, admin):
        """After thirty seconds."""
        ticket = await identity.tickets.issue(admin, "/ws/logs/api")
        await age(state, Ticket.expires_at, 31 * SECOND)
        with pytest.raises(Unauthenticated):
            await identity.consume_ticket(ticket, "/ws/logs/api")

    async def test_a_ticket_ends_with_its_session(self, identity, admin):
        """Logout between the two steps."""
        ticket = await identity.tickets.issue(admin, "/ws/logs/api")
        await identity.sessions.end(admin.id, admin.session_id)
        with pytest.raises(Unauthenticated):
            await identity.consume_ticket(ticket, "/ws/logs/api")

    @pytest.mark.parametrize("path", ["", "ws", "/ws?a=b", "/" + "x" * 1000, "/a\0b"])
    async def test_a_path_that_is_none_gets_no_ticket(self, identity, admin, path):
        """400, before anything is stored."""
        with pytest.raises(InvalidRequest):
            await identity.tickets.issue(admin, path)


class TestThrottle:
    async def test_an_account_is_guessed_at_ten_times(self, identity, admin):
        """Then the right password is refused too, with the time to wait; from any address."""
        for n in range(PER_ACCOUNT):
            with pytest.raises(Unauthenticated):
                await identity.login("root", "wrong password", Client(address=f"198.18.0.{n}"))
        with pytest.raises(RateLimited) as caught:
            await identity.login("ROOT ", PASSWORD, Client(address="203.0.113.1"))
        assert 0 < caught.value.details["retry_after"] <= WINDOW // SECOND

    async def test_a_stranger_does_not_lock_somebody_out_where_they_are_signed_in(self, identity, admin):
        """From an address with a live session of theirs, guesses are counted apart; and bounded as well."""
        for n in range(PER_ACCOUNT):
            with pytest.raises(Unauthenticated):
                await identity.login("root", "wrong password", Client(address=f"198.51.100.{n}"))
        with pytest.raises(RateLimited):
            await identity.login("root", PASSWORD, Client(address="198.51.100.200"))
        assert await identity.login("root", PASSWORD, BROWSER)
        for _ in range(PER_ACCOUNT):
            with pytest.raises(Unauthenticated):
                await identity.login("root", "wrong password", BROWSER)
        with pytest.raises(RateLimited):
            await identity.login("root", PASSWORD, BROWSER)

    async def test_an_unknown_account_is_throttled_alike(self, identity, admin):
        """Else the throttle would tell which names there are."""
        for n in range(PER_ACCOUNT):
            with pytest.raises(Unauthenticated):
                await identity.login("nobody", "wrong password", Client(address=f"192.0.2.{n}"))
        with pytest.raises(RateLimited):
            await identity.login("nobody", PASSWORD, BROWSER)

    async def test_an_address_is_throttled_over_all_accounts(self, identity, state, admin):
        """Spraying one password over many names; an IPv6 neighbour counts as the same."""
        throttles = identity._throttles
        for n in range(PER_ADDRESS):
            await throttles.attempt(f"name{n}", f"2001:db8::{n:x}")
        with pytest.raises(RateLimited):
            await identity.login("root", PASSWORD, Client(address="2001:db8::ffff"))
        assert await identity.login("root", PASSWORD, Client(address="2001:db8:0:1::1"))

    async def test_guesses_at_once_are_counted_before_they_are_made(self, identity, admin):
        """Thirty in parallel are ten guesses."""
        results = await asyncio.gather(
            *(identity.login("root", "wrong password", BROWSER) for _ in range(30)), return_exceptions=True
        )
        assert sum(isinstance(one, Unauthenticated) for one in results) == PER_ACCOUNT
        assert sum(isinstance(one, RateLimited) for one in results) == 30 - PER_ACCOUNT

    async def test_it_ends_with_its_window(self, identity, state, admin):
        """And is shared by all processes, since it is in the database."""
        for _ in range(PER_ACCOUNT):
            with pytest.raises(Unauthenticated):
                await identity.login("root", "wrong password", BROWSER)
        await age(state, Throttle.ends_at, WINDOW)
        assert await identity.login("root", PASSWORD, BROWSER)

    async def test_the_right_password_starts_anew(self, identity, admin):
        """A person who mistypes is not locked out by their own logins, however many they make."""
        for _ in range(3):
            for _ in range(PER_ACCOUNT - 1):
                with pytest.raises(Unauthenticated):
                    await identity.login("root", "wrong password", BROWSER)
            await identity.login("root", PASSWORD, BROWSER)

    async def test_unknown_users_take_as_long(self, identity, admin, monkeypatch):
        """The median over a dozen differs by less than a third, where a hash is all but the whole."""
        monkeypatch.setattr("pilothouse.identity.throttle.PER_ACCOUNT", 1000)

        async def took(name):
            began = time.perf_counter()
            with pytest.raises(Unauthenticated):
                await identity.login(name, "wrong password", BROWSER)
            return time.perf_counter() - began

        known, unknown = [], []
        for n in range(12):
            known.append(await took("root"))
            unknown.append(await took(f"nobody{n}"))
        ratio = statistics.median(known) / statistics.median(unknown)
        assert 0.67 < ratio < 1.5


class TestSetup:
    async def test_the_link_makes_the_first_administrator_once(self, identity):
        """Then it is used up, and set-up is closed to every token."""
        assert await identity.setup.needed()
        link = await identity.setup_link()
        assert link.startswith("http://127.0.0.1:4080/setup#token=")
        token = link.partition("=")[2]
        account = await identity.setup.finish(token, username="root", password=PASSWORD)
        assert account.roles == ("admin",)
        assert not await identity.setup.needed()
        assert await identity.setup_link() == ""
        with pytest.raises(Conflict):
            await identity.setup.finish(token, username="root2", password=PASSWORD)

    async def test_a_weak_password_does_not_use_the_link_up(self, identity):
        """The person tries again."""
        token = (await identity.setup_link()).partition("=")[2]
        with pytest.raises(InvalidRequest):
            await identity.setup.finish(token, username="root", password="short")
        await identity.setup.finish(token, username="root", password=PASSWORD)

    async def test_of_many_at_once_one_becomes_administrator(self, identity):
        """The token is used once."""
        token = (await identity.setup_link()).partition("=")[2]
        results = await asyncio.gather(
            *(identity.setup.finish(token, username=f"root{n}", password=PASSWORD) for n in range(4)),
            return_exceptions=True,
        )
        assert sum(not isinstance(one, Exception) for one in results) == 1
        assert len(await identity.accounts.list()) == 1

    async def test_a_wrong_old_or_replaced_token_is_refused(self, identity, state):
        """A new link makes the old one void, and a day makes any."""
        old = (await identity.setup_link()).partition("=")[2]
        new = (await identity.setup_link()).partition("=")[2]
        for token in (old, "", "x", "\ud800"):
            with pytest.raises(Unauthenticated):
                await identity.setup.finish(token, username="root", password=PASSWORD)
        await age(state, SetupToken.expires_at, 24 * 3600 * SECOND)
        with pytest.raises(Unauthenticated):
            await identity.setup.finish(new, username="root", password=PASSWORD)

    async def test_admin_password_takes_the_links_place(self, settings):
        """The user admin is there, no link is made, and a later start changes nothing."""
        with_password = settings.model_copy(
            update=load({"PILOTHOUSE_ADMIN_PASSWORD": PASSWORD}).model_dump(include={"admin_password"})
        )
        assert await prepare(with_password) == Prepared(link="", took_admin_password=True)
        state = open_state(settings)
        identity = Identity(state, settings)
        assert (await identity.login("admin", PASSWORD, BROWSER)).principal.roles == ("admin",)
        other = settings.model_copy(
            update=load({"PILOTHOUSE_ADMIN_PASSWORD": "another password"}).model_dump(include={"admin_password"})
        )
        assert await prepare(other) == Prepared(link="", took_admin_password=False)
        assert await identity.login("admin", PASSWORD, BROWSER)
        identity.close()
        await state.close()

    async def test_a_weak_admin_password_stops_the_start(self, settings):
        """By the setting's name, without its value."""
        weak = settings.model_copy(
            update=load({"PILOTHOUSE_ADMIN_PASSWORD": "admin"}).model_dump(include={"admin_password"})
        )
        with pytest.raises(SettingsError, match="PILOTHOUSE_ADMIN_PASSWORD: the password must") as caught:
            await prepare(weak)
        assert "admin'" not in str(caught.value)

    async def test_without_a_password_each_start_prints_a_link(self, settings):
        """Until somebody used one."""
        first, second = (await prepare(settings)).link, (await prepare(settings)).link
        assert "#token=" in first
        assert "#token=" in second
        assert first != second
