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

    @property
    def has_scope(self) -> bool:
        """Whether its objects carry labels, so that a scope can narrow it."""
        return self.noun in SCOPED_NOUNS


SCOPED_NOUNS = frozenset({"logs", "metrics", "containers", "terminal", "alerts"})
"""What carries labels. A user, the audit trail or a dashboard has none: half of those can't be given."""


@dataclass(frozen=True, slots=True)
class Grant:
    """One granted permission. `name` is `noun:verb`, `noun:*` or `*`; an empty scope means everything."""

    name: str
    scope: tuple[Matcher, ...] = ()

    def covers(self, permission: Permission) -> bool:
        """Whether this grant speaks of `permission`, for some object at least.

        A scoped grant never speaks of what has no labels: `*{project="shop"}` does not make an administrator.
        """
        if self.scope and not permission.has_scope:
            return False
        return self.name in {"*", f"{permission.noun}:*", permission.value}

    def contains(self, other: "Grant") -> bool:
        """Whether all that `other` allows is allowed by this grant too, as far as their texts show.

        A scope is within another when it repeats all of its matchers: regexes are not compared with one another,
        so that the answer errs on the side of no.
        """
        return names_within(other.name, self.name) and set(self.scope) <= set(other.scope)

    def __and__(self, other: "Grant") -> "Grant | None":
        """What both allow, or None where that is nothing."""
        if names_within(self.name, other.name):
            name = self.name
        elif names_within(other.name, self.name):
            name = other.name
        else:
            return None
        scope = tuple(dict.fromkeys((*self.scope, *other.scope)))
        if scope and name != "*" and name.partition(":")[0] not in SCOPED_NOUNS:
            return None
        return Grant(name, scope)

    def __str__(self) -> str:
        """The text form, which parse_grant reads back."""
        return self.name + ("{" + ", ".join(map(str, self.scope)) + "}" if self.scope else "")


def names_within(inner: str, outer: str) -> bool:
    """Whether the permission name `inner` says no more than `outer`: `logs:read` ⊂ `logs:*` ⊂ `*`."""
    return outer in ("*", inner) or (outer.endswith(":*") and inner.startswith(outer[:-1]))
