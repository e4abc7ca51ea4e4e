"""The one rule of access, asked both ways: "may she", and "what may she"."""

from collections.abc import Iterable, Mapping

from pilothouse.access.permissions import Grant, Permission
from pilothouse.access.principal import Principal
from pilothouse.access.scopes import Scope, widest, within
from pilothouse.core.errors import Forbidden, Unauthenticated


def visible_scopes(principal: Principal, permission: Permission) -> tuple[Scope, ...]:
    """The scopes in which `principal` holds `permission`; an object may be seen if it lies within any of them.

    No scope means nothing; the empty scope, then the only one, means everything.
    """
    return widest([grant.scope for grant in principal.grants if grant.covers(permission)])


def authorize(
    principal: Principal | None, permission: Permission, labels: Mapping[str, str] | None = None
) -> Principal:
    """Give the principal back where it holds `permission` for an object with `labels`.

    With no `labels` the question is whether it holds the permission for any object at all; the caller then narrows
    what it shows by visible_scopes. Raises Unauthenticated where there is no principal, Forbidden otherwise.
    """
    if principal is None:
        raise Unauthenticated("sign in first")
    scopes = visible_scopes(principal, permission)
    if not scopes:
        raise Forbidden(f"this needs {permission.value}", details={"permission": permission.value})
    if labels is not None and not any(within(scope, labels) for scope in scopes):
        raise Forbidden(f"your {permission.value} does not reach this", details={"permission": permission.value})
    return principal


def check_delegation(principal: Principal, grants: Iterable[Grant]) -> None:
    """Raises Forbidden where `principal` does not hold all of `grants`: nobody gives, or takes, more than they have."""
    for grant in grants:
        if not any(held.contains(grant) for held in principal.grants):
            raise Forbidden(
                f"you can't decide over {grant}, which you do not hold yourself",
                code="BEYOND_YOUR_PERMISSIONS",
                details={"permission": str(grant)},
            )


def intersect(left: Iterable[Grant], right: Iterable[Grant]) -> tuple[Grant, ...]:
    """The grants of what both sides allow: an API key's with its owner's."""
    others = tuple(right)
    both = (one & other for one in left for other in others)
    return tuple(dict.fromkeys(grant for grant in both if grant is not None))
