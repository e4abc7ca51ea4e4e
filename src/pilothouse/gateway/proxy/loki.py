"""/loki/* and /otlp/*: Loki's own API for Grafana, logcli and collectors, each question narrowed to the caller's scope.

Whether a real Loki or the embedded store answers is nothing that this file knows.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl

import aiohttp
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from pilothouse.access import Permission, Principal, narrow_selector, scope_query
from pilothouse.access.scope import EVERYTHING
from pilothouse.access.scopes import Scope
from pilothouse.core.errors import InvalidRequest, PilothouseError, UpstreamFailed
from pilothouse.core.times import now_ns, parse_instant
from pilothouse.gateway.dependencies import principal_of, services_of
from pilothouse.gateway.ws.connections import Connection
from pilothouse.query import logql
from pilothouse.query.logql import ast

PASSED_ON = {"content-type", "content-encoding", "x-loki-response-encoding-flags", "user-agent"}
"""Headers of a request that reach the backend: none of them proves or names anybody."""
PLAIN = {"Accept-Encoding": "identity"}
"""The answer is passed on as it comes: a packed one would be unpacked on the way, and still call itself packed."""
GIVEN_BACK = {"content-type", "content-length"}
QUERIES = {"query", "query_range", "index/stats", "index/volume", "index/volume_range", "patterns", "detected_fields",
           "format_query"}  # fmt: skip
"""Paths whose `query` is a whole LogQL query or selector, and must be there."""
LISTS = {"labels", "label", "detected_labels"}
"""Paths whose `query` is a selector that may be left out."""
LABEL_VALUES = re.compile(r"label/[a-zA-Z_][a-zA-Z0-9_]*/values\Z")
"""One more of LISTS, by the name of a label."""
FIELD_VALUES = re.compile(r"detected_field/\w[\w.@-]*/values\Z")
"""One more of QUERIES, by the name of a field."""


async def read(request: Request) -> Response:
    """A question by GET or POST, narrowed and handed on."""
    path = request.path_params["path"]
    pairs = list(request.query_params.multi_items())
    if request.method == "POST":
        body = await request.body()
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/x-www-form-urlencoded":
            raise InvalidRequest("a question by POST is application/x-www-form-urlencoded", code="INVALID_BODY")
        pairs += parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    pairs = narrowed(principal_of(request), path, pairs)
    client = services_of(request).loki
    headers = PLAIN | {name: value for name, value in request.headers.items() if name in PASSED_ON - {"content-type"}}
    asked = {"data": pairs} if request.method == "POST" else {"params": pairs}
    return await streamed(client.request(request.method, f"/loki/api/v1/{path}", headers=headers, **asked))


def narrowed(principal: Principal, path: str, pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The parameters with every selector narrowed. Raises Forbidden, InvalidRequest, LogQLError."""
    others = [(name, value) for name, value in pairs if name not in {"query", "match[]", "match"}]
    queries = [value for name, value in pairs if name == "query"]
    if path == "series":
        asked = [value for name, value in pairs if name in {"match[]", "match"}] or [selector_text(EVERYTHING)]
        return others + [("match[]", narrow_text(principal, one)) for one in asked]
    if path in LISTS or LABEL_VALUES.match(path):
        return [*others, ("query", narrow_text(principal, queries[0] if queries and queries[0] else None))]
    if path not in QUERIES and not FIELD_VALUES.match(path):
        raise InvalidRequest("this path is closed here", code="CLOSED_PATH")
    if len(queries) != 1:
        raise InvalidRequest("one query is wanted", details={"field": "query"})
    if path == "format_query":
        return [*others, ("query", queries[0])]
    return [*others, ("query", scope_query(principal, queries[0]))]


def narrow_text(principal: Principal, text: str | None) -> str:
    """A selector as text, narrowed; all streams where there is none."""
    matchers = logql.parse_selector(text) if text else EVERYTHING
    return selector_text(narrow_selector(principal, matchers or EVERYTHING))


def selector_text(matchers: Scope) -> str:
    """`{…}`."""
    return logql.format(ast.LogQuery(matchers=matchers))


async def write(request: Request) -> Response:
    """A push, streamed to the backend as it comes."""
    client = services_of(request).loki
    headers = PLAIN | {name: value for name, value in request.headers.items() if name in PASSED_ON}
    refused: list[HTTPException] = []

    async def body() -> AsyncIterator[bytes]:
        try:
            async for part in request.stream():
                yield part
        except HTTPException as error:
            refused.append(error)
            raise

    try:
        return await streamed(client.request("POST", request.url.path, data=body(), headers=headers))
    except UpstreamFailed:
        if refused:
            # The body ran over its limit on the way: that is the client's doing, and not the backend's.
            raise refused[0] from None
        raise


async def streamed(asked: contextlib.AbstractAsyncContextManager[aiohttp.ClientResponse]) -> Response:
    """The backend's answer, passed on while it comes; the connection is given back at its end, however it comes."""
    stack = contextlib.AsyncExitStack()
    answer = await stack.enter_async_context(asked)

    async def body() -> AsyncIterator[bytes]:
        async with stack:
            async for part in answer.content.iter_chunked(1 << 16):
                yield part

    headers = {name: value for name, value in answer.headers.items() if name.lower() in GIVEN_BACK}
    return StreamingResponse(body(), answer.status, headers)


async def tail(socket: WebSocket) -> None:
    """Loki's own tail, narrowed; frames are passed on as they come."""
    services = services_of(socket)

    async def relay(connection: Connection) -> None:
        params = socket.query_params
        query = scope_query(connection.principal, logql.parse_log_query(params.get("query", "")))
        start = parse_instant(params["start"], field="start") if params.get("start") else now_ns()
        flags = socket.headers.get("x-loki-response-encoding-flags", "")
        limit = params.get("limit", "100")
        await _relay(connection, services.loki.tail_frames(query, start=start, limit=limit, flags=flags))

    await services.connections.serve(socket, principal_of(socket), Permission.LOGS_READ, relay)


async def _relay(connection: Connection, frames: AsyncIterator[str]) -> None:
    """Pass frames on until either side ends."""

    async def forward() -> None:
        async for frame in frames:
            await connection.send(frame)

    forwarding = asyncio.create_task(forward())
    listening = asyncio.create_task(connection.receive())
    done, rest = await asyncio.wait({forwarding, listening}, return_when=asyncio.FIRST_COMPLETED)
    for task in rest:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, PilothouseError):
            await task
    for task in done:
        task.result()
