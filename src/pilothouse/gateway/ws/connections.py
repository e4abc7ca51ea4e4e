"""Every open WebSocket of this process: counted for each user, closed when its session ends or its rights change."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from enum import Enum, auto

import structlog
from prometheus_client import Gauge
from starlette.websockets import WebSocket, WebSocketDisconnect

from pilothouse.access import Permission, Principal, PrincipalKind, authorize
from pilothouse.core.errors import PilothouseError, RateLimited, Unauthenticated, Unavailable
from pilothouse.gateway.ws.closing import CLOSE_CODES, close_reason
from pilothouse.identity import Identity

log = structlog.get_logger(__name__)
MOST_SOCKETS = 10
"""Of a user, in this process: a dozen tabs are a mistake, or an attack."""
RETRY_SECONDS = 0.5
"""Between attempts to learn who still may, while the state does not answer."""
CLOSE_SECONDS = 1.0
"""How long a client may take to take its close frame; then the server cuts the connection by itself."""
AT_ONCE = 8
"""Sessions looked up at the same time after a change."""
RESTARTING = 1012
SOCKETS = Gauge("pilothouse_websockets", "WebSockets that are open.")

Work = Callable[["Connection"], Awaitable[None]]


class ConnectionState(Enum):
    """The life of a connection, in order."""

    CONNECTING = auto()
    OPEN = auto()
    CLOSING = auto()
    CLOSED = auto()


STEPS = {
    ConnectionState.CONNECTING: {ConnectionState.OPEN, ConnectionState.CLOSED},
    ConnectionState.OPEN: {ConnectionState.CLOSING, ConnectionState.CLOSED},
    ConnectionState.CLOSING: {ConnectionState.CLOSED},
    ConnectionState.CLOSED: set(),
}


class IllegalStepError(RuntimeError):
    """A connection was asked to go where its state does not lead."""


class Connection:
    """One WebSocket and whom it belongs to. One task at a time sends, another receives; any may close."""

    def __init__(self, socket: WebSocket, principal: Principal) -> None:
        self._socket = socket
        self._gone = asyncio.Event()
        self.principal = principal
        self.state = ConnectionState.CONNECTING

    def step(self, state: ConnectionState) -> None:
        """Go on to `state`. Raises IllegalStepError."""
        if state not in STEPS[self.state]:
            raise IllegalStepError(f"{self.state.name} does not lead to {state.name}")
        self.state = state
        if state in {ConnectionState.CLOSING, ConnectionState.CLOSED}:
            self._gone.set()

    async def accept(self) -> None:
        """Open it."""
        await self._socket.accept()
        self.step(ConnectionState.OPEN)

    async def send(self, frame: str) -> None:
        """Send a text frame; waits while the client does not take it. Raises WebSocketDisconnect."""
        if self.state is not ConnectionState.OPEN:
            raise WebSocketDisconnect(1006)
        await self._socket.send({"type": "websocket.send", "text": frame})

    async def receive(self) -> str | bytes:
        """The next frame, text or binary. Raises WebSocketDisconnect."""
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            self.gone()
            raise WebSocketDisconnect(message.get("code", 1006))
        text: str | None = message.get("text")
        return message.get("bytes") or b"" if text is None else text

    async def ended(self) -> None:
        """Returns when it closes, from whichever side."""
        await self._gone.wait()

    async def close(self, code: int, reason: str) -> None:
        """Close it, once; what comes later does nothing."""
        if self.state is not ConnectionState.OPEN:
            return
        self.step(ConnectionState.CLOSING)
        with contextlib.suppress(RuntimeError, WebSocketDisconnect, OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._socket.close(code, reason)
        self.gone()

    async def fail(self, error: PilothouseError) -> None:
        """Close it with the code and the envelope that say why."""
        await self.close(CLOSE_CODES.get(error.status, 4011), close_reason(error))

    def gone(self) -> None:
        """The client left."""
        if self.state is not ConnectionState.CLOSED:
            self.step(ConnectionState.CLOSED)


class ConnectionManager:
    """The connections of one gateway process."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._open: dict[tuple[PrincipalKind, str], set[Connection]] = {}
        self._of_user: Counter[str] = Counter()
        self._watch: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch for sessions that end."""
        self._watch = asyncio.create_task(self._watch_changes())

    async def serve(self, socket: WebSocket, principal: Principal, permission: Permission, work: Work) -> None:
        """Accept a socket of a principal that the guard let in, and do `work` with it until that or the socket ends.

        An error that `work` raises is told by the close frame.
        """
        connection = Connection(socket, principal)
        await connection.accept()
        self._add(connection)
        try:
            # It is registered first and looked up afresh then: a change of rights between the guard's look, which
            # may be a second old, and now is seen by one or the other.
            connection.principal = authorize(await self._identity.current(connection.principal), permission)
            self._check_number(connection.principal)
            await until_closed(connection, work)
            await connection.close(1000, "")
        except PilothouseError as error:
            await connection.fail(error)
        except WebSocketDisconnect:
            connection.gone()
        except Exception:
            log.exception("a WebSocket failed", path=socket.url.path)
            await connection.fail(PilothouseError("something went wrong here; the log says what"))
        finally:
            self._remove(connection)

    def _check_number(self, principal: Principal) -> None:
        if self._of_user[principal.id] > MOST_SOCKETS:
            raise RateLimited(f"you have {MOST_SOCKETS} live views open; close one", code="TOO_MANY_SOCKETS")

    def _add(self, connection: Connection) -> None:
        principal = connection.principal
        self._open.setdefault((principal.kind, principal.session_id), set()).add(connection)
        self._of_user[principal.id] += 1
        SOCKETS.inc()

    def _remove(self, connection: Connection) -> None:
        principal = connection.principal
        of_session = self._open[principal.kind, principal.session_id]
        of_session.discard(connection)
        if not of_session:
            del self._open[principal.kind, principal.session_id]
        self._of_user[principal.id] -= 1
        if not self._of_user[principal.id]:
            del self._of_user[principal.id]
        SOCKETS.dec()
        connection.gone()

    async def _watch_changes(self) -> None:
        async for _ in self._identity.changes():
            while not await self._check_all():  # noqa: ASYNC110 - the event is in the database
                await asyncio.sleep(RETRY_SECONDS)

    async def _check_all(self) -> bool:
        """Close what may not go on. False where the state could not tell for all."""
        limit = asyncio.Semaphore(AT_ONCE)

        async def check(connections: tuple[Connection, ...]) -> bool:
            async with limit:
                return await self._check_session(connections)

        return all(await asyncio.gather(*(check(tuple(of_session)) for of_session in self._open.values())))

    async def _check_session(self, connections: tuple[Connection, ...]) -> bool:
        try:
            now = await self._identity.current(connections[0].principal)
        except Unauthenticated as ended:
            await asyncio.gather(*(one.fail(ended) for one in connections))
        except Unavailable:
            return False
        else:
            error = Unauthenticated("your rights have changed; connect again", code="RIGHTS_CHANGED")
            await asyncio.gather(*(one.fail(error) for one in connections if has_changed(one.principal, now)))
        return True

    async def close(self) -> None:
        """Close all: this process is leaving."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        for of_session in tuple(self._open.values()):
            for connection in tuple(of_session):
                await connection.close(RESTARTING, "restarting")


def has_changed(before: Principal, now: Principal) -> bool:
    """Whether somebody may do other things now than before."""
    return set(before.grants) != set(now.grants) or set(before.roles) != set(now.roles)


async def until_closed(connection: Connection, work: Work) -> None:
    """Do `work`, but no longer than the connection is open. Raises what it raises."""
    working, ending = asyncio.ensure_future(work(connection)), asyncio.ensure_future(connection.ended())
    try:
        await asyncio.wait({working, ending}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ending.cancel()
        if not working.done():
            working.cancel()
        results = await asyncio.gather(working, ending, return_exceptions=True)
    if isinstance(results[0], Exception):
        raise results[0]
