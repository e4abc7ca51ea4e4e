"""ASGI middleware: a request id, one access line, and the user, on every line of a request."""

import contextlib
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from pilothouse_sdk import context
from pilothouse_sdk.delivery import LOGGED
from pilothouse_sdk.setup import ACCESS_LOGGERS

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_SANE_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_CLIENT_LEFT = 499
"""What nginx calls it: nobody was there any more to take the answer."""
_STARTS = frozenset({"http.response.start", "websocket.http.response.start", "websocket.accept"})
_BODIES = frozenset({"http.response.body", "websocket.http.response.body"})
_log = logging.getLogger("access")


class RequestLogMiddleware:
    """Gives each request an id and writes one line when it is answered.

    An id that the caller sent in `header` is kept if it is sane, and another is made otherwise; it is sent back. The
    access line has method, path (without its query), status, duration_ms, response_bytes, client and, where the
    application called `bind_user` or `user` finds it in the scope, user. A WebSocket's status is its close code, or 403
    where it was refused. 5xx and exceptions are ERROR, 4xx WARNING, the rest INFO; paths in `quiet`, such as health
    checks, are DEBUG while they succeed.

    Put it around the whole application, `asgi = RequestLogMiddleware(app)`: what is inside of it has the id, also the
    answer to an exception that nobody caught.
    """

    def __init__(
        self,
        app: App,
        *,
        header: str = "X-Request-ID",
        user: Callable[[Scope], str | None] | None = None,
        quiet: Iterable[str] = ("/health", "/healthz", "/ready", "/metrics"),
    ) -> None:
        self._app = app
        self._header = header.lower().encode("latin-1")
        self._user = user
        self._quiet = frozenset(quiet)
        # The servers' own access lines say less, and the same.
        for name in ACCESS_LOGGERS:
            logging.getLogger(name).setLevel(logging.WARNING)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's entry."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        request_id = self._id_of(scope)
        answer = _Answer(scope, receive, send, header=(self._header, request_id.encode()), written=self._write)
        token = context.begin(request_id=request_id)
        try:
            await self._app(scope, answer.receive, answer.send)
        except Exception as error:
            answer.over(error)
            raise
        finally:
            answer.over()
            context.end(token)

    def _id_of(self, scope: Scope) -> str:
        for name, value in scope.get("headers", ()):
            if name.lower() == self._header:
                given = value.decode("latin-1")
                if _SANE_ID.fullmatch(given):
                    return str(given)
        return uuid.uuid4().hex

    def _write(self, answer: "_Answer", error: Exception | None) -> None:
        scope, status = answer.scope, answer.status
        method, path = scope.get("method", "WEBSOCKET"), scope.get("path", "")
        fields: dict[str, Any] = {
            "method": method, "path": path, "status": status, "duration_ms": round(answer.seconds * 1000, 3),
            "response_bytes": answer.bytes, "client": (scope.get("client") or ("",))[0],
        }  # fmt: skip
        if self._user is not None:
            # The application's own function; the request must not fail by it.
            with contextlib.suppress(Exception):
                if user := self._user(scope):
                    fields["user"] = user
        if error is not None or 500 <= status <= 599 or status == 1011:
            level = logging.ERROR
        elif 400 <= status <= 499:
            level = logging.WARNING
        else:
            level = logging.DEBUG if path in self._quiet else logging.INFO
        _log.log(level, "%s %s %s", method, path, status, extra=fields, exc_info=error)
        _mark(error)


class _Answer:
    """What is sent and received, watched, until it is over and was written.

    An answer is over with its last byte, not with what the application does afterwards in the background. One of 5xx
    waits for the exception behind it, so that both are one line.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        *,
        header: tuple[bytes, bytes],
        written: Callable[["_Answer", Exception | None], None],
    ) -> None:
        self.scope = scope
        self.bytes = 0
        self.seconds = 0.0
        self.status = 500
        self._receive, self._send = receive, send
        self._header = header
        self._written = written
        self._began = time.perf_counter()
        self._started = self._left = self._complete = self._done = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._left = not self._complete
        elif message["type"] == "websocket.disconnect" and self._started:
            self.status = message.get("code") or 1005
        return message

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind in _STARTS:
            self._started = True
            self.status = message.get("status", 101)
            if self._left and self.status < 500:
                self.status = _CLIENT_LEFT
            kept = [one for one in message.get("headers", ()) if one[0].lower() != self._header[0]]
            message = {**message, "headers": [*kept, self._header]}
        elif kind in _BODIES:
            self.bytes += len(message.get("body", b""))
        elif kind == "websocket.close":
            # Closed before it was accepted, it is refused.
            self.status = message.get("code", 1000) if self._started else 403
        await self._send(message)
        if kind in _BODIES and not message.get("more_body", False):
            self._complete = True
            self.seconds = time.perf_counter() - self._began
            if self.status < 500:
                self.over()

    def over(self, error: Exception | None = None) -> None:
        """Write the line, once; an exception after that has a line of its own."""
        if not self._done:
            self._done = True
            if not self._complete:
                self.seconds = time.perf_counter() - self._began
            if self._left and not self._started and error is None:
                self.status = _CLIENT_LEFT
            self._written(self, error)
        elif error is not None and not getattr(error, LOGGED, False):
            _log.error("exception after the answer to %s", self.scope.get("path", ""), exc_info=error)
            _mark(error)


def _mark(error: Exception | None) -> None:
    """Remember that it was written, also on one that lets no attribute be set."""
    if error is not None:
        with contextlib.suppress(AttributeError, TypeError):
            object.__setattr__(error, LOGGED, True)
