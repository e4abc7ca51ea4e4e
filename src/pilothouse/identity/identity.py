"""Who is asking: the one object that gateways hold."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlalchemy import select

from pilothouse.access import Principal, PrincipalKind
from pilothouse.core.errors import Unauthenticated
from pilothouse.core.times import now_ns
from pilothouse.identity.accounts import Accounts, name_key
from pilothouse.identity.api_keys import ApiKeys
from pilothouse.identity.changes import watch_changes
from pilothouse.identity.opaque import API_KEY_PREFIX
from pilothouse.identity.passwords import Passwords
from pilothouse.identity.principals import Principals
from pilothouse.identity.roles import Roles
from pilothouse.identity.sessions import Client, Refreshed, Sessions, ended, has_session_at
from pilothouse.identity.setup import Setup
from pilothouse.identity.signing import SigningKeys
from pilothouse.identity.throttle import Throttles
from pilothouse.identity.tickets import Tickets
from pilothouse.identity.tokens import LIFETIME, AccessTokens, Claims
from pilothouse.settings import Settings
from pilothouse.state import Lock, State
from pilothouse.state.models import User


@dataclass(frozen=True, kw_only=True, slots=True)
class Login:
    """What a login or a refresh gives. `expires_in` is seconds, `refresh_expires_at` nanoseconds."""

    principal: Principal
    access_token: str
    expires_in: int
    refresh_token: str
    refresh_expires_at: int


class Identity:
    """Accounts, roles, sessions, API keys and tickets of one database. Safe for any number of tasks."""

    def __init__(self, state: State, settings: Settings) -> None:
        self._state = state
        self._tokens = AccessTokens(SigningKeys(settings))
        self._principals = Principals(state)
        self._throttles = Throttles(state)
        self._passwords = Passwords()
        self.accounts = Accounts(state, self._passwords, self._principals)
        self.roles = Roles(state, self._principals)
        self.sessions = Sessions(state, self._principals)
        self.api_keys = ApiKeys(state, self._principals)
        self.tickets = Tickets(state, self._principals)
        self.setup = Setup(state, settings, self._passwords)

    async def authenticate_bearer(self, token: str) -> Principal:
        """Who holds this access token or API key, with what they may at this moment (a second ago at most).

        Raises Unauthenticated: TOKEN_EXPIRED, INVALID_TOKEN, SESSION_ENDED, INVALID_API_KEY.
        """
        if token.startswith(API_KEY_PREFIX):
            principal = await self._principals.of_key(token)
            if principal is None:
                raise Unauthenticated("the API key is not valid, revoked or expired", code="INVALID_API_KEY")
            return principal
        claims = self._tokens.read(token)
        principal = await self._principals.of_session(claims.session_id)
        if principal is None or principal.id != claims.user_id:
            raise ended("SESSION_ENDED")
        return principal

    async def login(self, username: str, password: str, client: Client) -> Login:
        """Begin a session. Raises RateLimited, and Unauthenticated in the same words and time whatever was wrong."""
        key = name_key(username)
        async with self._state.read() as session:
            at_home = await has_session_at(session, key, client.address)
        counted = f"{key} at {client.address}" if at_home else key
        await self._throttles.attempt(counted, client.address)
        async with self._state.read() as session:
            user = (await session.execute(select(User).where(User.name_key == key))).scalar_one_or_none()
        right = await self._passwords.verify(user.password_hash if user else None, password)
        if user is None or not right or user.disabled:
            raise Unauthenticated("the user name or the password is wrong", code="WRONG_CREDENTIALS")
        rehashed = await self._passwords.hash(password) if self._passwords.is_dated(user.password_hash) else None
        async with self._state.write(Lock.SIGN_IN) as session:
            now_there = (await session.execute(select(User).where(User.id == user.id))).scalar_one_or_none()
            if now_there is None or now_there.disabled or now_there.password_hash != user.password_hash:
                raise Unauthenticated("the user name or the password is wrong", code="WRONG_CREDENTIALS")
            await self._throttles.forgive(session, counted, client.address)
            now_there.last_login_at = now_ns()
            now_there.password_hash = rehashed or now_there.password_hash
            begun = await self.sessions.begin(session, now_there, client)
        return await self._login_of(begun)

    async def refresh(self, token: str, client: Client) -> Login:
        """Continue a session with a one-use refresh token. Raises RefreshReused, Unauthenticated."""
        return await self._login_of(await self.sessions.refresh(token, client))

    async def _login_of(self, refreshed: Refreshed) -> Login:
        principal = await self._principals.now(PrincipalKind.USER, refreshed.session_id)
        if principal is None:
            raise ended("SESSION_ENDED")
        return Login(
            principal=principal,
            access_token=self._tokens.issue(Claims(user_id=principal.id, session_id=principal.session_id)),
            expires_in=LIFETIME,
            refresh_token=refreshed.refresh_token,
            refresh_expires_at=refreshed.expires_at,
        )

    async def change_password(self, principal: Principal, *, present: str, new: str, client: Client) -> None:
        """Change one's own password; all other sessions end.

        Raises RateLimited, Unauthenticated where `present` is wrong, InvalidRequest for a weak one.
        """
        key = name_key(principal.username)
        await self._throttles.attempt(key, client.address)
        if not await self.accounts.change_password(principal, present=present, new=new):
            raise Unauthenticated("the present password is wrong", code="WRONG_PASSWORD")
        async with self._state.write(Lock.SIGN_IN) as session:
            await self._throttles.forgive(session, key, client.address)

    async def consume_ticket(self, ticket: str, path: str) -> Principal:
        """Who opens the WebSocket at `path` with this ticket, which is used up. Raises Unauthenticated."""
        return await self.tickets.consume(ticket, path)

    async def current(self, principal: Principal) -> Principal:
        """The same principal with what it may now, read afresh; for what lasts longer than a request.

        Raises Unauthenticated where its session or key has ended.
        """
        now = await self._principals.now(principal.kind, principal.session_id)
        if now is None:
            raise ended("SESSION_ENDED")
        return now

    async def session_valid(self, session_id: str) -> bool:
        """Whether a login session still lives (as of a second ago at most)."""
        return await self._principals.of_session(session_id) is not None

    def changes(self) -> AsyncIterator[int]:
        """Yields whenever rights or sessions may have changed, in any process, within a second; never ends.

        Whoever holds something open then asks `current`, and closes what has ended or changed.
        """
        return watch_changes(self._state)

    async def setup_link(self) -> str:
        """A fresh one-time link to make the first administrator; empty where there is one."""
        return await self.setup.link()

    def close(self) -> None:
        """End the password threads."""
        self._passwords.close()
