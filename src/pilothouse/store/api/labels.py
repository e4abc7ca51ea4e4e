"""What there is: labels, their values, series, volumes, and the fields of lines."""

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pilothouse.core.labels import Matcher
from pilothouse.core.times import HOUR
from pilothouse.query import logql
from pilothouse.query.logql import ast
from pilothouse.settings import Settings
from pilothouse.store.api import encode, params
from pilothouse.store.api.errors import Endpoint, in_lokis_form
from pilothouse.store.api.query import BOTH, JSON
from pilothouse.store.api.work import run
from pilothouse.store.logs.query import fields, inventory
from pilothouse.store.logs.query.budget import Budget
from pilothouse.store.logs.query.errors import QueryRefused
from pilothouse.store.logs.query.lines import select_lines
from pilothouse.store.logs.query.matrix import window
from pilothouse.store.logs.store import LogStore

DEFAULT_SINCE = 6 * HOUR
"""How far back labels are looked for where no start is given."""
SAMPLE = 1000
"""Lines that detected_fields looks at where no line_limit is given."""
MAX_VOLUMES = 1000


def routes(store: LogStore, settings: Settings) -> list[BaseRoute]:
    """The routes that tell what there is."""
    endpoints = {
        "labels": _labels(store, settings),
        "label": _labels(store, settings),
        "label/{name}/values": _values(store, settings),
        "series": _series(store, settings),
        "index/stats": _stats(store, settings),
        "index/volume": _volume(store, settings),
        "index/volume_range": _volume_range(store, settings),
        "detected_labels": _detected_labels(store, settings),
        "detected_fields": _detected_fields(store, settings),
        "detected_field/{name}/values": _detected_values(store, settings),
    }
    return [
        Route(f"/loki/api/v1/{path}", in_lokis_form(endpoint), methods=BOTH) for path, endpoint in endpoints.items()
    ]


def _selector(given: params.Params, name: str = "query") -> tuple[Matcher, ...]:
    text = params.text(given, name)
    return logql.parse_selector(text) if text else ()


def _labels(store: LogStore, settings: Settings) -> Endpoint:
    async def answer(request: Request) -> Response:
        given = await params.read_params(request)
        over, matchers = params.span(given, DEFAULT_SINCE), _selector(given)

        def names(_: Budget) -> list[str]:
            snapshot = store.snapshot()
            there = inventory.present(snapshot, snapshot.streams.select(matchers), over.start, over.end)
            return snapshot.streams.label_names(there)

        return _list(await run(request, settings, names))

    return answer


def _values(store: LogStore, settings: Settings) -> Endpoint:
    async def answer(request: Request) -> Response:
        given = await params.read_params(request)
        over, matchers, name = params.span(given, DEFAULT_SINCE), _selector(given), request.path_params["name"]

        def values(_: Budget) -> list[str]:
            snapshot = store.snapshot()
            there = inventory.present(snapshot, snapshot.streams.select(matchers), over.start, over.end)
            return snapshot.streams.label_values(name, there)

        return _list(await run(request, settings, values))

    return answer


def _list(found: list[str]) -> Response:
    """Loki leaves `data` out where there is nothing."""
    body = encode.success(found) if found else orjson.dumps({"status": "success"})
    return Response(body, media_type=JSON)


def _series(store: LogStore, settings: Settings) -> Endpoint:
    async def answer(request: Request) -> Response:
        given = await params.read_params(request)
        over = params.span(given, DEFAULT_SINCE)
        texts = [text for name in ("match", "match[]") for text in given.getlist(name) if isinstance(text, str)]
        selectors = [logql.parse_selector(text) for text in texts] or [()]

        def series(_: Budget) -> bytes:
            snapshot = store.snapshot()
            ids = {int(stream) for matchers in selectors for stream in snapshot.streams.select(matchers)}
            wanted = snapshot.streams.select(())
            wanted = wanted[[int(stream) in ids for stream in wanted]] if len(ids) < len(wanted) else wanted
            there = inventory.present(snapshot, wanted, over.start, over.end)
            return encode.success([snapshot.streams.labels(stream) for stream in there])

        return Response(await run(request, settings, series), media_type=JSON)

    return answer


def _stats(store: LogStore, settings: Settings) -> Endpoint:
    async def answer(request: Request) -> Response:
        given = await params.read_params(request)
        over, matchers = params.span(given), _selector(given)

        def stats(_: Budget) -> bytes:
            snapshot = store.snapshot()
            found = inventory.take_stock(snapshot, snapshot.streams.select(matchers), over.start, over.end)
            amounts = found.amounts.values()
            return orjson.dumps(
                {
                    "streams": len(found.amounts),
                    "chunks": found.parts,
                    "bytes": sum(amount.bytes for amount in amounts),
                    "entries": sum(amount.lines for amount in amounts),
                }
            )

        return Response(await run(request, settings, stats), media_type=JSON)

    return answer


def _volume_parameters(given: params.Params, matchers: tuple[Matcher, ...]) -> tuple[list[str], bool, int]:
    by = params.text(given, "aggregateBy") or "series"
    if by not in {"series", "labels"}:
        raise QueryRefused("invalid aggregation option")
    named = [name.strip() for name in params.text(given, "targetLabels").split(",") if name.strip()]
    limit = min(params.integer(given, "limit", params.DEFAULT_LIMIT), MAX_VOLUMES)
    if not named and by == "series":
        named = [matcher.name for matcher in matchers]
    return named, by == "labels", limit


def _largest(totals: dict[Any, int], limit: int) -> list[tuple[Any, int]]:
    return sorted(totals.items(), key=lambda item: (-item[1], item[0]))[:limit]


def _volume(store: LogStore, settings: Settings) -> Endpoint:
    async def answer(request: Request) -> Response:
        given = await params.read_params(request)
        over, matchers = params.span(given), _selector(given)
        names, by_label, limit = _volume_parameters(given, matchers)

        def volume(_: Budget) -> bytes:
            snapshot = store.snapshot()
            found = inventory.take_stock(snapshot, snapshot.streams.select(matchers), over.start, over.end)
            totals = inventory.volumes(snapshot, found, names, by_label=by_label)
            at = encode.seconds(over.end)
            result = [{"metric": dict(key), "value": [at, str(size)]} for key, size in _largest(totals, limit)]
            return encode.success({"resultType": "vector", "result": result})

        return Response(await run(request, settings, volume), media_type=JSON)

    return answer


def _volume_range(store: LogStore, settings: Settings) -> Endpoint:
    async def answer(request: Request) -> Response:
        given = await params.read_params(request)
        over, matchers = params.span(given), _selector(given)
        names, by_label, limit = _volume_parameters(given, matchers)
        step = params.step(given, over)

        def volume(budget: Budget) -> bytes:
            snapshot = store.snapshot()
            streams = snapshot.streams.select(matchers)
            points: dict[Any, list[list[Any]]] = {}
            totals: dict[Any, int] = {}
            for begin in window(over.start, over.end, step).steps.tolist():
                budget.check()
                until = min(begin + step, over.end)
                if until <= begin:
                    break
                found = inventory.take_stock(snapshot, streams, begin, until)
                for key, size in inventory.volumes(snapshot, found, names, by_label=by_label).items():
                    points.setdefault(key, []).append([encode.seconds(begin), str(size)])
                    totals[key] = totals.get(key, 0) + size
            result = [{"metric": dict(key), "values": points[key]} for key, _ in _largest(totals, limit)]
            return encode.success({"resultType": "matrix", "result": result})

        return Response(await run(request, settings, volume), media_type=JSON)

    return answer


def _detected_labels(store: LogStore, settings: Settings) -> Endpoint:
    async def answer(request: Request) -> Response:
        given = await params.read_params(request)
        over, matchers = params.span(given), _selector(given)

        def found(_: Budget) -> bytes:
            snapshot = store.snapshot()
            there = inventory.present(snapshot, snapshot.streams.select(matchers), over.start, over.end)
            counts = inventory.cardinalities(snapshot, there)
            return orjson.dumps({"detectedLabels": [{"label": n, "cardinality": c} for n, c in counts.items()]})

        return Response(await run(request, settings, found), media_type=JSON)

    return answer


async def _sampled(
    store: LogStore, settings: Settings, request: Request, given: params.Params
) -> dict[str, fields.Field]:
    expr = logql.parse_log_query(params.text(given, "query"))
    over = params.span(given)
    sample = min(params.integer(given, "line_limit", SAMPLE), params.MAX_LIMIT)

    def detect(budget: Budget) -> dict[str, fields.Field]:
        query = ast.LogQuery(expr.matchers, expr.stages)
        lines = select_lines(
            store.snapshot(), query, start=over.start, end=over.end, limit=sample, forward=False, budget=budget
        )
        return fields.detect(lines)

    return await run(request, settings, detect)


def _detected_fields(store: LogStore, settings: Settings) -> Endpoint:
    async def answer(request: Request) -> Response:
        given = await params.read_params(request)
        limit = params.integer(given, "limit", 1000)
        found = await _sampled(store, settings, request, given)
        listed = [
            {
                "label": name,
                "type": one.kind,
                "cardinality": len(one.values),
                "parsers": sorted(one.parsers) or None,
                **({"jsonPath": list(one.path)} if one.path else {}),
            }
            for name, one in sorted(found.items())[:limit]
        ]
        return Response(orjson.dumps({"fields": listed, "limit": limit}), media_type=JSON)

    return answer


def _detected_values(store: LogStore, settings: Settings) -> Endpoint:
    async def answer(request: Request) -> Response:
        given = await params.read_params(request)
        limit = params.integer(given, "limit", 1000)
        found = (await _sampled(store, settings, request, given)).get(request.path_params["name"])
        values = sorted(found.values, key=found.values.__getitem__, reverse=True)[:limit] if found else []
        return Response(orjson.dumps({"values": values, "limit": limit}), media_type=JSON)

    return answer
