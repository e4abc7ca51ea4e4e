"""Services, lines, context, export, histogram, fields, and LogQL.

Each of the five reading routes exists twice: for a service with filters, and for a LogQL query that gives lines.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Depends, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from pilothouse.access import Principal, scope_query
from pilothouse.access.scope import narrow
from pilothouse.backends.loki import series_of
from pilothouse.core.cursor import Cursor
from pilothouse.core.errors import InvalidRequest, NotFound
from pilothouse.core.times import MINUTE, SECOND, format_instant, parse_span
from pilothouse.gateway.dependencies import PrincipalOf, ServicesOf
from pilothouse.gateway.logs import asked
from pilothouse.gateway.logs.export import MEDIA_TYPES, SUFFIXES, ExportFormat, encoded
from pilothouse.gateway.logs.fields import fields_of
from pilothouse.gateway.logs.lines import LogLine
from pilothouse.gateway.logs.reader import LogReader
from pilothouse.gateway.logs.services import label_sets, list_services, parts_of
from pilothouse.gateway.services import Services
from pilothouse.query import logql
from pilothouse.query.logql import ast

MOST_BUCKETS, MOST_POINTS = 500, 11_000
FIELD_LINES = 1000
"""The newest lines of a result from which its fields are told."""

Start = Annotated[str | None, Query(description="RFC 3339 or nanoseconds; 15 minutes before the end if left out")]
End = Annotated[str | None, Query(description="RFC 3339 or nanoseconds, itself not in the range; now if left out")]
Limit = Annotated[int, Query(ge=1, le=asked.MOST_LIMIT)]
Offset = Annotated[int, Query(ge=0, le=asked.MOST_LIMIT)]
Direction = Literal["backward", "forward"]
LogQL = Annotated[str, Query(min_length=1, max_length=16_384, description="LogQL")]
Buckets = Annotated[int, Query(ge=1, le=MOST_BUCKETS)]
Around = Annotated[int, Query(ge=0, le=1000)]
CursorText = Annotated[str | None, Query(description="from an earlier answer's next_cursor, or a line's own cursor")]


class Line(BaseModel):
    """One line; `cursor` names it for good."""

    timestamp: str
    level: str
    service: str
    message: str
    metadata: dict[str, str]
    cursor: str


class Searched(BaseModel):
    """The range that was searched; `to` is not in it."""

    model_config = {"populate_by_name": True}
    from_: Annotated[str, Field(alias="from")]
    to: str


class Lines(BaseModel):
    """A page. `total` counts all matches of the range; where not `total_exact` it is a lower bound."""

    logs: list[Line]
    total: int
    total_exact: bool
    has_more: bool
    next_cursor: str | None
    searched: Searched
    query: str
    took_ms: float


class SeriesPoints(BaseModel):
    """One series of a metric query: its labels, and points of [seconds, value]."""

    metric: dict[str, str]
    values: list[tuple[float, str]]


class QueryResult(BaseModel):
    """A page of lines where the query gives lines, else `resultType` matrix and `result`."""

    resultType: Literal["streams", "matrix"]  # noqa: N815 - as Loki spells it
    result: list[SeriesPoints] | None = None
    logs: list[Line] | None = None
    total: int | None = None
    total_exact: bool | None = None
    has_more: bool | None = None
    next_cursor: str | None = None
    searched: Searched
    query: str
    took_ms: float


class ServiceInfo(BaseModel):
    """A service the caller may see; `rate` is lines a minute of the last twelve minutes, the oldest first."""

    id: str
    name: str
    project: str
    hosts: list[str]
    containers: list[str]
    status: Literal["active", "quiet", "silent"]
    last_seen: str | None
    lines_24h: int
    levels: dict[str, int]
    rate: list[int]


class Bucket(BaseModel):
    """Counts by level from `at` for the histogram's step."""

    at: str
    levels: dict[str, int]


class Histogram(BaseModel):
    """Buckets of `step_ms` milliseconds, the empty ones included."""

    step_ms: int
    buckets: list[Bucket]
    searched: Searched


class Context(BaseModel):
    """The lines around one, each list oldest first."""

    before: list[Line]
    line: Line
    after: list[Line]


class FieldValueInfo(BaseModel):
    """A value and how many lines have it."""

    value: str
    count: int


class FieldInfo(BaseModel):
    """A field, and its most frequent values; `where` is how a filter names its kind."""

    name: str
    where: Literal["label", "metadata", "field"]
    count: int
    distinct: int
    values: list[FieldValueInfo]


class Fields(BaseModel):
    """Fields of the newest lines of a result."""

    fields: list[FieldInfo]
    lines: int


class Filters:
    """The filters of a service's lines, as query parameters."""

    def __init__(
        self,
        service_id: str,
        level: Annotated[list[str] | None, Query(description="DEBUG, INFO, WARN, ERROR; may be repeated")] = None,
        search: Annotated[str, Query(max_length=asked.MOST_SEARCH, description="text, taken as it is")] = "",
        regex: Annotated[bool, Query(description="search is a regular expression of RE2")] = False,
        case: Annotated[bool, Query(description="search minds upper and lower case")] = False,
        filter: Annotated[  # noqa: A002 - the parameter's name on the wire
            list[str] | None, Query(description="label|metadata|field:is|not:name=value; may be repeated")
        ] = None,
    ) -> None:
        self.query = asked.query_of(
            service_id, levels=level or (), search=search, regex=regex, case=case, filters=filter or ()
        )


def json_response(value: Any) -> Response:
    """A response of msgspec's making: a page of lines is 300 kB, and goes through no second model."""
    return Response(msgspec.json.encode(value), media_type="application/json")


def reader_for(services: Services, principal: Principal, query: ast.LogQuery) -> LogReader:
    """A reader of `query` as far as the principal may see. Raises Forbidden."""
    expr = narrow(principal, query).expr
    assert isinstance(expr, ast.LogQuery)  # noqa: S101 - narrowing keeps the kind
    return LogReader(services.loki, expr)


async def services_list(services: ServicesOf, principal: PrincipalOf) -> list[ServiceInfo]:
    """The services that log, with what the caller may see of them."""
    found = await list_services(services.loki, principal, retention=services.settings.retention)
    return json_response(found)  # type: ignore[return-value]


async def _page(
    services: Services,
    principal: Principal,
    query: ast.LogQuery,
    *,
    span: asked.Span,
    limit: int,
    direction: Direction,
    cursor: str | None,
    offset: int,
) -> dict[str, Any]:
    began = time.perf_counter()
    reader = reader_for(services, principal, query)
    place = Cursor.parse(cursor) if cursor else None
    page, total = await asyncio.gather(
        reader.page(span, limit=limit, forward=direction == "forward", cursor=place, offset=offset),
        reader.total(span, at_least=0),
    )
    return {
        "logs": page.lines,
        "total": max(total.count, len(page.lines)),
        "total_exact": total.exact,
        "has_more": page.has_more,
        "next_cursor": page.next_cursor,
        "searched": searched(span),
        "query": logql.format(query),
        "took_ms": round((time.perf_counter() - began) * 1000, 1),
    }


def searched(span: asked.Span) -> dict[str, str]:
    """The range as the answers tell it."""
    return {"from": format_instant(span.start), "to": format_instant(span.end)}


async def lines(
    services: ServicesOf,
    principal: PrincipalOf,
    service_id: str,
    filters: Annotated[Filters, Depends()],
    start_time: Start = None,
    end_time: End = None,
    limit: Limit = 1000,
    direction: Direction = "backward",
    offset: Offset = 0,
    cursor: CursorText = None,
) -> Lines:
    """A service's lines, the newest first, or the oldest first with direction=forward."""
    span = asked.span(start_time, end_time)
    answer = await _page(
        services, principal, filters.query, span=span, limit=limit, direction=direction, cursor=cursor, offset=offset
    )
    if not answer["logs"] and cursor is None:
        await known(services, principal, service_id)
    return json_response(answer)  # type: ignore[return-value]


async def known(services: Services, principal: Principal, service_id: str) -> None:
    """Raises NotFound for a service that never logged, as far as the caller may see and retention reaches."""
    if service_id == asked.ALL:
        return
    span = asked.span(None, None, default=services.settings.retention)
    reader = reader_for(services, principal, asked.query_of(service_id))
    end = asked.Span(start=span.start, end=span.end + 10 * MINUTE)
    if not (await reader.page(end, limit=1)).lines:
        raise NotFound(f"no service {service_id!r:.100} has logged", code="UNKNOWN_SERVICE")


async def query(
    services: ServicesOf,
    principal: PrincipalOf,
    query: LogQL,
    start: Start = None,
    end: End = None,
    limit: Limit = 1000,
    step: Annotated[str | None, Query(description="seconds, or a duration; a 250th of the range if left out")] = None,
    direction: Direction = "backward",
    cursor: CursorText = None,
) -> QueryResult:
    """Ask in LogQL: a page of lines, or a matrix of points."""
    expr = logql.parse(query)
    span = asked.span(start, end)
    if isinstance(expr, ast.LogQuery):
        answer = await _page(
            services, principal, expr, span=span, limit=limit, direction=direction, cursor=cursor, offset=0
        )
        return json_response({"resultType": "streams", **answer})  # type: ignore[return-value]
    began = time.perf_counter()
    step_ms = read_step(step, span)
    result = await services.loki.query_range(
        scope_query(principal, expr), start=span.start, end=span.end, step_ms=step_ms
    )
    return json_response(  # type: ignore[return-value]
        {
            "resultType": "matrix",
            "result": [{"metric": series.metric, "values": series.values} for series in series_of(result)],
            "searched": searched(span),
            "query": logql.format(expr),
            "took_ms": round((time.perf_counter() - began) * 1000, 1),
        }
    )


def read_step(text: str | None, span: asked.Span) -> int:
    """Milliseconds between points. Raises InvalidRequest."""
    if text is None:
        step = max(SECOND, (span.end - span.start) // 250 // SECOND * SECOND)
    else:
        step = int(text) * SECOND if text.isascii() and text.isdigit() else parse_span(text, field="step")
    if step < 1_000_000 or (span.end - span.start) // step > MOST_POINTS:
        raise InvalidRequest(
            f"step must give at most {MOST_POINTS:,} points over the range",
            code="INVALID_STEP",
            details={"field": "step"},
        )
    return step // 1_000_000


async def _histogram(
    services: Services,
    principal: Principal,
    query: ast.LogQuery,
    span: asked.Span,
    buckets: int,
    service_id: str | None = None,
) -> Histogram:
    step_ms = nice_step((span.end - span.start) // buckets // 1_000_000)
    step = step_ms * 1_000_000
    aligned = asked.Span(start=span.start // step * step, end=-(-span.end // step) * step)
    counts = await reader_for(services, principal, query).histogram(aligned, step_ms=step_ms)
    if service_id is not None and not any(levels for _, levels in counts):
        await known(services, principal, service_id)
    return json_response(  # type: ignore[return-value]
        {
            "step_ms": step_ms,
            "buckets": [{"at": format_instant(at), "levels": levels} for at, levels in counts],
            "searched": searched(aligned),
        }
    )


NICE = [n * unit for unit in (1, 10, 100, 1000) for n in (1, 2, 5)] + [
    n * 1000 for n in (10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
]


def nice_step(least_ms: int) -> int:
    """The least step of a kind that people read, not under `least_ms`; whole days beyond one."""
    return next((step for step in NICE if step >= max(1, least_ms)), -(-least_ms // 86_400_000) * 86_400_000)


async def histogram(
    services: ServicesOf,
    principal: PrincipalOf,
    service_id: str,
    filters: Annotated[Filters, Depends()],
    start_time: Start = None,
    end_time: End = None,
    buckets: Buckets = 60,
) -> Histogram:
    """Counts by level over time, in at most so many buckets of a round length."""
    span = asked.span(start_time, end_time)
    return await _histogram(services, principal, filters.query, span, buckets, service_id)


async def query_histogram(
    services: ServicesOf,
    principal: PrincipalOf,
    query: LogQL,
    start: Start = None,
    end: End = None,
    buckets: Buckets = 60,
) -> Histogram:
    """The histogram of a LogQL query that gives lines."""
    return await _histogram(services, principal, asked.log_query(query), asked.span(start, end), buckets)


async def _context(
    services: Services, principal: Principal, query: ast.LogQuery, cursor: str, before: int, after: int
) -> Context:
    reader = reader_for(services, principal, query)
    older, line, newer = await reader.context(Cursor.parse(cursor), before=before, after=after)
    return json_response({"before": older, "line": line, "after": newer})  # type: ignore[return-value]


async def context(
    services: ServicesOf,
    principal: PrincipalOf,
    service_id: str,
    cursor: str,
    before: Around = 20,
    after: Around = 20,
) -> Context:
    """The service's lines before and after one, whatever filter found it."""
    return await _context(services, principal, asked.query_of(service_id), cursor, before, after)


async def query_context(
    services: ServicesOf, principal: PrincipalOf, query: LogQL, cursor: str, before: Around = 20, after: Around = 20
) -> Context:
    """The lines before and after one among those of a LogQL query."""
    return await _context(services, principal, asked.log_query(query), cursor, before, after)


async def _fields(
    services: Services, principal: Principal, query: ast.LogQuery, span: asked.Span, service_id: str | None = None
) -> Fields:
    page = await reader_for(services, principal, query).page(span, limit=FIELD_LINES)
    if service_id is not None and not page.lines:
        await known(services, principal, service_id)
    return json_response({"fields": fields_of(page.lines), "lines": len(page.lines)})  # type: ignore[return-value]


async def fields(
    services: ServicesOf,
    principal: PrincipalOf,
    service_id: str,
    filters: Annotated[Filters, Depends()],
    start_time: Start = None,
    end_time: End = None,
) -> Fields:
    """The fields that a service's newest lines have, with their most frequent values."""
    return await _fields(services, principal, filters.query, asked.span(start_time, end_time), service_id)


async def query_fields(
    services: ServicesOf, principal: PrincipalOf, query: LogQL, start: Start = None, end: End = None
) -> Fields:
    """The fields of a LogQL query's newest lines."""
    return await _fields(services, principal, asked.log_query(query), asked.span(start, end))


async def _export(
    services: Services,
    principal: Principal,
    query: ast.LogQuery,
    span: asked.Span,
    to: ExportFormat,
    service_id: str | None = None,
) -> StreamingResponse:
    pages = reader_for(services, principal, query).all_lines(span)
    # Before the status is sent: what can't be read must not look like an empty file.
    first = await anext(pages, None)
    if first is None and service_id is not None:
        await known(services, principal, service_id)

    async def all_pages() -> AsyncIterator[list[LogLine]]:
        if first is not None:
            yield first
            async for page in pages:
                yield page

    name = {None: "logs", asked.ALL: "all"}.get(service_id, service_id) or "logs"
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "_" for c in name)[:80]
    file = f"{safe}-{format_instant(span.start)[:19].replace(':', '')}.{SUFFIXES[to]}"
    return StreamingResponse(
        encoded(all_pages(), to),
        media_type=MEDIA_TYPES[to],
        headers={"Content-Disposition": f'attachment; filename="{file}"'},
    )


async def export(
    services: ServicesOf,
    principal: PrincipalOf,
    service_id: str,
    filters: Annotated[Filters, Depends()],
    format: ExportFormat = ExportFormat.NDJSON,  # noqa: A002 - the parameter's name on the wire
    start_time: Start = None,
    end_time: End = None,
) -> StreamingResponse:
    """All lines of the range, the oldest first, as a file that is made while it is sent."""
    return await _export(services, principal, filters.query, asked.span(start_time, end_time), format, service_id)


async def query_export(
    services: ServicesOf,
    principal: PrincipalOf,
    query: LogQL,
    format: ExportFormat = ExportFormat.NDJSON,  # noqa: A002 - the parameter's name on the wire
    start: Start = None,
    end: End = None,
) -> StreamingResponse:
    """All lines of a LogQL query, as a file."""
    return await _export(services, principal, asked.log_query(query), asked.span(start, end), format)


async def labels(
    services: ServicesOf, principal: PrincipalOf, start: Start = None, end: End = None
) -> dict[str, list[str]]:
    """The names of the labels, each with its values, of the streams that the caller may see."""
    span = asked.span(start, end, default=services.settings.retention)
    found: dict[str, set[str]] = {}
    for labels_ in await label_sets(services.loki, parts_of(principal), start=span.start, end=span.end):
        for name, value in labels_.items():
            found.setdefault(name, set()).add(value)
    return {name: sorted(values)[:1000] for name, values in sorted(found.items())}
