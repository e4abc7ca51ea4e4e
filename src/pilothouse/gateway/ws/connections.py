"""Every open WebSocket of this process: counted for each user, closed when its session ends or its rights change."""

import asyncio
import contextlib
from collections import Counter
from enum import Enum, auto

import structlog
from prometheus_client import Gauge
from starlette.websockets import WebSocket, WebSocketDisconnect

from pilothouse.access import Principal
from pilothouse.core.errors import PilothouseError, RateLimited, Unauthenticated, Unavailable
from pilothouse.gateway.ws.closing import CLOSE_CODES, close_reason
from pilothouse.identity import Identity

log = structlog.get_logger(__name__)
MOST_SOCKETS = 10
"""Of a user, in this process: a dozen tabs are a mistake, or an attack."""
RESTARTING = 1012
SOCKETS = Gauge("pilothouse_websockets", "WebSockets that are open.")


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
    """One accepted WebSocket and whom it belongs to."""

    def __init__(self, socket: WebSocket, principal: Principal) -> None:
        self._socket = socket
        self.principal = principal
        self.state = ConnectionState.CONNECTING

    def step(self, state: ConnectionState) -> None:
        """Go on to `state`. Raises IllegalStepError."""
        if state not in STEPS[self.state]:
            raise IllegalStepError(f"{self.state.name} does not lead to {state.name}")
        self.state = state

    async def accept(self) -> None:
        """Open it."""
        await self._socket.accept()
        self.step(ConnectionState.OPEN)

    async def send(self, frame: bytes) -> None:
        """Send a text frame; waits while the client does not take it. Raises WebSocketDisconnect."""
        if self.state is not ConnectionState.OPEN:
            raise WebSocketDisconnect(1006)
        await self._socket.send({"type": "websocket.send", "text": frame.decode()})

    async def receive(self) -> str:
        """The next text frame. Raises WebSocketDisconnect."""
        return await self._socket.receive_text()

    async def close(self, code: int, reason: str) -> None:
        """Close it, once; what comes later does nothing."""
        if self.state is not ConnectionState.OPEN:
            return
        self.step(ConnectionState.CLOSING)
        with contextlib.suppress(RuntimeError, WebSocketDisconnect, OSError):
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
        self._open: set[Connection] = set()
        self._of_user: Counter[str] = Counter()
        self._watch: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch for sessions that end."""
        self._watch = asyncio.create_task(self._watch_changes())

    async def connect(self, socket: WebSocket, principal: Principal) -> Connection:
        """Accept a socket. Raises RateLimited where its user has too many; it is told so by its close."""
        connection = Connection(socket, principal)
        await connection.accept()
        if self._of_user[principal.id] >= MOST_SOCKETS:
            error = RateLimited(f"you have {MOST_SOCKETS} live views open; close one", code="TOO_MANY_SOCKETS")
            await connection.fail(error)
            raise error
        self._open.add(connection)
        self._of_user[principal.id] += 1
        SOCKETS.inc()
        return connection

    def disconnect(self, connection: Connection) -> None:
        """Forget a connection."""
        if connection in self._open:
            self._open.remove(connection)
            self._of_user[connection.principal.id] -= 1
            SOCKETS.dec()
        connection.gone()

    async def _watch_changes(self) -> None:
        async for _ in self._identity.changes():
            await asyncio.gather(*(self._check(connection) for connection in tuple(self._open)))

    async def _check(self, connection: Connection) -> None:
        try:
            now = await self._identity.current(connection.principal)
        except Unauthenticated as error:
            await connection.fail(error)
            return
        except Unavailable:
            return  # the state is away: nothing is known to have ended
        if (now.roles, now.grants) != (connection.principal.roles, connection.principal.grants):
            changed = Unauthenticated("your rights have changed; connect again", code="RIGHTS_CHANGED")
            await connection.fail(changed)

    async def close(self) -> None:
        """Close all: this process is leaving."""
        if self._watch is not None:
            self._watch.cancel()
        for connection in tuple(self._open):
            await connection.close(RESTARTING, "restarting")
