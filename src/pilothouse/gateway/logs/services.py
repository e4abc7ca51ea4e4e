"""Which services log, how much, and when they were last heard: as far as the caller may see."""

import asyncio
from collections import defaultdict

import msgspec

from pilothouse.access import Permission, Principal, scope_query, visible_scopes
from pilothouse.backends.loki import LokiClient, series_of
from pilothouse.core.labels import Matcher, MatchOp
from pilothouse.core.times import DAY, HOUR, MINUTE, format_instant, now_ns
from pilothouse.gateway.logs.lines import DETECTED, level_of
from pilothouse.query.logql import ast

RATE_MINUTES = 12
"""Points of the rate: what a small curve beside a name can show."""
ACTIVE = 5 * MINUTE
"""A service that was heard within this time is active."""
AT_ONCE = 8
"""Look-ups of a last line under way together."""
EVERYTHING = ast.LogQuery(matchers=(Matcher("service_name", MatchOp.REGEX, ".+"),))


class Service(msgspec.Struct, kw_only=True):
    """One service. `status` is active, quiet (not heard for five minutes) or silent (for a day)."""

    id: str
    name: str
    project: str = ""
    hosts: list[str] = msgspec.field(default_factory=list)
    containers: list[str] = msgspec.field(default_factory=list)
    status: str = "silent"
    last_seen: str | None = None
    lines_24h: int = 0
    levels: dict[str, int] = msgspec.field(default_factory=dict)
    rate: list[int] = msgspec.field(default_factory=list)


async def list_services(loki: LokiClient, principal: Principal, *, retention: int) -> list[Service]:
    """The services in the order of project and name. Rates are lines a minute, the oldest first."""
    if not visible_scopes(principal, Permission.LOGS_READ):
        return []
    now = now_ns()
    counted, rates, kept = await asyncio.gather(
        loki.query(_counts(principal, DAY, ("service_name", "project", "container", "host", DETECTED)), at=now),
        loki.query_range(
            _counts(principal, MINUTE, ("service_name", "project")),
            start=now - (RATE_MINUTES - 1) * MINUTE,
            end=now + 1,
            step_ms=60_000,
        ),
        loki.series([scope_query(principal, EVERYTHING)], start=now - min(retention, 30 * DAY), end=now + 10 * MINUTE),
    )
    found: dict[str, Service] = {}
    for labels in kept:
        _of(found, labels)
    for series in series_of(counted):
        service = _of(found, series.metric)
        count = int(float(series.value[1])) if series.value else 0
        level = level_of(series.metric.get(DETECTED, ""))
        service.lines_24h += count
        service.levels[level] = service.levels.get(level, 0) + count
    points: dict[str, dict[int, int]] = defaultdict(dict)
    for series in series_of(rates):
        of = points[series.metric.get("service_name", "")]
        for seconds, value in series.values:
            minutes_ago = round((now / 1e9 - seconds) / 60)
            of[minutes_ago] = of.get(minutes_ago, 0) + int(float(value))
    limit = asyncio.Semaphore(AT_ONCE)

    async def complete(service: Service) -> None:
        of = points[service.id]
        service.rate = [of.get(ago, 0) for ago in range(RATE_MINUTES - 1, -1, -1)]
        async with limit:
            last = await _last_seen(loki, principal, service, now, retention)
        if last is not None:
            service.last_seen = format_instant(last)
            service.status = "active" if now - last < ACTIVE else "quiet" if now - last < DAY else "silent"

    await asyncio.gather(*(complete(service) for service in found.values()))
    return sorted(found.values(), key=lambda service: (service.project, service.name))


def _of(found: dict[str, Service], labels: dict[str, str]) -> Service:
    name = labels.get("service_name", "")
    service = found.setdefault(name, Service(id=name, name=name, levels={}))
    service.project = service.project or labels.get("project", "")
    for value, known in ((labels.get("container"), service.containers), (labels.get("host"), service.hosts)):
        if value and value not in known:
            known.append(value)
            known.sort()
    return service


def _counts(principal: Principal, interval: int, labels: tuple[str, ...]) -> str:
    counted = ast.RangeAggregation(op="count_over_time", range=ast.LogRange(query=EVERYTHING, interval=interval))
    return scope_query(principal, ast.VectorAggregation(op="sum", expr=counted, grouping=ast.Grouping(labels=labels)))


async def _last_seen(loki: LokiClient, principal: Principal, service: Service, now: int, retention: int) -> int | None:
    query = scope_query(principal, ast.LogQuery(matchers=(Matcher("service_name", MatchOp.EQUAL, service.id),)))
    for reach in (HOUR, DAY, max(retention, DAY)):
        if reach == HOUR and not service.lines_24h:
            continue
        streams = await loki.streams(query, start=now - reach, end=now + 10 * MINUTE, limit=1, forward=False)
        if streams:
            return max(int(entry.ts) for stream in streams for entry in stream.values)
    return None
