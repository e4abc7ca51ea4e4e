"""WS /loki/api/v1/tail: what is there already, then lines as they are acknowledged."""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from pilothouse.core.errors import PilothouseError
from pilothouse.core.times import MAX_NS, now_ns
from pilothouse.query import logql
from pilothouse.query.logql import ast
from pilothouse.settings import Settings
from pilothouse.store.api import encode, params
from pilothouse.store.logs.query.budget import Budget
from pilothouse.store.logs.query.errors import QueryRefused
from pilothouse.store.logs.query.lines import Line, select_lines
from pilothouse.store.logs.snapshot import Snapshot
from pilothouse.store.logs.store import LogStore
from pilothouse.store.logs.subscription import Subscription

MAX_DELAY = 5
"""Seconds that a tail may wait for late lines, as in Loki."""
MAX_FRAME = 500
"""Lines of one frame."""
GATHER = 0.05
"""Seconds in which lines are gathered into one frame."""
SEND_TIMEOUT = 10.0
"""Seconds that one frame may take to send; a client slower than that is not there."""


def routes(store: LogStore, settings: Settings) -> list[BaseRoute]:
    """The tail."""

    async def tail(socket: WebSocket) -> None:
        try:
            query = logql.parse_log_query(params.text(socket.query_params, "query"))
            limit = params.limit(socket.query_params)
            start = params.instant(params.text(socket.query_params, "start"), "start", now_ns() - params.DEFAULT_SINCE)
            delay = _delay(params.text(socket.query_params, "delay_for"))
        except PilothouseError as error:
            await _refuse(socket, error)
            return
        await socket.accept()
        flags = socket.headers.get("x-loki-response-encoding-flags", "")
        one = _Tail(
            store, settings, socket, query, categorized=encode.CATEGORIZE in (flag.strip() for flag in flags.split(","))
        )
        await one.serve(start=start, limit=limit, delay=delay)

    return [WebSocketRoute("/loki/api/v1/tail", tail)]


def _delay(value: str) -> int:
    if not value:
        return 0
    if not value.isascii() or not value.isdigit():
        raise QueryRefused(f'strconv.Atoi: parsing "{value}": invalid syntax', details={"field": "delay_for"})
    if int(value) > MAX_DELAY:
        raise QueryRefused("delay_for can't be greater than 5", details={"field": "delay_for"})
    return int(value)


async def _refuse(socket: WebSocket, error: PilothouseError) -> None:
    """An error before the upgrade is an HTTP answer, in Loki's form, where the server can send one."""
    if "websocket.http.response" in socket.scope.get("extensions", {}):
        headers = [(b"content-type", b"text/plain; charset=utf-8")]
        await socket.send({"type": "websocket.http.response.start", "status": error.status, "headers": headers})
        await socket.send({"type": "websocket.http.response.body", "body": error.message.encode()})
    else:
        await socket.accept()
        await socket.close(4008 if error.status != 500 else 4011, error.message.encode()[:120].decode(errors="ignore"))


class _Tail:
    """One client's tail. Batches wait in the subscription, which drops and counts the oldest."""

    def __init__(
        self, store: LogStore, settings: Settings, socket: WebSocket, query: ast.LogQuery, *, categorized: bool
    ) -> None:
        self.store, self.settings, self.socket, self.query = store, settings, socket, query
        self.categorized = categorized

    async def serve(self, *, start: int, limit: int, delay: int) -> None:
        # Subscribed before the backlog is read and in the same turn of the loop: no line falls between the two.
        subscription = self.store.subscribe()
        snapshot = self.store.snapshot()
        live = asyncio.create_task(self._send_all(subscription, snapshot, start=start, limit=limit, delay=delay))
        leaving = asyncio.create_task(self._wait_for_close())
        try:
            await asyncio.wait({live, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.store.unsubscribe(subscription)
            live.cancel()
            leaving.cancel()
            results = await asyncio.gather(live, leaving, return_exceptions=True)
        error = next((one for one in results if isinstance(one, PilothouseError)), None)
        if self.socket.application_state is WebSocketState.CONNECTED and (
            self.socket.client_state is WebSocketState.CONNECTED
        ):
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                reason = error.message.encode()[:120].decode(errors="ignore") if error else "tail ended"
                await self.socket.close(4008 if error else 1011, reason)
        for one in results:
            if isinstance(one, Exception) and not isinstance(one, PilothouseError | WebSocketDisconnect | TimeoutError):
                raise one

    async def _wait_for_close(self) -> None:
        while (await self.socket.receive())["type"] != "websocket.disconnect":
            pass

    async def _send_all(
        self, subscription: Subscription, snapshot: Snapshot, *, start: int, limit: int, delay: int
    ) -> None:
        lines = await asyncio.to_thread(self._select, snapshot, start, limit)
        await self._send(lines, 0)
        while True:
            batches, dropped = await subscription.take()
            if not batches:
                continue
            gathered = time.monotonic() + max(delay, GATHER)
            while (left := gathered - time.monotonic()) > 0 and (delay or sum(b.num_rows for b in batches) < MAX_FRAME):
                try:
                    more, lost = await asyncio.wait_for(subscription.take(), left)
                except TimeoutError:
                    break
                batches += more
                dropped += lost
            fresh = Snapshot(streams=self.store.streams, segments=(), batches=tuple(batches))
            # `start` bounds the backlog alone, as in Loki: what arrives now is new, however old its own time is.
            lines = await asyncio.to_thread(self._select, fresh, 0, sum(batch.num_rows for batch in batches))
            await self._send(lines, dropped)

    def _select(self, snapshot: Snapshot, start: int, limit: int) -> list[Line]:
        """The last `limit` lines from `start` on, oldest first."""
        budget = Budget(timeout=self.settings.query_timeout)
        newest = select_lines(snapshot, self.query, start=start, end=MAX_NS, limit=limit, forward=False, budget=budget)
        return newest[::-1]

    async def _send(self, lines: Sequence[Line], dropped: int) -> None:
        for begin in range(0, len(lines), MAX_FRAME):
            await self._frame(lines[begin : begin + MAX_FRAME], dropped if not begin else 0)
        if dropped and not lines:
            await self._frame((), dropped)

    async def _frame(self, lines: Iterable[Line], dropped: int) -> None:
        frame: dict[str, Any] = {"streams": encode.streams(lines, categorized=self.categorized)}
        if dropped:
            # Loki names each dropped line; here their number stands in one entry.
            frame["dropped_entries"] = [{"labels": {"dropped": str(dropped)}, "timestamp": str(now_ns())}]
        if self.categorized:
            frame["encodingFlags"] = [encode.CATEGORIZE]
        text = orjson.dumps(frame).decode()
        await asyncio.wait_for(self.socket.send_text(text), SEND_TIMEOUT)
