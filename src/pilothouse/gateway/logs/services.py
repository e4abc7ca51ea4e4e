"""Which services log, how much, and when they were last heard: as far as the caller may see."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import msgspec

from pilothouse.access import Grant, Permission, Principal, scope_query, visible_scopes
from pilothouse.backends.loki import LokiClient, Result, Series, series_of
from pilothouse.core.errors import Forbidden
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
    parts = parts_of(principal)
    now = now_ns()
    kept = await label_sets(loki, parts, start=now - min(retention, 30 * DAY), end=now + 10 * MINUTE)
    # Where scopes overlap, each stream is counted by all of its labels, so that what comes twice is known.
    apart = tuple(sorted({name for labels in kept for name in labels})) if len(parts) > 1 else ()
    counted, rates = await asyncio.gather(
        _each(parts, lambda part: loki.query(
            _counts(part, DAY, apart or ("service_name", "project", "container", "host"), DETECTED), at=now
        )),
        _each(parts, lambda part: loki.query_range(
            _counts(part, MINUTE, apart or ("service_name", "project")),
            start=now - (RATE_MINUTES - 1) * MINUTE, end=now + 1, step_ms=60_000,
        )),
    )  # fmt: skip
    found: dict[str, Service] = {}
    for labels in kept:
        _of(found, labels)
    for series in counted:
        service = _of(found, series.metric)
        count = int(float(series.value[1])) if series.value else 0
        level = level_of(series.metric.get(DETECTED, ""))
        service.lines_24h += count
        service.levels[level] = service.levels.get(level, 0) + count
    points: dict[str, dict[int, int]] = defaultdict(dict)
    for series in rates:
        of = points[series.metric.get("service_name", "")]
        for seconds, value in series.values:
            minutes_ago = round((now / 1e9 - seconds) / 60)
            of[minutes_ago] = of.get(minutes_ago, 0) + int(float(value))
    limit = asyncio.Semaphore(AT_ONCE)

    async def complete(service: Service) -> None:
        of = points[service.id]
        service.rate = [of.get(ago, 0) for ago in range(RATE_MINUTES - 1, -1, -1)]
        async with limit:
            last = max([await _last_seen(loki, part, service, now, retention) for part in parts])
        if last:
            service.last_seen = format_instant(last)
            service.status = "active" if now - last < ACTIVE else "quiet" if now - last < DAY else "silent"

    await asyncio.gather(*(complete(service) for service in found.values()))
    return sorted(found.values(), key=lambda service: (service.project, service.name))


def parts_of(principal: Principal) -> list[Principal]:
    """The principal, or one for each of its scopes where one query can't say them all."""
    try:
        scope_query(principal, EVERYTHING)
    except Forbidden:
        scopes = visible_scopes(principal, Permission.LOGS_READ)
        return [replace(principal, grants=(Grant(Permission.LOGS_READ.value, scope),)) for scope in scopes]
    return [principal]


async def label_sets(loki: LokiClient, parts: Sequence[Principal], *, start: int, end: int) -> list[dict[str, str]]:
    """The labels of the streams that any of `parts` may see, each stream once."""
    found = await asyncio.gather(
        *(loki.series([scope_query(part, EVERYTHING)], start=start, end=end) for part in parts)
    )
    return list({frozenset(labels.items()): labels for part in found for labels in part}.values())


async def _each(parts: Sequence[Principal], ask: Callable[[Principal], Awaitable[Result]]) -> list[Series]:
    """The series of an answer for each part, those of the same labels once."""
    answers = await asyncio.gather(*map(ask, parts))
    return list({frozenset(one.metric.items()): one for answer in answers for one in series_of(answer)}.values())


def _of(found: dict[str, Service], labels: dict[str, str]) -> Service:
    name = labels.get("service_name", "")
    service = found.setdefault(name, Service(id=name, name=name, levels={}))
    service.project = service.project or labels.get("project", "")
    for value, known in ((labels.get("container"), service.containers), (labels.get("host"), service.hosts)):
        if value and value not in known:
            known.append(value)
            known.sort()
    return service


def _counts(principal: Principal, interval: int, labels: tuple[str, ...], *more: str) -> str:
    counted = ast.RangeAggregation(op="count_over_time", range=ast.LogRange(query=EVERYTHING, interval=interval))
    return scope_query(
        principal, ast.VectorAggregation(op="sum", expr=counted, grouping=ast.Grouping(labels=(*labels, *more)))
    )


async def _last_seen(loki: LokiClient, principal: Principal, service: Service, now: int, retention: int) -> int:
    """The time of the newest line; zero where there is none."""
    query = scope_query(principal, ast.LogQuery(matchers=(Matcher("service_name", MatchOp.EQUAL, service.id),)))
    for reach in (HOUR, DAY, max(retention, DAY)):
        if reach == HOUR and not service.lines_24h:
            continue
        streams = await loki.streams(query, start=now - reach, end=now + 10 * MINUTE, limit=1, forward=False)
        if streams:
            return max(int(entry.ts) for stream in streams for entry in stream.values)
    return 0
