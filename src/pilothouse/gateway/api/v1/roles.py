"""Roles, for those who manage users."""

from typing import Annotated

from pydantic import Field

from pilothouse.access import Permission, Role
from pilothouse.audit import Action
from pilothouse.gateway.api.v1.bodies import Answer, Body, Permissions
from pilothouse.gateway.api.v1.caller import CallerDep

USERS_WRITE = Permission.USERS_WRITE
Description = Annotated[str, Field(max_length=500)]


class RoleBody(Body):
    """A role to be made."""

    name: Annotated[str, Field(max_length=64, examples=["shop-developer"])]
    description: Description = ""
    permissions: Permissions


class RoleChangeBody(Body):
    """What is to change; what is left out stays."""

    description: Description | None = None
    permissions: Permissions | None = None


class RoleAnswer(Answer):
    """A role. A built-in one can't be changed."""

    name: str
    description: str
    permissions: list[str]
    builtin: bool

    @classmethod
    def of(cls, role: Role) -> "RoleAnswer":
        """The wire shape of a role."""
        return cls(
            name=role.name,
            description=role.description,
            permissions=[str(grant) for grant in role.grants],
            builtin=role.builtin,
        )


class RolesAnswer(Answer):
    """The built-in ones first. `known_permissions` is all that can be granted by name."""

    roles: list[RoleAnswer]
    known_permissions: list[Permission]


async def list_roles(caller: CallerDep) -> RolesAnswer:
    """All roles."""
    roles = await caller.identity.roles.list()
    await caller.record(Action.ROLE_LIST, permission=USERS_WRITE)
    return RolesAnswer(roles=[RoleAnswer.of(role) for role in roles], known_permissions=list(Permission))


async def create_role(body: RoleBody, caller: CallerDep) -> RoleAnswer:
    """Make a role, with no more than the caller holds."""
    actor = caller.known()
    details = {"permissions": body.permissions}
    async with caller.acting(Action.ROLE_CREATE, body.name, details=details, permission=USERS_WRITE):
        role = await caller.identity.roles.create(
            actor, name=body.name, description=body.description, grants=body.permissions
        )
    return RoleAnswer.of(role)


async def get_role(name: str, caller: CallerDep) -> RoleAnswer:
    """One role."""
    role = await caller.identity.roles.get(name)
    await caller.record(Action.ROLE_READ, name, permission=USERS_WRITE)
    return RoleAnswer.of(role)


async def update_role(name: str, body: RoleChangeBody, caller: CallerDep) -> RoleAnswer:
    """Change a role; whoever has it holds what it says from now on."""
    actor = caller.known()
    details = body.model_dump(exclude_unset=True)
    async with caller.acting(Action.ROLE_UPDATE, name, details=details, permission=USERS_WRITE):
        role = await caller.identity.roles.update(actor, name, description=body.description, grants=body.permissions)
    return RoleAnswer.of(role)


async def delete_role(name: str, caller: CallerDep) -> None:
    """Delete a role that nobody has any more."""
    actor = caller.known()
    async with caller.acting(Action.ROLE_DELETE, name, permission=USERS_WRITE):
        await caller.identity.roles.delete(actor, name)
