"""API keys: they act for their owner, with no more than the owner holds at that moment."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select

from pilothouse.access import Grant, Principal, PrincipalKind, check_delegation, parse_grants
from pilothouse.core.errors import Conflict, Forbidden, InvalidRequest, NotFound
from pilothouse.core.times import SECOND, now_ns
from pilothouse.identity.changes import announce_change
from pilothouse.identity.opaque import API_KEY_PREFIX, hash_secret, new_id, new_secret
from pilothouse.identity.principals import Principals, dump_texts, load_grants
from pilothouse.state import Lock, State
from pilothouse.state.models import ApiKey

MAX_KEYS = 100
MAX_NAME = 100
EVERYTHING = ("*",)


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiKeyView:
    """A key without its secret. Times are nanoseconds; `grants` None stands for all that the owner holds."""

    id: str
    name: str
    grants: tuple[Grant, ...] | None
    created_at: int
    expires_at: int | None
    last_used_at: int | None


class ApiKeys:
    """Makes, lists and revokes keys."""

    def __init__(self, state: State, principals: Principals) -> None:
        self._state = state
        self._principals = principals

    async def create(
        self, owner: Principal, *, name: str, grants: Sequence[str] | None = None, expires_at: int | None = None
    ) -> tuple[ApiKeyView, str]:
        """A new key and its secret, which is told only now.

        Raises InvalidRequest, Forbidden beyond what the owner holds, and where a key asks for another key: that
        would outlive it.
        """
        if owner.kind is not PrincipalKind.USER:
            raise Forbidden("a key can't make keys; sign in", code="LOGIN_NEEDED")
        if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
            raise InvalidRequest(f"name must have 1 to {MAX_NAME} printable characters", details={"field": "name"})
        if expires_at is not None and expires_at <= now_ns():
            raise InvalidRequest("expires_at must be in the future", details={"field": "expires_at"})
        given = None if grants is None else parse_grants(grants)
        if given is not None and not given:
            raise InvalidRequest(
                "permissions must name one at least; leave it out to give all you hold",
                details={"field": "permissions"},
            )
        check_delegation(owner, given or ())
        async with self._state.write(Lock.ACCOUNTS) as session:
            count = await session.scalar(select(func.count()).select_from(ApiKey).where(ApiKey.user_id == owner.id))
            if (count or 0) >= MAX_KEYS:
                raise Conflict(f"you have {MAX_KEYS} keys; revoke one first", code="TOO_MANY_KEYS")
            secret = new_secret(API_KEY_PREFIX)
            row = ApiKey(
                id=new_id("k"),
                user_id=owner.id,
                key_hash=hash_secret(secret),
                name=name.strip(),
                grants=None if given is None else dump_texts(given),
                created_at=now_ns(),
                expires_at=expires_at,
                last_used_at=None,
            )
            session.add(row)
            return _view(row), secret

    async def lend(self, name: str, *, seconds: int) -> tuple[str, str]:
        """Id and secret of a key without an owner, for whoever can write to this machine's database anyhow.

        `name` is what the audit trail calls them, such as `local:root`.
        """
        secret, key_id = new_secret(API_KEY_PREFIX), new_id("k")
        async with self._state.write(Lock.ACCOUNTS) as session:
            await session.execute(delete(ApiKey).where(ApiKey.user_id.is_(None), ApiKey.expires_at <= now_ns()))
            session.add(
                ApiKey(
                    id=key_id,
                    user_id=None,
                    key_hash=hash_secret(secret),
                    name=name[:MAX_NAME],
                    grants=dump_texts(EVERYTHING),
                    created_at=now_ns(),
                    expires_at=now_ns() + seconds * SECOND,
                    last_used_at=None,
                )
            )
        return key_id, secret

    async def list(self, user_id: str) -> tuple[ApiKeyView, ...]:
        """The keys of a user, expired ones too, the newest first."""
        async with self._state.read() as session:
            rows = await session.scalars(
                select(ApiKey).where(ApiKey.user_id == user_id).order_by(ApiKey.created_at.desc())
            )
            return tuple(_view(row) for row in rows)

    async def revoke(self, user_id: str | None, key_id: str) -> None:
        """Delete a key of a user, or with None a lent one. Raises NotFound."""
        async with self._state.write(Lock.ACCOUNTS) as session:
            result = await session.execute(
                delete(ApiKey)
                .where(ApiKey.id == key_id, ApiKey.user_id.is_(None) if user_id is None else ApiKey.user_id == user_id)
                .returning(ApiKey.id)
            )
            if result.first() is None:
                raise NotFound("there is no such key")
            await announce_change(session)
        self._principals.forget()


def _view(row: ApiKey) -> ApiKeyView:
    return ApiKeyView(
        id=row.id,
        name=row.name,
        grants=None if row.grants is None else load_grants(row.grants),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
    )
