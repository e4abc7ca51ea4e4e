"""Login sessions and their families of refresh tokens.

A refresh token is used once and gives its successor. One that comes a second time was copied by somebody: the whole
family is revoked. Two tabs of one browser, though, may both send the token they share within a moment; so for GRACE
the same browser gets the same successor again, as long as that has not been used itself. No second family grows of
it: a thief who is as quick holds the very token that the browser holds, and the next use of either betrays it.
"""

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from pilothouse.core.errors import NotFound, Unauthenticated
from pilothouse.core.times import DAY, SECOND, now_ns
from pilothouse.identity.changes import announce_change
from pilothouse.identity.opaque import SECRET_BYTES, encode, hash_secret, new_id
from pilothouse.identity.principals import Principals
from pilothouse.state import Lock, State
from pilothouse.state.models import LoginSession, RefreshToken, User

IDLE = 7 * DAY
"""A session that is not refreshed for so long is over."""
MOST = 30 * DAY
"""A session is over after so long, used or not."""
GRACE = 10 * SECOND
PREFIX = "phr_"
MAX_SESSIONS = 50
"""Live sessions of one user; the one used longest ago gives way."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Client:
    """Where a request comes from, as shown in the list of sessions."""

    address: str = ""
    user_agent: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionView:
    """One live session. Times are nanoseconds."""

    id: str
    user_id: str
    address: str
    user_agent: str
    created_at: int
    last_used_at: int
    expires_at: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Refreshed:
    """A session with the refresh token that comes next, and when that expires (ns)."""

    session_id: str
    user_id: str
    refresh_token: str
    expires_at: int


class RefreshReused(Unauthenticated):
    """A refresh token came a second time; its session is revoked."""

    def __init__(self, session_id: str, user_id: str) -> None:
        super().__init__("this session has ended; sign in again", code="REFRESH_REUSED")
        self.session_id = session_id
        self.user_id = user_id


class Sessions:
    """Begins, continues, lists and ends sessions."""

    def __init__(self, state: State, principals: Principals) -> None:
        self._state = state
        self._principals = principals

    async def begin(self, session: AsyncSession, user: User, client: Client) -> Refreshed:
        """A new session of `user`, in the transaction that accepted the password."""
        now = now_ns()
        await session.execute(delete(LoginSession).where(LoginSession.expires_at <= now))
        live = (
            await session.scalars(
                select(LoginSession.id)
                .where(LoginSession.user_id == user.id, LoginSession.revoked_at.is_(None))
                .order_by(LoginSession.last_used_at.desc())
                .offset(MAX_SESSIONS - 1)
            )
        ).all()
        if live:
            await session.execute(update(LoginSession).where(LoginSession.id.in_(live)).values(revoked_at=now))
        begun = LoginSession(
            id=new_id("s"),
            user_id=user.id,
            address=client.address[:64],
            user_agent=client.user_agent[:300],
            created_at=now,
            last_used_at=now,
            expires_at=now + IDLE,
            revoked_at=None,
        )
        session.add(begun)
        await session.flush()
        raw = secrets.token_bytes(SECRET_BYTES)
        _add_token(session, begun, raw)
        await session.flush()
        return Refreshed(
            session_id=begun.id, user_id=user.id, refresh_token=PREFIX + encode(raw), expires_at=begun.expires_at
        )

    async def refresh(self, token: str, client: Client) -> Refreshed:
        """Use a refresh token up. Raises RefreshReused, and Unauthenticated where it is none or its time is over."""
        async with self._state.write(Lock.SIGN_IN) as session:
            result = await self._refresh(session, token, client)
        if isinstance(result, RefreshReused):
            self._principals.forget()
            raise result
        return result

    async def _refresh(self, session: AsyncSession, token: str, client: Client) -> Refreshed | RefreshReused:
        now = now_ns()
        found = (
            await session.execute(
                select(RefreshToken, LoginSession, User)
                .join(LoginSession, LoginSession.id == RefreshToken.session_id)
                .join(User, User.id == LoginSession.user_id)
                .where(RefreshToken.token_hash == hash_secret(token))
            )
        ).one_or_none()
        if found is None:
            raise ended("INVALID_REFRESH_TOKEN")
        row, login, user = found
        if login.revoked_at is not None or user.disabled or row.expires_at <= now or login.expires_at <= now:
            raise ended("SESSION_ENDED")
        login.last_used_at = now
        login.address = client.address[:64] or login.address
        if row.used_at is None:
            raw = secrets.token_bytes(SECRET_BYTES)
            login.expires_at = min(now + IDLE, login.created_at + MOST)
            row.used_at, row.next_sealed = now, _seal(raw, token)
            _add_token(session, login, raw)
        else:
            raw = _seal(row.next_sealed or b"", token)
            successor = await session.get(RefreshToken, hash_secret(PREFIX + encode(raw)))
            same_browser = client.user_agent[:300] == login.user_agent
            if now - row.used_at > GRACE or successor is None or successor.used_at is not None or not same_browser:
                login.revoked_at = now
                await session.flush()
                await announce_change(session)
                return RefreshReused(login.id, user.id)
        return Refreshed(
            session_id=login.id, user_id=user.id, refresh_token=PREFIX + encode(raw), expires_at=login.expires_at
        )

    async def list(self, user_id: str) -> tuple[SessionView, ...]:
        """The live sessions of a user, the one used last first."""
        async with self._state.read() as session:
            rows = await session.scalars(
                select(LoginSession)
                .where(LoginSession.user_id == user_id, LoginSession.revoked_at.is_(None))
                .where(LoginSession.expires_at > now_ns())
                .order_by(LoginSession.last_used_at.desc())
            )
            return tuple(SessionView(**{name: getattr(row, name) for name in SessionView.__slots__}) for row in rows)

    async def end(self, user_id: str, session_id: str) -> None:
        """Revoke one session of a user. Raises NotFound where it has no such live one."""
        async with self._state.write(Lock.ACCOUNTS) as session:
            result = await session.execute(
                update(LoginSession)
                .where(LoginSession.id == session_id, LoginSession.user_id == user_id)
                .where(LoginSession.revoked_at.is_(None), LoginSession.expires_at > now_ns())
                .values(revoked_at=now_ns())
                .returning(LoginSession.id)
            )
            if result.first() is None:
                raise NotFound("there is no such session")
            await announce_change(session)
        self._principals.forget()

    async def of_token(self, token: str) -> tuple[str, str] | None:
        """User and session id of the live session that a refresh token, used or not, belongs to."""
        async with self._state.read() as session:
            found = (
                await session.execute(
                    select(LoginSession.user_id, LoginSession.id)
                    .join(RefreshToken, RefreshToken.session_id == LoginSession.id)
                    .where(RefreshToken.token_hash == hash_secret(token), LoginSession.revoked_at.is_(None))
                    .where(LoginSession.expires_at > now_ns())
                )
            ).one_or_none()
            return (found[0], found[1]) if found is not None else None


async def has_session_at(session: AsyncSession, name_key: str, address: str) -> bool:
    """Whether the user of this name, if there is one, has a live session from this address.

    Their guesses from there are counted apart, so that strangers elsewhere can't lock them out.
    """
    found = await session.execute(
        select(LoginSession.id)
        .join(User, User.id == LoginSession.user_id)
        .where(User.name_key == name_key, LoginSession.address == address)
        .where(LoginSession.revoked_at.is_(None), LoginSession.expires_at > now_ns())
        .limit(1)
    )
    return found.first() is not None


def ended(code: str) -> Unauthenticated:
    """The one text for all the ways in which a session can be over."""
    return Unauthenticated("this session has ended; sign in again", code=code)


def _add_token(session: AsyncSession, login: LoginSession, raw: bytes) -> None:
    session.add(
        RefreshToken(
            token_hash=hash_secret(PREFIX + encode(raw)),
            session_id=login.id,
            expires_at=login.expires_at,
            used_at=None,
            next_sealed=None,
        )
    )


def _seal(raw: bytes, token: str) -> bytes:
    """Turn a successor into what only the holder of `token` can turn back, by the same step: a one-time pad."""
    pad = hashlib.sha256(b"successor of " + token.encode("utf-8", "surrogatepass")).digest()
    return bytes(a ^ b for a, b in zip(raw, pad, strict=False))
