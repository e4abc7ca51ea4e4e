"""GET and POST /loki/api/v1/query, query_range and format_query."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pilothouse.core.times import now_ns
from pilothouse.query import logql
from pilothouse.query.logql import ast
from pilothouse.settings import Settings
from pilothouse.store.api import encode, params
from pilothouse.store.api.errors import Endpoint, in_lokis_form
from pilothouse.store.api.work import run
from pilothouse.store.logs.query.budget import Budget
from pilothouse.store.logs.query.errors import QueryRefused
from pilothouse.store.logs.query.lines import Line, select_lines
from pilothouse.store.logs.query.matrix import window
from pilothouse.store.logs.query.numbers import evaluate
from pilothouse.store.logs.store import LogStore

JSON = "application/json; charset=UTF-8"
BOTH = ["GET", "POST"]
_NOT_INSTANT = "log queries are not supported as an instant query type, please change your query to a range query type"


def routes(store: LogStore, settings: Settings) -> list[BaseRoute]:
    """The routes that take a query."""
    endpoints = {
        "query_range": _query_range(store, settings),
        "query": _query(store, settings),
        "format_query": _format_query(),
    }
    return [
        Route(f"/loki/api/v1/{name}", in_lokis_form(endpoint), methods=BOTH) for name, endpoint in endpoints.items()
    ]


def _query_range(store: LogStore, settings: Settings) -> Endpoint:
    async def answer(request: Request) -> Response:
        given = await params.read_params(request)
        over = params.span(given)
        step = params.step(given, over)
        expr = logql.parse(params.text(given, "query"))
        if isinstance(expr, ast.LogQuery):
            limit, forward, apart = params.limit(given), params.forward(given), params.interval(given)
            categorized = wants_categories(request)

            def lines(budget: Budget) -> bytes:
                found = select_lines(
                    store.snapshot(), expr, start=over.start, end=over.end, limit=limit, forward=forward, budget=budget
                )
                return encode.stream_answer(_thinned(found, apart), budget, categorized=categorized)

            return Response(await run(request, settings, lines), media_type=JSON)
        steps = window(over.start, over.end, step)

        def numbers(budget: Budget) -> bytes:
            return encode.matrix_answer(evaluate(store.snapshot(), expr, steps, budget), steps, budget)

        return Response(await run(request, settings, numbers), media_type=JSON)

    return answer


def _query(store: LogStore, settings: Settings) -> Endpoint:
    async def answer(request: Request) -> Response:
        given = await params.read_params(request)
        at = params.instant(params.text(given, "time"), "time", now_ns())
        params.limit(given)
        expr = logql.parse(params.text(given, "query"))
        if isinstance(expr, ast.LogQuery):
            raise QueryRefused(_NOT_INSTANT)
        steps = window(at, at, 0)
        order = 0
        if isinstance(expr, ast.VectorAggregation):
            order = {"sort": 1, "sort_desc": -1}.get(expr.op, 0)

        def numbers(budget: Budget) -> bytes:
            return encode.vector_answer(evaluate(store.snapshot(), expr, steps, budget), steps, budget, order=order)

        return Response(await run(request, settings, numbers), media_type=JSON)

    return answer


def _format_query() -> Endpoint:
    async def answer(request: Request) -> Response:
        given = await params.read_params(request)
        return Response(encode.success(logql.format(logql.parse(params.text(given, "query")))), media_type=JSON)

    return answer


def wants_categories(request: Request) -> bool:
    """Whether the client asks for labels by kind."""
    flags = request.headers.get("x-loki-response-encoding-flags", "")
    return encode.CATEGORIZE in (flag.strip() for flag in flags.split(","))


def _thinned(lines: list[Line], apart: int) -> list[Line]:
    """Lines that lie at least `apart` ns from the one before."""
    if not apart:
        return lines
    out: list[Line] = []
    for line in lines:
        if not out or abs(line.ts - out[-1].ts) >= apart:
            out.append(line)
    return out
