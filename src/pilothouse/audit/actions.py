"""What can be written into the audit trail."""

from enum import StrEnum


class Action(StrEnum):
    """`noun.verb`, lower case, words joined by `_`. The noun is the kind of thing, the verb what was done to it."""

    SYSTEM_START = "system.start"
    SYSTEM_READ = "system.read"
    SETUP_LINK = "setup.link"
    SETUP_FINISH = "setup.finish"

    AUTH_LOGIN = "auth.login"
    AUTH_LOGOUT = "auth.logout"
    AUTH_REFRESH = "auth.refresh"
    AUTH_REUSE = "auth.reuse"
    AUTH_TICKET = "auth.ticket"
    AUTH_PASSWORD = "auth.password"  # noqa: S105 - an action's name
    AUTH_ME = "auth.me"

    ACCESS_DENIED = "access.denied"

    SESSION_LIST = "session.list"
    SESSION_REVOKE = "session.revoke"
    API_KEY_LIST = "api_key.list"
    API_KEY_CREATE = "api_key.create"
    API_KEY_REVOKE = "api_key.revoke"

    USER_LIST = "user.list"
    USER_READ = "user.read"
    USER_CREATE = "user.create"
    USER_UPDATE = "user.update"
    USER_DELETE = "user.delete"
    ROLE_LIST = "role.list"
    ROLE_READ = "role.read"
    ROLE_CREATE = "role.create"
    ROLE_UPDATE = "role.update"
    ROLE_DELETE = "role.delete"

    AUDIT_READ = "audit.read"
    AUDIT_STATUS = "audit.status"
    AUDIT_VERIFY = "audit.verify"

    LOGS_LIST = "logs.list"
    LOGS_READ = "logs.read"
    LOGS_QUERY = "logs.query"
    LOGS_TAIL = "logs.tail"
    LOGS_EXPORT = "logs.export"
    LOGS_PUSH = "logs.push"

    METRICS_READ = "metrics.read"
    PROXY_REQUEST = "proxy.request"


class Outcome(StrEnum):
    """How it came out. An action that changes something is written as `started` before, and again after."""

    STARTED = "started"
    OK = "ok"
    DENIED = "denied"
    FAILED = "failed"
