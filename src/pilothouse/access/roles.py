"""The roles that are always there."""

from collections.abc import Mapping
from dataclasses import dataclass

from pilothouse.access.permissions import Grant, Permission

ADMIN = "admin"
DEVELOPER = "developer"
VIEWER = "viewer"


@dataclass(frozen=True, kw_only=True, slots=True)
class Role:
    """A named set of grants. A built-in one can be neither changed nor deleted."""

    name: str
    description: str
    grants: tuple[Grant, ...]
    builtin: bool = False


def _grants(*permissions: Permission) -> tuple[Grant, ...]:
    return tuple(Grant(permission.value) for permission in permissions)


BUILTIN_ROLES: Mapping[str, Role] = {
    role.name: role
    for role in (
        Role(name=ADMIN, description="Everything", grants=(Grant("*"),), builtin=True),
        Role(
            name=DEVELOPER,
            description="Read logs, metrics, containers, alerts and dashboards",
            grants=_grants(
                Permission.LOGS_READ,
                Permission.METRICS_READ,
                Permission.CONTAINERS_READ,
                Permission.ALERTS_READ,
                Permission.DASHBOARDS_READ,
            ),
            builtin=True,
        ),
        Role(name=VIEWER, description="Look at dashboards", grants=_grants(Permission.DASHBOARDS_READ), builtin=True),
    )
}


def is_administrator(grants: tuple[Grant, ...]) -> bool:
    """Whether these grants hold everything, without a scope."""
    return Grant("*") in grants
