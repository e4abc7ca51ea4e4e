"""User accounts, and the rules that keep anybody from rising by them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from pilothouse.access import BUILTIN_ROLES, Grant, Principal, check_delegation, is_administrator, parse_grants
from pilothouse.core.errors import Conflict, InvalidRequest, NotFound
from pilothouse.core.times import now_ns
from pilothouse.identity.changes import announce_change
from pilothouse.identity.opaque import new_id
from pilothouse.identity.passwords import Passwords, check_rules
from pilothouse.identity.principals import (
    Principals,
    dump_texts,
    grants_of,
    grants_of_role,
    load_grants,
    load_names,
)
from pilothouse.state import Lock, State
from pilothouse.state.models import CustomRole, LoginSession, User

USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}\Z")
"""ASCII, so that no two names look alike."""
RESERVED = frozenset({"anonymous", "local", "system"})
"""Names the audit trail uses for those who are not users."""
MAX_ROLES = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """A user as others see it. Times are nanoseconds; `grants` are those beside the roles' own."""

    id: str
    username: str
    roles: tuple[str, ...]
    grants: tuple[Grant, ...]
    disabled: bool
    created_at: int
    last_login_at: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountChange:
    """What is to change of an account; None leaves it as it is."""

    password: str | None = None
    roles: Sequence[str] | None = None
    grants: Sequence[str] | None = None
    disabled: bool | None = None


class Accounts:
    """Makes, changes and deletes users on behalf of a principal, who can't give, or take, more than it holds."""

    def __init__(self, state: State, passwords: Passwords, principals: Principals) -> None:
        self._state = state
        self._passwords = passwords
        self._principals = principals

    async def list(self) -> tuple[Account, ...]:
        """All, by name."""
        async with self._state.read() as session:
            return tuple(account(user) for user in await session.scalars(select(User).order_by(User.name_key)))

    async def get(self, user_id: str) -> Account:
        """Raises NotFound."""
        async with self._state.read() as session:
            return account(await user_by_id(session, user_id))

    async def effective_grants(self, user_id: str) -> tuple[Account, tuple[Grant, ...]]:
        """An account with all that it holds by roles and grants now; nothing while it is disabled. Raises NotFound."""
        async with self._state.read() as session:
            user = await user_by_id(session, user_id)
            return account(user), () if user.disabled else await grants_of(session, user)

    async def create(
        self, actor: Principal, *, username: str, password: str, roles: Sequence[str], grants: Sequence[str] = ()
    ) -> Account:
        """A new user. Raises InvalidRequest, Conflict where the name is taken, Forbidden beyond the actor's rights."""
        check_username(username)
        check_rules(password, username=username)
        given = parse_grants(grants)
        hashed = await self._passwords.hash(password)
        async with self._state.write(Lock.ACCOUNTS) as session:
            check_delegation(actor, [*await known_grants(session, roles), *given])
            user = await add_user(session, username=username, hashed=hashed, roles=roles, grants=given)
            await announce_change(session)
            made = account(user)
        self._principals.forget()
        return made

    async def update(self, actor: Principal, user_id: str, change: AccountChange) -> Account:
        """Change a user; a new password or `disabled` ends all its sessions.

        Raises NotFound, InvalidRequest, Forbidden beyond the actor's rights, Conflict for the last administrator.
        """
        before = await self.get(user_id)
        hashed = None
        if change.password is not None:
            if user_id == actor.id:
                raise InvalidRequest(
                    "change your own password at /api/v1/auth/password, which asks for the present one",
                    code="OWN_PASSWORD",
                    details={"field": "password"},
                )
            check_rules(change.password, username=before.username)
            hashed = await self._passwords.hash(change.password)
        async with self._state.write(Lock.ACCOUNTS) as session:
            user = await user_by_id(session, user_id)
            check_delegation(actor, await held_grants(session, user))
            if hashed is not None:
                user.password_hash = hashed
            if change.roles is not None:
                user.roles = dump_texts(dict.fromkeys(change.roles))
                await known_grants(session, change.roles)
            if change.grants is not None:
                user.grants = dump_texts(parse_grants(change.grants))
            if change.disabled is not None:
                user.disabled = change.disabled
            check_delegation(actor, await held_grants(session, user))
            if hashed is not None or user.disabled:
                await end_sessions(session, user.id)
            await keep_an_administrator(session)
            await announce_change(session)
            after = account(user)
        self._principals.forget()
        return after

    async def delete(self, actor: Principal, user_id: str) -> Account:
        """Delete a user with its sessions and keys. Raises NotFound, Forbidden, Conflict as update does."""
        async with self._state.write(Lock.ACCOUNTS) as session:
            user = await user_by_id(session, user_id)
            check_delegation(actor, await held_grants(session, user))
            gone = account(user)
            await session.execute(delete(User).where(User.id == user_id))
            session.expunge(user)
            await keep_an_administrator(session)
            await announce_change(session)
        self._principals.forget()
        return gone

    async def change_password(self, actor: Principal, *, present: str, new: str) -> bool:
        """Change the actor's own password and end its other sessions; False where `present` is wrong.

        Raises InvalidRequest for a weak one.
        """
        async with self._state.read() as session:
            user = await user_by_id(session, actor.id)
        if not await self._passwords.verify(user.password_hash, present):
            return False
        check_rules(new, username=user.username)
        hashed = await self._passwords.hash(new)
        async with self._state.write(Lock.ACCOUNTS) as session:
            await session.execute(update(User).where(User.id == actor.id).values(password_hash=hashed))
            await end_sessions(session, actor.id, but=actor.session_id)
            await announce_change(session)
        self._principals.forget()
        return True


def name_key(username: str) -> str:
    """How a user's name is compared: without regard to case."""
    return username.strip().casefold()[:200]


def check_username(username: str) -> None:
    """Raises InvalidRequest."""
    if not USERNAME.match(username) or username.casefold() in RESERVED:
        raise InvalidRequest(
            "username must have 1 to 64 letters, digits or . _ @ + -, begin with a letter or digit, "
            f"and not be one of {', '.join(sorted(RESERVED))}",
            code="INVALID_USERNAME",
            details={"field": "username"},
        )


async def add_user(
    session: AsyncSession, *, username: str, hashed: str, roles: Sequence[str], grants: Sequence[Grant]
) -> User:
    """Insert a user. Raises Conflict where the name is taken."""
    key = name_key(username)
    if (await session.execute(select(User.id).where(User.name_key == key))).first() is not None:
        raise Conflict(f"there is a user {username} already", code="USERNAME_TAKEN", details={"field": "username"})
    user = User(
        id=new_id("u"),
        username=username,
        name_key=key,
        password_hash=hashed,
        roles=dump_texts(dict.fromkeys(roles)),
        grants=dump_texts(grants),
        disabled=False,
        created_at=now_ns(),
        last_login_at=None,
    )
    session.add(user)
    await session.flush()
    return user


async def user_by_id(session: AsyncSession, user_id: str) -> User:
    """Raises NotFound."""
    user = (await session.execute(select(User).where(User.id == user_id))).scalar_one_or_none()
    if user is None:
        raise NotFound("there is no such user")
    return user


async def known_grants(session: AsyncSession, roles: Sequence[str]) -> tuple[Grant, ...]:
    """What `roles` allow. Raises InvalidRequest where there is no such role, or there are too many."""
    if len(roles) > MAX_ROLES:
        raise InvalidRequest(f"a user may have {MAX_ROLES} roles", details={"field": "roles"})
    custom = set(await session.scalars(select(CustomRole.name)))
    for name in roles:
        if name not in BUILTIN_ROLES and name not in custom:
            raise InvalidRequest(f"there is no role {name!r:.80}", code="UNKNOWN_ROLE", details={"field": "roles"})
    return tuple([grant for name in roles for grant in await grants_of_role(session, name)])


async def held_grants(session: AsyncSession, user: User) -> tuple[Grant, ...]:
    """What a user holds, or would hold if it were not disabled."""
    await session.flush()
    return await grants_of(session, user)


async def end_sessions(session: AsyncSession, user_id: str, *, but: str = "") -> None:
    """Revoke the sessions of a user, all but one."""
    await session.execute(
        update(LoginSession)
        .where(LoginSession.user_id == user_id, LoginSession.id != but, LoginSession.revoked_at.is_(None))
        .values(revoked_at=now_ns())
    )


async def keep_an_administrator(session: AsyncSession) -> None:
    """Raises Conflict where, after what this transaction did, nobody could administer any more."""
    await session.flush()
    for user in await session.scalars(select(User).where(User.disabled.is_(False))):
        if is_administrator(await grants_of(session, user)):
            return
    raise Conflict("the last administrator can't be removed, disabled or demoted", code="LAST_ADMINISTRATOR")


def account(user: User) -> Account:
    """A row as others see it."""
    return Account(
        id=user.id,
        username=user.username,
        roles=load_names(user.roles),
        grants=load_grants(user.grants),
        disabled=user.disabled,
        created_at=user.created_at,
        last_login_at=user.last_login_at,
    )
