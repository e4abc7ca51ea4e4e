"""The whole URL table. A route that is not in it does not exist; one without a need does not start."""

from pilothouse.access import Permission
from pilothouse.audit import Action
from pilothouse.gateway.api.v1 import api_keys, audit, auth, docs, logs, roles, sessions, setup, system, users
from pilothouse.gateway.proxy import loki
from pilothouse.gateway.table import Kind, Needs, Route
from pilothouse.gateway.ws import logs as live

SYSTEM = (
    Route(method="GET", path="/health", needs=Needs.OPEN, endpoint=system.health, tag="system"),
    Route(method="GET", path="/ready", needs=Needs.OPEN, endpoint=system.ready, tag="system"),
    Route(method="GET", path="/metrics", needs=Permission.METRICS_READ, endpoint=system.metrics, kind=Kind.RAW,
          action=Action.METRICS_READ, tag="system"),
    Route(method="GET", path="/api/v1/system/info", needs=Needs.LOGIN, endpoint=system.info, tag="system"),
    Route(method="GET", path="/api/v1/openapi.json", needs=Needs.OPEN, endpoint=docs.openapi, kind=Kind.RAW),
    Route(method="GET", path="/api/docs", needs=Needs.OPEN, endpoint=docs.page, kind=Kind.RAW),
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

# Those with a query first: `services` and `query` are not taken for the id of a service.
LOGS = tuple(
    Route(method="GET", path=f"/api/v1/logs/{path}", needs=Permission.LOGS_READ, endpoint=endpoint, action=action,
          tag="logs")
    for path, endpoint, action in (
        ("services", logs.services_list, Action.LOGS_LIST),
        ("labels", logs.labels, Action.LOGS_LIST),
        ("query", logs.query, Action.LOGS_QUERY),
        ("query/histogram", logs.query_histogram, Action.LOGS_QUERY),
        ("query/fields", logs.query_fields, Action.LOGS_QUERY),
        ("query/context", logs.query_context, Action.LOGS_READ),
        ("query/export", logs.query_export, Action.LOGS_EXPORT),
        ("{service_id}", logs.lines, Action.LOGS_READ),
        ("{service_id}/histogram", logs.histogram, Action.LOGS_READ),
        ("{service_id}/fields", logs.fields, Action.LOGS_READ),
        ("{service_id}/context", logs.context, Action.LOGS_READ),
        ("{service_id}/export", logs.export, Action.LOGS_EXPORT),
    )
)  # fmt: skip

LIVE = tuple(
    Route(method="GET", path=path, needs=Permission.LOGS_READ, endpoint=endpoint, kind=Kind.WEBSOCKET,
          action=Action.LOGS_TAIL, tag="logs")
    for path, endpoint in (
        ("/ws/logs", live.tail),
        ("/ws/logs/{service_id}", live.tail),
        ("/loki/api/v1/tail", loki.tail),
    )
)  # fmt: skip

LOKI = (
    *(
        Route(method="POST", path=path, needs=Permission.LOGS_WRITE, endpoint=loki.write, kind=Kind.RAW,
              action=Action.LOGS_PUSH, tag="loki")
        for path in ("/loki/api/v1/push", "/otlp/v1/logs")
    ),
    *(
        Route(method=method, path="/loki/api/v1/{path:path}", needs=Permission.LOGS_READ, endpoint=loki.read,
              kind=Kind.RAW, action=Action.LOGS_QUERY, tag="loki")
        for method in ("GET", "POST")
    ),
)  # fmt: skip

ROUTES: tuple[Route, ...] = (
    *SYSTEM,
    *AUTH,
    *USERS,
    *AUDIT,
    *LOGS,
    *LIVE,
    *LOKI,
)
