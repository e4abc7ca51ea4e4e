"""The whole URL table. A route that is not in it does not exist; one without a need does not start."""

from pilothouse.access import Permission
from pilothouse.audit import Action
from pilothouse.gateway.api.v1 import api_keys, audit, auth, roles, sessions, setup, system, users
from pilothouse.gateway.table import Kind, Needs, Route

SYSTEM = (
    Route(method="GET", path="/health", needs=Needs.OPEN, endpoint=system.health, tag="system"),
    Route(method="GET", path="/ready", needs=Needs.OPEN, endpoint=system.ready, tag="system"),
    Route(method="GET", path="/metrics", needs=Permission.METRICS_READ, endpoint=system.metrics, kind=Kind.RAW,
          action=Action.METRICS_READ, tag="system"),
    Route(method="GET", path="/api/v1/system/info", needs=Needs.LOGIN, endpoint=system.info, tag="system"),
)  # fmt: skip

AUTH = (
    Route(method="GET", path="/api/v1/setup", needs=Needs.OPEN, endpoint=setup.get_setup, tag="setup"),
    Route(method="POST", path="/api/v1/setup", needs=Needs.OPEN, endpoint=setup.finish_setup, status=201, tag="setup"),
    Route(method="POST", path="/api/v1/auth/login", needs=Needs.OPEN, endpoint=auth.login, tag="auth"),
    Route(method="POST", path="/api/v1/auth/refresh", needs=Needs.OPEN, endpoint=auth.refresh, tag="auth"),
    Route(method="POST", path="/api/v1/auth/logout", needs=Needs.OPEN, endpoint=auth.logout, status=204, tag="auth"),
    Route(method="GET", path="/api/v1/auth/me", needs=Needs.LOGIN, endpoint=auth.me, tag="auth"),
    Route(method="POST", path="/api/v1/auth/ws-ticket", needs=Needs.LOGIN, endpoint=auth.ws_ticket, tag="auth"),
    Route(method="POST", path="/api/v1/auth/password", needs=Needs.OWN, endpoint=auth.change_password, status=204,
          tag="auth"),
    Route(method="GET", path="/api/v1/auth/sessions", needs=Needs.OWN, endpoint=sessions.list_sessions, tag="auth"),
    Route(method="DELETE", path="/api/v1/auth/sessions/{session_id}", needs=Needs.OWN, endpoint=sessions.end_session,
          status=204, tag="auth"),
    Route(method="GET", path="/api/v1/auth/api-keys", needs=Needs.OWN, endpoint=api_keys.list_keys, tag="auth"),
    Route(method="POST", path="/api/v1/auth/api-keys", needs=Needs.OWN, endpoint=api_keys.create_key, status=201,
          tag="auth"),
    Route(method="DELETE", path="/api/v1/auth/api-keys/{key_id}", needs=Needs.OWN, endpoint=api_keys.revoke_key,
          status=204, tag="auth"),
)  # fmt: skip

USERS = tuple(
    Route(method=method, path=path, needs=Permission.USERS_WRITE, endpoint=endpoint, status=status, tag="users")
    for method, path, endpoint, status in (
        ("GET", "/api/v1/users", users.list_users, 200),
        ("POST", "/api/v1/users", users.create_user, 201),
        ("GET", "/api/v1/users/{user_id}", users.get_user, 200),
        ("PATCH", "/api/v1/users/{user_id}", users.update_user, 200),
        ("DELETE", "/api/v1/users/{user_id}", users.delete_user, 204),
        ("GET", "/api/v1/users/{user_id}/access", users.get_access, 200),
        ("GET", "/api/v1/roles", roles.list_roles, 200),
        ("POST", "/api/v1/roles", roles.create_role, 201),
        ("GET", "/api/v1/roles/{name}", roles.get_role, 200),
        ("PATCH", "/api/v1/roles/{name}", roles.update_role, 200),
        ("DELETE", "/api/v1/roles/{name}", roles.delete_role, 204),
    )
)

AUDIT = tuple(
    Route(method=method, path=path, needs=Permission.AUDIT_READ, endpoint=endpoint, tag="audit")
    for method, path, endpoint in (
        ("GET", "/api/v1/audit", audit.list_entries),
        ("GET", "/api/v1/audit/status", audit.get_status),
        ("POST", "/api/v1/audit/verify", audit.verify),
    )
)

ROUTES: tuple[Route, ...] = (
    *SYSTEM,
    *AUTH,
    *USERS,
    *AUDIT,
)
