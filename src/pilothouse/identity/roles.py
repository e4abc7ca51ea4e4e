"""Roles: the built-in ones, and those an administrator makes."""

import re
from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from pilothouse.access import BUILTIN_ROLES, Principal, Role, check_delegation, parse_grants
from pilothouse.core.errors import Conflict, InvalidRequest, NotFound
from pilothouse.core.times import now_ns
from pilothouse.identity.accounts import keep_an_administrator
from pilothouse.identity.changes import announce_change
from pilothouse.identity.principals import Principals, dump_texts, load_grants, load_names
from pilothouse.state import Lock, State
from pilothouse.state.models import CustomRole, User

ROLE_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}\Z")
MAX_DESCRIPTION = 500


class Roles:
    """Makes, changes and deletes custom roles on behalf of a principal, within what it holds."""

    def __init__(self, state: State, principals: Principals) -> None:
        self._state = state
        self._principals = principals

    async def list(self) -> tuple[Role, ...]:
        """The built-in ones first, then the others by name."""
        async with self._state.read() as session:
            rows = await session.scalars(select(CustomRole).order_by(CustomRole.name))
            return (*BUILTIN_ROLES.values(), *(_role(row) for row in rows))

    async def get(self, name: str) -> Role:
        """Raises NotFound."""
        if name in BUILTIN_ROLES:
            return BUILTIN_ROLES[name]
        async with self._state.read() as session:
            return _role(await _row(session, name))

    async def create(self, actor: Principal, *, name: str, description: str, grants: Sequence[str]) -> Role:
        """Raises InvalidRequest, Conflict where the name is taken, Forbidden beyond the actor's rights."""
        if not ROLE_NAME.match(name):
            raise InvalidRequest(
                "a role's name has 1 to 64 lower-case letters, digits, _ or -, and begins with a letter",
                code="INVALID_ROLE_NAME",
                details={"field": "name"},
            )
        given = parse_grants(grants)
        check_delegation(actor, given)
        async with self._state.write(Lock.ACCOUNTS) as session:
            taken = name in BUILTIN_ROLES or (
                (await session.execute(select(CustomRole.name).where(CustomRole.name == name))).first() is not None
            )
            if taken:
                raise Conflict(f"there is a role {name} already", code="ROLE_TAKEN", details={"field": "name"})
            row = CustomRole(
                name=name, description=_description(description), grants=dump_texts(given), created_at=now_ns()
            )
            session.add(row)
            await announce_change(session)
            return _role(row)

    async def update(
        self, actor: Principal, name: str, *, description: str | None = None, grants: Sequence[str] | None = None
    ) -> Role:
        """Raises NotFound, InvalidRequest, Forbidden, Conflict for a built-in one and for the last administrator's."""
        _check_custom(name)
        given = None if grants is None else parse_grants(grants)
        async with self._state.write(Lock.ACCOUNTS) as session:
            row = await _row(session, name)
            if given is not None:
                check_delegation(actor, [*load_grants(row.grants), *given])
                row.grants = dump_texts(given)
            if description is not None:
                row.description = _description(description)
            await keep_an_administrator(session)
            await announce_change(session)
            after = _role(row)
        self._principals.forget()
        return after

    async def delete(self, actor: Principal, name: str) -> None:
        """Raises NotFound, Forbidden, Conflict for a built-in one and for one that users still have."""
        _check_custom(name)
        async with self._state.write(Lock.ACCOUNTS) as session:
            row = await _row(session, name)
            check_delegation(actor, load_grants(row.grants))
            holders = [user.username for user in await session.scalars(select(User)) if name in load_names(user.roles)]
            if holders:
                raise Conflict(
                    f"{len(holders)} users have the role {name}; take it from them first",
                    code="ROLE_IN_USE",
                    details={"users": sorted(holders)[:20]},
                )
            await session.execute(delete(CustomRole).where(CustomRole.name == name))
            await announce_change(session)
        self._principals.forget()


def _check_custom(name: str) -> None:
    if name in BUILTIN_ROLES:
        raise Conflict(f"{name} is built in and stays as it is", code="ROLE_BUILT_IN")


def _description(text: str) -> str:
    if len(text) > MAX_DESCRIPTION:
        raise InvalidRequest(f"a description may have {MAX_DESCRIPTION} characters", details={"field": "description"})
    return text.replace("\0", "")


async def _row(session: AsyncSession, name: str) -> CustomRole:
    row = (await session.execute(select(CustomRole).where(CustomRole.name == name))).scalar_one_or_none()
    if row is None:
        raise NotFound("there is no such role")
    return row


def _role(row: CustomRole) -> Role:
    return Role(name=row.name, description=row.description, grants=load_grants(row.grants))
