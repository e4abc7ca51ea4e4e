"""What a principal may do, and what it may see: permissions, scopes, roles and the one `authorize`."""

from pilothouse.access.authorize import authorize, check_delegation, intersect, visible_scopes
from pilothouse.access.grants import parse_grant, parse_grants
from pilothouse.access.permissions import Grant, Permission
from pilothouse.access.principal import Principal, PrincipalKind
from pilothouse.access.roles import BUILTIN_ROLES, Role, is_administrator
from pilothouse.access.scope import narrow_selector, scope_query
from pilothouse.access.scopes import Scope, within

__all__ = [
    "BUILTIN_ROLES",
    "Grant",
    "Permission",
    "Principal",
    "PrincipalKind",
    "Role",
    "Scope",
    "authorize",
    "check_delegation",
    "intersect",
    "is_administrator",
    "narrow_selector",
    "parse_grant",
    "parse_grants",
    "scope_query",
    "visible_scopes",
    "within",
]
