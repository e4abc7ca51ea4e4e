"""WS /ws/logs/{service_id} and /ws/logs?query=: what is stored after `since`, and then what comes, each line once."""

import asyncio
import contextlib
from collections.abc import Sequence

import msgspec
from starlette.datastructures import QueryParams
from starlette.websockets import WebSocket, WebSocketDisconnect

from pilothouse.access.scope import narrow
from pilothouse.core.cursor import Cursor
from pilothouse.core.errors import InvalidRequest, PilothouseError, UpstreamFailed
from pilothouse.core.times import DAY, MINUTE, now_ns, parse_instant
from pilothouse.gateway.dependencies import principal_of, services_of
from pilothouse.gateway.logs import asked
from pilothouse.gateway.logs.lines import LogLine
from pilothouse.gateway.logs.reader import LogReader
from pilothouse.gateway.ws.connections import Connection
from pilothouse.gateway.ws.tails import FRAME_LINES, Follower, Tail, frame_of
from pilothouse.query.logql import ast

HEARTBEAT_SECONDS = 15.0
"""Proxies close a socket that is silent for 20 s or more."""
CONNECT_SECONDS = 10.0
"""How long the backend may take to begin a tail before the client is told."""
BACKLOG = 100
MOST_BACKLOG = 10_000
TRUE = {"true", "1", "yes"}
HEARTBEAT = b'{"type":"heartbeat"}'


async def tail(socket: WebSocket) -> None:
    """Serve one client until it leaves, its session ends, or the gateway does."""
    services = services_of(socket)
    principal = principal_of(socket)
    try:
        connection = await services.connections.connect(socket, principal)
    except PilothouseError:
        return
    try:
        query = narrow(principal, query_of(socket)).expr
        assert isinstance(query, ast.LogQuery)  # noqa: S101 - narrowing keeps the kind
        upstream = await services.tails.of(query)
        follower = upstream.follow()
        try:
            await Session(connection, upstream, follower, services.tails.reader(query), socket.query_params).run()
        finally:
            upstream.leave(follower)
    except PilothouseError as error:
        await connection.fail(error)
    except WebSocketDisconnect:
        pass
    finally:
        services.connections.disconnect(connection)


def query_of(socket: WebSocket) -> ast.LogQuery:
    """What the address asks for: a service with filters, or a LogQL query. Raises InvalidRequest."""
    params = socket.query_params
    service = socket.path_params.get("service_id")
    if service is None:
        if not params.get("query"):
            raise InvalidRequest("query is missing", details={"field": "query"})
        return asked.log_query(params["query"])
    return asked.query_of(
        service,
        levels=params.getlist("level"),
        search=params.get("search", ""),
        regex=params.get("regex", "").lower() in TRUE,
        case=params.get("case", "").lower() in TRUE,
        filters=params.getlist("filter"),
    )


class Session:
    """One client's view of a tail."""

    def __init__(
        self, connection: Connection, tail: Tail, follower: Follower, reader: LogReader, params: QueryParams
    ) -> None:
        self._connection = connection
        self._tail = tail
        self._follower = follower
        self._reader = reader
        self._params = params
        self._running = asyncio.Event()
        self._running.set()

    async def run(self) -> None:
        """First what is stored, then what comes. Raises WebSocketDisconnect, PilothouseError."""
        backlog = self._read_backlog()
        listening = asyncio.create_task(self._listen())
        sending = asyncio.create_task(self._send(backlog))
        try:
            done, _ = await asyncio.wait({listening, sending}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (listening, sending):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, WebSocketDisconnect, PilothouseError):
                    await task

    def _read_backlog(self) -> tuple[Cursor | int | None, int]:
        since, limit = self._params.get("since", ""), self._params.get("limit", "")
        if limit and not (limit.isascii() and limit.isdigit() and int(limit) <= MOST_BACKLOG):
            raise InvalidRequest(f"limit must be 0 to {MOST_BACKLOG}", details={"field": "limit"})
        at: Cursor | int | None = None
        if since:
            at = Cursor.parse(since) if len(since) == 32 else parse_instant(since, field="since")
        return at, int(limit) if limit else BACKLOG

    async def _send(self, backlog: tuple[Cursor | int | None, int]) -> None:
        # The tail is followed already: what arrives while storage is read waits in the follower's queue, and what
        # is in both is known by its cursor.
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self._tail.connected.wait()
        except TimeoutError:
            if self._follower.failure:
                raise self._follower.failure from None
            raise UpstreamFailed("the log backend does not answer; try again") from None
        seam = await self._send_stored(*backlog)
        while True:
            await self._running.wait()
            try:
                async with asyncio.timeout(HEARTBEAT_SECONDS):
                    await self._follower.arrived.wait()
            except TimeoutError:
                seam = frozenset()
                await self._connection.send(HEARTBEAT)
                continue
            self._follower.arrived.clear()
            await self._drain(seam)

    async def _drain(self, seam: frozenset[str]) -> None:
        if self._follower.failure:
            raise self._follower.failure
        while self._follower.batches and self._running.is_set():
            if gap := self._follower.gap():
                await self._connection.send(gap)
            batch = self._follower.batches.popleft()
            self._follower.waiting -= len(batch.lines)
            if seam and any(line.cursor in seam for line in batch.lines):
                fresh = [line for line in batch.lines if line.cursor not in seam]
                if fresh:
                    await self._connection.send(frame_of(fresh))
            else:
                await self._connection.send(batch.frame)

    async def _send_stored(self, since: Cursor | int | None, limit: int) -> frozenset[str]:
        """Send what is stored; gives the cursors by which the live lines that repeat it are known."""
        end = now_ns() + 10 * MINUTE
        seam: set[str] = set()
        if since is None:
            if limit:
                page = await self._reader.page(asked.Span(start=end - DAY, end=end), limit=limit)
                await self._send_lines(page.lines[::-1])
                seam.update(line.cursor for line in page.lines)
            return frozenset(seam)
        cursor = since if isinstance(since, Cursor) else None
        span = asked.Span(start=since.ts if isinstance(since, Cursor) else since, end=end)
        while span.start < span.end:
            page = await self._reader.page(span, limit=5000, forward=True, cursor=cursor)
            await self._send_lines(page.lines)
            seam.update(line.cursor for line in page.lines)
            if page.next_cursor is None:
                break
            cursor = Cursor.parse(page.next_cursor)
        return frozenset(seam)

    async def _send_lines(self, lines: Sequence[LogLine]) -> None:
        for at in range(0, len(lines), FRAME_LINES):
            await self._connection.send(frame_of(list(lines[at : at + FRAME_LINES])))

    async def _listen(self) -> None:
        """Take what the client says. Raises WebSocketDisconnect when it leaves."""
        while True:
            text = await self._connection.receive()
            try:
                kind = msgspec.json.decode(text, type=dict[str, object]).get("type")
            except (msgspec.DecodeError, UnicodeEncodeError):
                kind = None
            match kind:
                case "pause":
                    self._running.clear()
                case "resume":
                    self._running.set()
                    self._follower.arrived.set()
                case "ack":
                    pass  # the transport's own flow control says how far the client is
                case _:
                    error = InvalidRequest("a frame is {type: pause | resume | ack}")
                    await self._connection.send(msgspec.json.encode({"type": "error", **error.envelope()}))
