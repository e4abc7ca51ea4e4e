"""WS /ws/logs/{service_id} and /ws/logs?query=: what is stored after `since`, and then what comes, each line once."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import msgspec
from starlette.datastructures import QueryParams
from starlette.websockets import WebSocket

from pilothouse.access import Permission
from pilothouse.access.scope import narrow
from pilothouse.core.cursor import Cursor
from pilothouse.core.errors import InvalidRequest, RateLimited, UpstreamFailed
from pilothouse.core.times import DAY, now_ns, parse_instant
from pilothouse.gateway.api.v1.logs import known
from pilothouse.gateway.dependencies import principal_of, services_of
from pilothouse.gateway.logs import asked
from pilothouse.gateway.logs.lines import LogLine, Placed
from pilothouse.gateway.logs.reader import LogReader
from pilothouse.gateway.ws.connections import Connection
from pilothouse.gateway.ws.follower import Follower, Item
from pilothouse.gateway.ws.frames import HEARTBEAT, Batch, Notice, batches
from pilothouse.gateway.ws.seen import Seen
from pilothouse.gateway.ws.tails import AHEAD, Tail
from pilothouse.query.logql import ast

HEARTBEAT_SECONDS = 15.0
"""Proxies close a socket that is silent for 20 s or more."""
CONNECT_SECONDS = 10.0
"""How long the backend may take to begin a tail before the client is told."""
SEND_SECONDS = 60.0
"""How long a client may take to receive one frame before it is let go."""
SEAM_SECONDS = 30.0
"""For so long after storage was read a line may still come live that was in it."""
MOST_UNACKED = 5_000
"""Lines on their way to a client that acknowledges; more wait here, where they are bounded. A browser's own queue
between the network and the page has no bound. Who never acknowledges has the transport's flow control alone."""
BACKLOG, MOST_BACKLOG = 100, 10_000
BACKLOG_REACH = 30 * DAY
"""How far back the backlog of a quiet service is looked for, as far as a Loki answers in one question."""
PAGE = 5000
TRUE = {"true", "1", "yes"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Backlog:
    """What is wanted of storage first: all after `since` (a cursor, or ns), or the newest `limit` lines."""

    since: Cursor | int | None
    limit: int


async def tail(socket: WebSocket) -> None:
    """Serve one client until it leaves, its session ends, or the gateway does."""
    services = services_of(socket)

    async def follow(connection: Connection) -> None:
        backlog = backlog_of(socket.query_params)
        query = narrow(connection.principal, query_of(socket)).expr
        assert isinstance(query, ast.LogQuery)  # noqa: S101 - narrowing keeps the kind

        async def exists() -> None:
            """Raises NotFound where nothing of the service was ever kept, as far as the caller may see."""
            service = socket.path_params.get("service_id", asked.ALL)
            if service != asked.ALL:
                await known(services, connection.principal, service)

        upstream = services.tails.of(query)
        follower = upstream.follow()
        try:
            session = Session(connection, upstream, follower, services.tails.reader(query), backlog)
            await session.run(exists)
        finally:
            upstream.leave(follower)

    await services.connections.serve(socket, principal_of(socket), Permission.LOGS_READ, follow)


def query_of(socket: WebSocket) -> ast.LogQuery:
    """What the address asks for: a service or a LogQL query, with filters. Raises InvalidRequest."""
    params = socket.query_params
    filters = asked.query_of(
        socket.path_params.get("service_id", asked.ALL),
        levels=params.getlist("level"),
        search=params.get("search", ""),
        regex=params.get("regex", "").lower() in TRUE,
        case=params.get("case", "").lower() in TRUE,
        filters=params.getlist("filter"),
    )
    if "service_id" in socket.path_params:
        return filters
    if not params.get("query"):
        raise InvalidRequest("query is missing", details={"field": "query"})
    query = asked.log_query(params["query"])
    return replace(query, stages=(*query.stages, *filters.stages))


def backlog_of(params: QueryParams) -> Backlog:
    """What `since` and `limit` say. Raises InvalidRequest."""
    since, limit = params.get("since", ""), params.get("limit", "")
    if limit and not (limit.isascii() and limit.isdigit() and int(limit) <= MOST_BACKLOG):
        raise InvalidRequest(f"limit must be 0 to {MOST_BACKLOG}", details={"field": "limit"})
    at: Cursor | int | None = None
    if since:
        at = Cursor.parse(since) if len(since) == 32 and ":" not in since else parse_instant(since, field="since")
    return Backlog(since=at, limit=int(limit) if limit else BACKLOG)


class Session:
    """One client's view of a tail."""

    def __init__(
        self, connection: Connection, upstream: Tail, follower: Follower, reader: LogReader, backlog: Backlog
    ) -> None:
        self._connection = connection
        self._upstream = upstream
        self._follower = follower
        self._reader = reader
        self._backlog = backlog
        self._seen: Seen | None = Seen()
        self._paused = False
        self._acknowledges = False
        self._unacked: deque[tuple[str, int]] = deque()
        self._unacked_lines = 0
        self._sent_at = asyncio.get_running_loop().time()

    async def run(self, exists: Callable[[], Awaitable[None]]) -> None:
        """First what is stored, or what `exists` raises where that is nothing; then what comes.

        Raises WebSocketDisconnect, PilothouseError.
        """
        listening = asyncio.create_task(self._listen())
        sending = asyncio.create_task(self._send(exists))
        try:
            await asyncio.wait({listening, sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tasks = (sending, listening)
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    async def _send(self, exists: Callable[[], Awaitable[None]]) -> None:
        # The tail is followed already: what arrives while storage is read waits in the follower, and what is in both
        # is known by its cursor.
        await self._until_live()
        if not await self._send_stored():
            await exists()
        seam_until = asyncio.get_running_loop().time() + SEAM_SECONDS
        while True:
            if self._may_send() and (item := self._follower.take()) is not None:
                await self._send_item(item)
                continue
            await self._wait()
            if self._seen is not None and asyncio.get_running_loop().time() > seam_until:
                self._seen = None

    async def _until_live(self) -> None:
        """Wait for the backend. Raises UpstreamFailed, or what the tail failed with."""
        live = asyncio.create_task(self._upstream.live.wait())
        try:
            await asyncio.wait(
                {live, self._upstream.task}, timeout=CONNECT_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            live.cancel()
        if not self._upstream.live.is_set():
            self._follower.take()  # raises what a tail that can't be has failed with
            raise UpstreamFailed("the log backend does not answer; try again")

    async def _send_stored(self) -> bool:
        """Send what is stored, oldest first; whether that was anything, or was not looked for."""
        since = self._backlog.since
        end = now_ns() + AHEAD
        if since is None:
            if not self._backlog.limit:
                return True
            span = asked.Span(start=max(0, end - BACKLOG_REACH), end=end)
            page = await self._reader.page(span, limit=self._backlog.limit)
            await self._send_lines(page.lines[::-1])
            return bool(page.lines)
        cursor = since if isinstance(since, Cursor) else None
        start = since.ts if isinstance(since, Cursor) else since
        if cursor is not None and self._seen is not None:
            self._seen.add(cursor)
        follower, follower.reading = self._follower, start
        found = False
        while True:
            follower.reread = False
            while start < end:
                page = await self._reader.page(
                    asked.Span(start=start, end=end), limit=PAGE, forward=True, cursor=cursor
                )
                await self._send_lines(page.lines)
                if page.lines:
                    found, cursor = True, Cursor.parse(page.lines[-1].cursor)
                    follower.reading = cursor.ts
                if not page.has_more:
                    break
            if not follower.reread:
                follower.reading = None
                return found or cursor is not None

    async def _send_lines(self, lines: list[LogLine]) -> None:
        placed = [Placed(Cursor.parse(line.cursor), line) for line in lines]
        for batch in batches(self._seen.fresh(placed) if self._seen is not None else placed):
            while not self._may_send():
                await self._wait()
            await self._send_batch(batch)

    async def _wait(self) -> None:
        """Until there is reason to look again, with a heartbeat where nothing was sent for long."""
        self._follower.wake.clear()
        try:
            async with asyncio.timeout_at(self._sent_at + HEARTBEAT_SECONDS):
                await self._follower.wake.wait()
        except TimeoutError:
            await self._transmit(HEARTBEAT)

    def _may_send(self) -> bool:
        return not self._paused and not (self._acknowledges and self._unacked_lines > MOST_UNACKED)

    async def _send_item(self, item: Item) -> None:
        if not isinstance(item, Batch):
            await self._transmit(item.frame)
            return
        if self._seen is not None and any(one.cursor in self._seen for one in item.placed):
            fresh = [one for one in item.placed if one.cursor not in self._seen]
            if not fresh:
                return
            item = Batch(fresh)
        await self._send_batch(item)

    async def _send_batch(self, batch: Batch) -> None:
        if self._acknowledges:
            self._unacked.append((batch.placed[-1].line.cursor, len(batch.placed)))
            self._unacked_lines += len(batch.placed)
        await self._transmit(batch.frame)

    async def _transmit(self, frame: str) -> None:
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._connection.send(frame)
        except TimeoutError:
            raise RateLimited("this client does not read", code="TOO_SLOW") from None
        self._sent_at = asyncio.get_running_loop().time()

    async def _listen(self) -> None:
        """Take what the client says. Raises WebSocketDisconnect when it leaves."""
        while True:
            said = await self._connection.receive()
            try:
                frame = msgspec.json.decode(said, type=dict[str, object])
            except (msgspec.DecodeError, UnicodeError):
                frame = {}
            match frame.get("type"):
                case "pause":
                    self._paused = True
                case "resume":
                    self._paused = False
                    self._follower.wake.set()
                case "ack":
                    self._acknowledge(frame.get("cursor"))
                case _:
                    error = InvalidRequest("a frame is {type: pause | resume | ack, cursor?}", code="INVALID_FRAME")
                    self._follower.offer(Notice.of(error))

    def _acknowledge(self, cursor: object) -> None:
        """The client has shown everything up to the frame that ended with `cursor`."""
        self._acknowledges = True
        if any(last == cursor for last, _ in self._unacked):
            while True:
                last, lines = self._unacked.popleft()
                self._unacked_lines -= lines
                if last == cursor:
                    break
            self._follower.wake.set()
