"""From a session or a key to a Principal with all that it may at this moment."""

import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from pilothouse.access import BUILTIN_ROLES, Grant, Principal, PrincipalKind, intersect, parse_grant
from pilothouse.core.errors import InvalidRequest, Unavailable
from pilothouse.core.times import MINUTE, now_ns
from pilothouse.identity.opaque import hash_secret
from pilothouse.state import Lock, State
from pilothouse.state.models import ApiKey, CustomRole, LoginSession, User

FRESH = 1.0
"""Seconds for which an answer is taken as it was: a revocation counts within two, in every process."""
MAX_CACHED = 10_000
NOTE_USE_EVERY = MINUTE
"""`last_used_at` is for people; a write for each request would be for nobody."""


class Principals:
    """Looks principals up, and remembers each for a second."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._cache: dict[tuple[PrincipalKind, str | bytes], tuple[float, Principal | None]] = {}
        self._generation = 0

    async def of_session(self, session_id: str) -> Principal | None:
        """Who is signed in by this session; None where it ended, or its user is gone or disabled."""
        return await self._cached(PrincipalKind.USER, session_id)

    async def of_key(self, key: str) -> Principal | None:
        """Whom this API key stands for; None where there is none such, or it has expired."""
        return await self._cached(PrincipalKind.API_KEY, hash_secret(key))

    async def now(self, kind: PrincipalKind, session_id: str) -> Principal | None:
        """Who is behind this session or key id, read afresh."""
        async with self._state.read() as session:
            if kind is PrincipalKind.USER:
                found = await _session_row(session, session_id)
                return await _session_principal(session, found)
            return await _key_principal(session, await _key_row(session, ApiKey.id == session_id))

    def forget(self) -> None:
        """Rights have changed in this process: look everybody up again."""
        self._generation += 1
        self._cache.clear()

    async def _cached(self, kind: PrincipalKind, mark: str | bytes) -> Principal | None:
        held = self._cache.get((kind, mark))
        if held is not None and time.monotonic() - held[0] < FRESH:
            return held[1]
        asked_at, generation = time.monotonic(), self._generation
        async with self._state.read() as session:
            if isinstance(mark, str):
                row: Any = await _session_row(session, mark)
                principal = await _session_principal(session, row)
            else:
                row = await _key_row(session, ApiKey.key_hash == mark)
                principal = await _key_principal(session, row)
            unnoted = row is not None and now_ns() - (row[0].last_used_at or 0) > NOTE_USE_EVERY
        if len(self._cache) >= MAX_CACHED:
            self._cache.clear()
        if generation == self._generation:
            self._cache[kind, mark] = (asked_at, principal)
        if principal is not None and unnoted:
            await self._note_use(principal)
        return principal

    async def _note_use(self, principal: Principal) -> None:
        table = LoginSession if principal.kind is PrincipalKind.USER else ApiKey
        try:
            async with self._state.write(Lock.SIGN_IN) as session:
                await session.execute(
                    update(table).where(table.id == principal.session_id).values(last_used_at=now_ns())
                )
        except Unavailable:
            return  # a full disk must not keep an administrator from looking


async def _session_row(session: AsyncSession, session_id: str) -> Row[LoginSession, User] | None:
    now = now_ns()
    rows = await session.execute(
        select(LoginSession, User)
        .join(User, User.id == LoginSession.user_id)
        .where(LoginSession.id == session_id, LoginSession.revoked_at.is_(None), LoginSession.expires_at > now)
        .where(User.disabled.is_(False))
    )
    return rows.one_or_none()


async def _session_principal(session: AsyncSession, row: Row[LoginSession, User] | None) -> Principal | None:
    if row is None:
        return None
    login, user = row
    roles = load_names(user.roles)
    return Principal(
        kind=PrincipalKind.USER,
        id=user.id,
        username=user.username,
        session_id=login.id,
        roles=roles,
        grants=await grants_of(session, user),
    )


async def _key_row(session: AsyncSession, condition: Any) -> Row[ApiKey, User | None] | None:
    rows = await session.execute(select(ApiKey, User).outerjoin(User, User.id == ApiKey.user_id).where(condition))
    row = rows.one_or_none()
    if row is None or (row[0].expires_at is not None and row[0].expires_at <= now_ns()):
        return None
    return row


async def _key_principal(session: AsyncSession, row: Row[ApiKey, User | None] | None) -> Principal | None:
    if row is None:
        return None
    key, owner = row
    if owner is None:
        return Principal(
            kind=PrincipalKind.LOCAL,
            id="local",
            username=key.name,
            session_id=key.id,
            grants=load_grants(key.grants or "[]"),
        )
    if owner.disabled:
        return None
    held = await grants_of(session, owner)
    return Principal(
        kind=PrincipalKind.API_KEY,
        id=owner.id,
        username=owner.username,
        session_id=key.id,
        roles=load_names(owner.roles),
        grants=held if key.grants is None else intersect(held, load_grants(key.grants)),
    )


async def grants_of(session: AsyncSession, user: User) -> tuple[Grant, ...]:
    """All that the roles of `user`, and the grants beside them, allow now."""
    grants = [grant for name in load_names(user.roles) for grant in await grants_of_role(session, name)]
    return tuple(dict.fromkeys([*grants, *load_grants(user.grants)]))


async def grants_of_role(session: AsyncSession, name: str) -> tuple[Grant, ...]:
    """What a role allows; nothing where there is no such role."""
    if name in BUILTIN_ROLES:
        return BUILTIN_ROLES[name].grants
    text = (await session.execute(select(CustomRole.grants).where(CustomRole.name == name))).scalar_one_or_none()
    return load_grants(text) if text is not None else ()


def dump_texts(texts: Iterable[object]) -> str:
    """Names or grants, as the database keeps them."""
    return orjson.dumps([str(text) for text in texts]).decode()


def load_names(stored: str) -> tuple[str, ...]:
    """Names of roles, from the database."""
    return tuple(orjson.loads(stored))


@lru_cache(maxsize=1024)
def load_grants(stored: str) -> tuple[Grant, ...]:
    """Grants from the database. One that this version can't read allows nothing."""
    grants = []
    for text in orjson.loads(stored):
        try:
            grants.append(parse_grant(text))
        except InvalidRequest:
            continue
    return tuple(grants)
