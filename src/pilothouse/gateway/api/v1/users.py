"""Users, for those who manage them."""

from typing import Annotated

from pydantic import Field

from pilothouse.access import Permission, Principal, PrincipalKind, authorize, visible_scopes
from pilothouse.audit import Action
from pilothouse.core.errors import Forbidden
from pilothouse.core.labels import Matcher
from pilothouse.gateway.api.v1.bodies import Answer, Body, Instant, Names, Password, Permissions, Username
from pilothouse.gateway.api.v1.caller import CallerDep
from pilothouse.identity import Account, AccountChange

USERS_WRITE = Permission.USERS_WRITE


class UserBody(Body):
    """A user to be made. `permissions` are beside those of the roles."""

    username: Username
    password: Password
    roles: Names = Field(default_factory=list)
    permissions: Permissions = Field(default_factory=list)


class UserChangeBody(Body):
    """What is to change; what is left out stays. A new password, or `disabled`, ends all sessions of the user."""

    password: Password | None = None
    roles: Names | None = None
    permissions: Permissions | None = None
    disabled: bool | None = None


class UserAnswer(Answer):
    """A user. `permissions` are those beside the roles' own."""

    id: str
    username: str
    roles: list[str]
    permissions: list[str]
    disabled: bool
    created_at: Instant
    last_login_at: Instant | None

    @classmethod
    def of(cls, account: Account) -> "UserAnswer":
        """The wire shape of an account."""
        return cls(
            id=account.id,
            username=account.username,
            roles=list(account.roles),
            permissions=[str(grant) for grant in account.grants],
            disabled=account.disabled,
            created_at=account.created_at,
            last_login_at=account.last_login_at,
        )


class UsersAnswer(Answer):
    """By name."""

    users: list[UserAnswer]


class PermissionAnswer(Answer):
    """One permission: whether the user holds it at all, and for which objects.

    `scopes` are sets of label matchers; an object is within reach if it fits any of them. The empty one is everything.
    """

    permission: Permission
    allowed: bool
    everything: bool
    scopes: list[str]


class AccessAnswer(Answer):
    """What a user can see and do at this moment, by roles and grants together."""

    user: UserAnswer
    grants: Annotated[list[str], Field(description="all grants, those of the roles included")]
    permissions: list[PermissionAnswer]


async def list_users(caller: CallerDep) -> UsersAnswer:
    """All users."""
    accounts = await caller.identity.accounts.list()
    await caller.record(Action.USER_LIST, permission=USERS_WRITE)
    return UsersAnswer(users=[UserAnswer.of(account) for account in accounts])


async def create_user(body: UserBody, caller: CallerDep) -> UserAnswer:
    """Make a user, with no more than the caller holds."""
    actor = caller.known()
    details = {"roles": body.roles, "permissions": body.permissions}
    async with caller.acting(Action.USER_CREATE, body.username, details=details, permission=USERS_WRITE) as act:
        account = await caller.identity.accounts.create(
            actor,
            username=body.username,
            password=body.password.get_secret_value(),
            roles=body.roles,
            grants=body.permissions,
        )
        act.details["id"] = account.id
    return UserAnswer.of(account)


async def get_user(user_id: str, caller: CallerDep) -> UserAnswer:
    """One user."""
    account = await caller.identity.accounts.get(user_id)
    await caller.record(Action.USER_READ, account.username, permission=USERS_WRITE)
    return UserAnswer.of(account)


async def update_user(user_id: str, body: UserChangeBody, caller: CallerDep) -> UserAnswer:
    """Change a user who holds no more than the caller, to one who still does not."""
    actor = caller.known()
    details = body.model_dump(exclude_unset=True, exclude={"password"})
    details["new_password"] = body.password is not None
    async with caller.acting(Action.USER_UPDATE, user_id, details=details, permission=USERS_WRITE) as act:
        account = await caller.identity.accounts.update(
            actor,
            user_id,
            AccountChange(
                password=None if body.password is None else body.password.get_secret_value(),
                roles=body.roles,
                grants=body.permissions,
                disabled=body.disabled,
            ),
        )
        act.details["username"] = account.username
    return UserAnswer.of(account)


async def delete_user(user_id: str, caller: CallerDep) -> None:
    """Delete a user with its sessions and keys. What they did stays in the audit trail."""
    actor = caller.known()
    async with caller.acting(Action.USER_DELETE, user_id, permission=USERS_WRITE) as act:
        account = await caller.identity.accounts.delete(actor, user_id)
        act.details["username"] = account.username


async def get_access(user_id: str, caller: CallerDep) -> AccessAnswer:
    """What a user can see and do, by the very function that decides it."""
    account, grants = await caller.identity.accounts.effective_grants(user_id)
    await caller.record(Action.USER_READ, account.username, permission=USERS_WRITE)
    stand_in = Principal(
        kind=PrincipalKind.USER,
        id=account.id,
        username=account.username,
        session_id="",
        roles=account.roles,
        grants=grants,
    )
    return AccessAnswer(
        user=UserAnswer.of(account),
        grants=[str(grant) for grant in grants],
        permissions=[access_to(stand_in, permission) for permission in Permission],
    )


def access_to(principal: Principal, permission: Permission) -> PermissionAnswer:
    """What `authorize` says of one permission."""
    try:
        authorize(principal, permission)
        allowed = True
    except Forbidden:
        allowed = False
    scopes = visible_scopes(principal, permission)
    return PermissionAnswer(
        permission=permission,
        allowed=allowed,
        everything=() in scopes,
        scopes=[scope_text(scope) for scope in scopes],
    )


def scope_text(scope: tuple[Matcher, ...]) -> str:
    """`{project="shop"}`."""
    return "{" + ", ".join(map(str, scope)) + "}"
