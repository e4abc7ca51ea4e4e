"""Users and roles: nobody rises by them, and somebody can always administer."""

import asyncio

import pytest

from pilothouse.access import Principal, PrincipalKind, parse_grants
from pilothouse.core.errors import Conflict, Forbidden, InvalidRequest, NotFound, Unauthenticated
from pilothouse.identity import AccountChange, Client

BROWSER = Client(address="192.0.2.7", user_agent="Firefox")
PASSWORD = "correct horse battery"


def holding(*texts, user_id="u_actor"):
    return Principal(kind=PrincipalKind.USER, id=user_id, username="actor", session_id="s", grants=parse_grants(texts))


async def make(identity, actor, name, *roles, grants=()):
    return await identity.accounts.create(actor, username=name, password=PASSWORD, roles=roles, grants=grants)


async def test_a_user_is_made_read_changed_and_deleted(identity, admin):
    """The whole life of an account."""
    made = await make(identity, admin, "Ann", "developer", grants=['logs:write{project="shop"}'])
    assert await identity.accounts.get(made.id) == made
    assert [account.username for account in await identity.accounts.list()] == ["Ann", "root"]
    changed = await identity.accounts.update(admin, made.id, AccountChange(roles=["viewer"], grants=[]))
    assert (changed.roles, changed.grants, changed.disabled) == (("viewer",), (), False)
    await identity.accounts.delete(admin, made.id)
    with pytest.raises(NotFound):
        await identity.accounts.get(made.id)


@pytest.mark.parametrize(
    "name", ["", " ann", "a b", "ann\n", "änn", "-ann", "a" * 65, "anonymous", "LOCAL", "a/b", "a:b"]
)
async def test_names_that_could_deceive_are_refused(identity, admin, name):
    """Spaces, look-alikes, and the names the audit trail uses itself."""
    with pytest.raises(InvalidRequest):
        await make(identity, admin, name)


async def test_a_name_is_taken_in_any_case(identity, admin):
    """Ann and ANN would be one person to a reader."""
    await make(identity, admin, "Ann")
    with pytest.raises(Conflict):
        await make(identity, admin, "aNN")


async def test_of_many_that_make_one_user_one_does(identity, admin):
    """At the same moment."""
    results = await asyncio.gather(*(make(identity, admin, "ann") for _ in range(4)), return_exceptions=True)
    assert sorted(type(one).__name__ for one in results) == ["Account", "Conflict", "Conflict", "Conflict"]


async def test_unknown_roles_and_bad_grants_are_refused(identity, admin):
    """And the user is not half made."""
    with pytest.raises(InvalidRequest):
        await make(identity, admin, "ann", "boss")
    with pytest.raises(InvalidRequest):
        await make(identity, admin, "ann", grants=["logs:everything"])
    assert len(await identity.accounts.list()) == 1


async def test_nobody_gives_more_than_they_hold(identity, admin):
    """A user manager without logs:read makes users without it, and makes none an administrator."""
    manager = holding("users:write", "dashboards:read", 'logs:read{project="shop"}')
    made = await make(identity, manager, "ok", "viewer", grants=['logs:read{project="shop",host="a"}'])
    for roles, grants in (
        (["admin"], []), (["developer"], []), ([], ["*"]), ([], ["logs:read"]), ([], ['logs:read{project="other"}']),
        ([], ["users:*"]),
    ):  # fmt: skip
        with pytest.raises(Forbidden):
            await make(identity, manager, "more", *roles, grants=grants)
        with pytest.raises(Forbidden):
            await identity.accounts.update(manager, made.id, AccountChange(roles=roles, grants=grants))
    assert await identity.accounts.get(made.id) == made


async def test_nobody_takes_over_who_holds_more(identity, admin):
    """A user manager can't set an administrator's password, disable or delete it, or end its rights."""
    manager = holding("users:write", "dashboards:read")
    for change in (
        AccountChange(password="another password"), AccountChange(disabled=True), AccountChange(roles=["viewer"]),
    ):  # fmt: skip
        with pytest.raises(Forbidden):
            await identity.accounts.update(manager, admin.id, change)
    with pytest.raises(Forbidden):
        await identity.accounts.delete(manager, admin.id)
    assert (await identity.login("root", PASSWORD, BROWSER)).principal.id == admin.id


async def test_nobody_raises_themselves(identity, admin, sign_in):
    """By their own account neither."""
    manager = await sign_in("manager", grants=["users:write"])
    with pytest.raises(Forbidden):
        await identity.accounts.update(manager.principal, manager.principal.id, AccountChange(roles=["admin"]))


async def test_ones_own_password_is_not_reset_but_changed(identity, admin):
    """Who finds an open screen does not own the account."""
    with pytest.raises(InvalidRequest, match="own password"):
        await identity.accounts.update(admin, admin.id, AccountChange(password="another password"))


async def test_the_last_administrator_stays(identity, admin):
    """Not deleted, disabled or demoted, not by itself and not by taking everything out of a role."""
    for change in (AccountChange(disabled=True), AccountChange(roles=[]), AccountChange(roles=["developer"])):
        with pytest.raises(Conflict) as caught:
            await identity.accounts.update(admin, admin.id, change)
        assert caught.value.code == "LAST_ADMINISTRATOR"
    with pytest.raises(Conflict):
        await identity.accounts.delete(admin, admin.id)
    await identity.roles.create(admin, name="boss", description="", grants=["*"])
    await identity.accounts.update(admin, admin.id, AccountChange(roles=["boss"]))
    with pytest.raises(Conflict):
        await identity.roles.update(admin, "boss", grants=["logs:*"])
    with pytest.raises(Conflict):
        await identity.accounts.update(admin, admin.id, AccountChange(roles=[], grants=['*{project="shop"}']))
    second = await make(identity, admin, "second", "admin")
    await identity.accounts.update(admin, second.id, AccountChange(disabled=True))
    with pytest.raises(Conflict):
        await identity.accounts.delete(admin, admin.id)
    await identity.accounts.update(admin, second.id, AccountChange(disabled=False))
    await identity.accounts.delete(admin, admin.id)
    assert [account.username for account in await identity.accounts.list()] == ["second"]


async def test_two_administrators_can_not_remove_one_another_at_once(identity, admin):
    """One of the two requests finds that it would be the last."""
    second = await make(identity, admin, "second", "admin")
    other = holding("*", user_id=second.id)
    results = await asyncio.gather(
        identity.accounts.delete(admin, second.id), identity.accounts.delete(other, admin.id), return_exceptions=True
    )
    assert sorted(isinstance(one, Conflict) for one in results) == [False, True]
    assert len(await identity.accounts.list()) == 1


async def test_a_reset_or_disabled_user_is_out_at_once(identity, admin, sign_in):
    """All sessions end, API keys rest while the user does."""
    ann = await sign_in("ann", "developer")
    _, key = await identity.api_keys.create(ann.principal, name="k")
    await identity.accounts.update(admin, ann.principal.id, AccountChange(disabled=True))
    for token in (ann.access_token, key):
        with pytest.raises(Unauthenticated):
            await identity.authenticate_bearer(token)
    with pytest.raises(Unauthenticated):
        await identity.login("ann", PASSWORD, BROWSER)
    await identity.accounts.update(admin, ann.principal.id, AccountChange(disabled=False))
    with pytest.raises(Unauthenticated):
        await identity.authenticate_bearer(ann.access_token)
    assert (await identity.authenticate_bearer(key)).username == "ann"
    back = await identity.login("ann", PASSWORD, BROWSER)
    await identity.accounts.update(admin, ann.principal.id, AccountChange(password="another password"))
    with pytest.raises(Unauthenticated):
        await identity.authenticate_bearer(back.access_token)
    assert (await identity.login("ann", "another password", BROWSER)).principal.id == ann.principal.id


async def test_a_changed_password_ends_the_other_sessions(identity, admin):
    """And only those; the old password is good for nothing."""
    here = await identity.login("root", PASSWORD, BROWSER)
    there = await identity.login("root", PASSWORD, BROWSER)
    with pytest.raises(Unauthenticated):
        await identity.change_password(here.principal, present="wrong password", new="another password", client=BROWSER)
    with pytest.raises(InvalidRequest):
        await identity.change_password(here.principal, present=PASSWORD, new="short", client=BROWSER)
    await identity.change_password(here.principal, present=PASSWORD, new="another password", client=BROWSER)
    assert (await identity.authenticate_bearer(here.access_token)).username == "root"
    with pytest.raises(Unauthenticated):
        await identity.authenticate_bearer(there.access_token)
    with pytest.raises(Unauthenticated):
        await identity.login("root", PASSWORD, BROWSER)


async def test_a_role_is_made_changed_and_deleted(identity, admin, sign_in):
    """Whoever has it may what it says now; while somebody has it, it stays."""
    await identity.roles.create(admin, name="shop", description="The shop's", grants=['logs:read{project="shop"}'])
    ann = await sign_in("ann", "shop")
    assert [str(grant) for grant in ann.principal.grants] == ['logs:read{project="shop"}']
    await identity.roles.update(admin, "shop", grants=["metrics:read"])
    now = await identity.authenticate_bearer(ann.access_token)
    assert [str(grant) for grant in now.grants] == ["metrics:read"]
    with pytest.raises(Conflict) as caught:
        await identity.roles.delete(admin, "shop")
    assert caught.value.details == {"users": ["ann"]}
    await identity.accounts.update(admin, ann.principal.id, AccountChange(roles=[]))
    await identity.roles.delete(admin, "shop")
    with pytest.raises(NotFound):
        await identity.roles.get("shop")


async def test_built_in_roles_stay_as_they_are(identity, admin):
    """Neither changed, nor deleted, nor made again."""
    for name in ("admin", "developer", "viewer"):
        with pytest.raises(Conflict):
            await identity.roles.update(admin, name, grants=["*"])
        with pytest.raises(Conflict):
            await identity.roles.delete(admin, name)
        with pytest.raises(Conflict):
            await identity.roles.create(admin, name=name, description="", grants=[])


async def test_a_role_is_within_its_makers_rights(identity, admin):
    """Before and after a change: a manager neither widens nor empties a role that holds more."""
    manager = holding("users:write", "logs:read")
    with pytest.raises(Forbidden):
        await identity.roles.create(manager, name="big", description="", grants=["metrics:read"])
    await identity.roles.create(admin, name="big", description="", grants=["metrics:read"])
    for grants in (["logs:read"], []):
        with pytest.raises(Forbidden):
            await identity.roles.update(manager, "big", grants=grants)
    with pytest.raises(Forbidden):
        await identity.roles.delete(manager, "big")


@pytest.mark.parametrize("name", ["", "Shop", "1shop", "a b", "a" * 65, "ä", "a\n"])
async def test_role_names_are_plain(identity, admin, name):
    """Lower case, so that they read alike everywhere."""
    with pytest.raises(InvalidRequest):
        await identity.roles.create(admin, name=name, description="", grants=[])
