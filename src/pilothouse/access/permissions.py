"""The grammar of permissions: `noun:verb`, `noun:*` or `*`, with an optional scope `{label="value", …}`."""

from dataclasses import dataclass
from enum import StrEnum

from pilothouse.core.labels import Matcher


class Permission(StrEnum):
    """Everything that can be allowed. A route names one of these."""

    LOGS_READ = "logs:read"
    LOGS_WRITE = "logs:write"
    METRICS_READ = "metrics:read"
    METRICS_WRITE = "metrics:write"
    CONTAINERS_READ = "containers:read"
    CONTAINERS_ACT = "containers:act"
    TERMINAL_OPEN = "terminal:open"
    DASHBOARDS_READ = "dashboards:read"
    DASHBOARDS_WRITE = "dashboards:write"
    ALERTS_READ = "alerts:read"
    ALERTS_WRITE = "alerts:write"
    AUDIT_READ = "audit:read"
    USERS_WRITE = "users:write"
    PROXY_GRAFANA = "proxy:grafana"

    @property
    def noun(self) -> str:
        """What it is about."""
        return self.value.partition(":")[0]


@dataclass(frozen=True, slots=True)
class Grant:
    """One granted permission. `name` is `noun:verb`, `noun:*` or `*`; an empty scope means everything."""

    name: str
    scope: tuple[Matcher, ...] = ()

    def covers(self, permission: Permission) -> bool:
        """Whether this grant speaks of `permission`, whatever its scope."""
        return self.name in {"*", f"{permission.noun}:*", permission.value}

    def __str__(self) -> str:
        """The text form, which parse_grant reads back."""
        return self.name + ("{" + ", ".join(map(str, self.scope)) + "}" if self.scope else "")
