"""The first administrator: by a one-time link, or by ADMIN_PASSWORD. There is no default password."""

from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from pilothouse.access.roles import ADMIN
from pilothouse.core.errors import Conflict, PilothouseError, Unauthenticated
from pilothouse.core.times import HOUR, now_ns
from pilothouse.identity.accounts import Account, account, add_user, check_username
from pilothouse.identity.changes import announce_change
from pilothouse.identity.opaque import hash_secret, new_secret
from pilothouse.identity.passwords import Passwords, check_rules
from pilothouse.settings import Settings, SettingsError
from pilothouse.state import Lock, State, migrate, open_state
from pilothouse.state.models import SetupToken, User

LINK_LIFETIME = 24 * HOUR
"""It was printed where only the operator looks; a restart prints a new one and makes the old one void."""
FIRST_USER = "admin"


class Setup:
    """Open as long as there is no user at all."""

    def __init__(self, state: State, settings: Settings, passwords: Passwords) -> None:
        self._state = state
        self._settings = settings
        self._passwords = passwords

    async def needed(self) -> bool:
        """Whether nobody can sign in yet."""
        async with self._state.read() as session:
            return not await _has_users(session)

    async def link(self) -> str:
        """A fresh one-time link, in place of any before it; empty where set-up is done.

        The token is in the fragment, which browsers send to nobody.
        """
        token = new_secret()
        async with self._state.write(Lock.ACCOUNTS) as session:
            if await _has_users(session):
                return ""
            await session.execute(delete(SetupToken))
            session.add(SetupToken(token_hash=hash_secret(token), expires_at=now_ns() + LINK_LIFETIME))
        return f"{self._settings.base_url}/setup#token={token}"

    async def finish(self, token: str, *, username: str, password: str) -> Account:
        """Make the first administrator and use the token up.

        Raises Conflict where that was done already, Unauthenticated for a wrong or expired token, InvalidRequest.
        """
        # The token first: whoever has none is not told the rules, and costs no hash.
        async with self._state.read() as session:
            await _check(session, token)
        check_username(username)
        check_rules(password, username=username)
        hashed = await self._passwords.hash(password)
        async with self._state.write(Lock.ACCOUNTS) as session:
            await _check(session, token)
            await session.execute(delete(SetupToken))
            user = await add_user(session, username=username, hashed=hashed, roles=[ADMIN], grants=())
            await announce_change(session)
            return account(user)

    async def take_admin_password(self) -> bool:
        """Make the user `admin` with ADMIN_PASSWORD, if that is set and nobody is there. Raises SettingsError."""
        secret = self._settings.admin_password
        if secret is None or not await self.needed():
            return False
        try:
            check_rules(secret.get_secret_value(), username=FIRST_USER)
        except PilothouseError as error:
            raise SettingsError(f"PILOTHOUSE_ADMIN_PASSWORD: {error.message}") from error
        hashed = await self._passwords.hash(secret.get_secret_value())
        async with self._state.write(Lock.ACCOUNTS) as session:
            if await _has_users(session):
                return False
            await session.execute(delete(SetupToken))
            await add_user(session, username=FIRST_USER, hashed=hashed, roles=[ADMIN], grants=())
        return True


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """What a start did: `link` is the one-time set-up link, empty where somebody can sign in."""

    link: str
    took_admin_password: bool


async def prepare(settings: Settings) -> Prepared:
    """Before the processes start: bring the database up to date and see that somebody can sign in.

    Raises SettingsError, Unavailable.
    """
    await migrate(settings)
    state, passwords = open_state(settings), Passwords()
    try:
        setup = Setup(state, settings, passwords)
        took = await setup.take_admin_password()
        return Prepared(link=await setup.link(), took_admin_password=took)
    finally:
        passwords.close()
        await state.close()


async def _has_users(session: AsyncSession) -> bool:
    return (await session.execute(select(User.id).limit(1))).first() is not None


async def _check(session: AsyncSession, token: str) -> None:
    if await _has_users(session):
        raise Conflict("Pilothouse is set up already; sign in", code="ALREADY_SET_UP")
    row = (
        await session.execute(select(SetupToken).where(SetupToken.token_hash == hash_secret(token)))
    ).scalar_one_or_none()
    if row is None or row.expires_at <= now_ns():
        raise Unauthenticated(
            "this link is used or too old; restart Pilothouse and it prints a new one", code="INVALID_SETUP_TOKEN"
        )
