"""One's own API keys."""

from typing import Annotated

from pydantic import AwareDatetime, Field

from pilothouse.audit import Action
from pilothouse.gateway.api.v1.bodies import Answer, Body, Instant, Permissions, nanoseconds
from pilothouse.gateway.api.v1.caller import CallerDep
from pilothouse.identity import ApiKeyView


class KeyBody(Body):
    """A key to be made. Without `permissions` it may what its owner may; without `expires_at` it does not expire."""

    name: Annotated[str, Field(max_length=200, examples=["promtail on web-1"])]
    permissions: Permissions | None = None
    expires_at: AwareDatetime | None = None


class KeyAnswer(Answer):
    """A key without its secret. `permissions` null stands for all that the owner holds."""

    id: str
    name: str
    permissions: list[str] | None
    created_at: Instant
    expires_at: Instant | None
    last_used_at: Instant | None

    @classmethod
    def of(cls, view: ApiKeyView) -> "KeyAnswer":
        """The wire shape of a key."""
        return cls(
            id=view.id,
            name=view.name,
            permissions=None if view.grants is None else [str(grant) for grant in view.grants],
            created_at=view.created_at,
            expires_at=view.expires_at,
            last_used_at=view.last_used_at,
        )


class MadeKeyAnswer(KeyAnswer):
    """A new key: `key` is its secret, shown only now."""

    key: str


class KeysAnswer(Answer):
    """The newest first."""

    api_keys: list[KeyAnswer]


async def list_keys(caller: CallerDep) -> KeysAnswer:
    """The caller's keys, expired ones too."""
    person = caller.person()
    views = await caller.identity.api_keys.list(person.id)
    await caller.record(Action.API_KEY_LIST, person.username)
    return KeysAnswer(api_keys=[KeyAnswer.of(view) for view in views])


async def create_key(body: KeyBody, caller: CallerDep) -> MadeKeyAnswer:
    """Make a key. It never holds more than its owner, now or later."""
    person = caller.person()
    wanted = {"permissions": body.permissions, "expires_at": body.expires_at and body.expires_at.isoformat()}
    async with caller.acting(Action.API_KEY_CREATE, body.name, details=wanted) as act:
        view, secret = await caller.identity.api_keys.create(
            person,
            name=body.name,
            grants=body.permissions,
            expires_at=None if body.expires_at is None else nanoseconds(body.expires_at),
        )
        act.details["id"] = view.id
    return MadeKeyAnswer(**dict(KeyAnswer.of(view)), key=secret)


async def revoke_key(key_id: str, caller: CallerDep) -> None:
    """Revoke a key at once."""
    person = caller.person()
    async with caller.acting(Action.API_KEY_REVOKE, key_id):
        await caller.identity.api_keys.revoke(person.id, key_id)
