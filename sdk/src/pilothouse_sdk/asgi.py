"""ASGI middleware: a request id, one access line, and the user, on every line of a request."""

import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from pilothouse_sdk import context
from pilothouse_sdk.delivery import LOGGED

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_SANE_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_access = logging.getLogger("access")


class RequestLogMiddleware:
    """Gives each request an id and writes one line when it is over.

    An id that the caller sent in `header` is kept if it is sane, and another is made otherwise; it is sent back. The
    access line has method, path (without its query), status, duration_ms, response_bytes, client and, where the
    application called `bind_user` or `user` finds it in the scope, user. 5xx and exceptions are ERROR, 4xx WARNING, the
    rest INFO; paths in `quiet`, such as health checks, are DEBUG while they succeed.
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
        # The server's own access lines say less, and the same.
        logging.getLogger("uvicorn.access").setLevel(logging.WARNING)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's entry."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        request_id = self._id_of(scope)
        seen: dict[str, Any] = {"status": 500 if scope["type"] == "http" else 1006, "bytes": 0}

        async def watched(message: Message) -> None:
            if message["type"] in {"http.response.start", "websocket.accept"}:
                seen["status"] = message.get("status", 101)
                message = {**message, "headers": [*message.get("headers", []), (self._header, request_id.encode())]}
            elif message["type"] == "http.response.body":
                seen["bytes"] += len(message.get("body", b""))
            elif message["type"] == "websocket.close":
                seen["status"] = message.get("code", 1000)
            await send(message)

        token = context.begin(request_id=request_id)
        began = time.perf_counter()
        error: BaseException | None = None
        try:
            await self._app(scope, receive, watched)
        except Exception as caught:
            error = caught
            raise
        finally:
            try:
                self._write(scope, seen, time.perf_counter() - began, error)
            finally:
                context.end(token)

    def _id_of(self, scope: Scope) -> str:
        for name, value in scope.get("headers", ()):
            if name.lower() == self._header:
                given = value.decode("latin-1")
                if _SANE_ID.fullmatch(given):
                    return str(given)
        return uuid.uuid4().hex

    def _write(self, scope: Scope, seen: dict[str, Any], seconds: float, error: BaseException | None) -> None:
        status, path = seen["status"], scope.get("path", "")
        method = scope.get("method", "WEBSOCKET")
        fields: dict[str, Any] = {
            "method": method, "path": path, "status": status, "duration_ms": round(seconds * 1000, 3),
            "response_bytes": seen["bytes"], "client": (scope.get("client") or ("",))[0],
        }  # fmt: skip
        if self._user is not None and (user := self._user(scope)):
            fields["user"] = user
        if error is not None:
            level = logging.ERROR
        elif scope["type"] == "websocket":
            level = logging.INFO
        elif status >= 500:
            level = logging.ERROR
        elif status >= 400:
            level = logging.WARNING
        else:
            level = logging.DEBUG if path in self._quiet else logging.INFO
        _access.log(level, "%s %s %s", method, path, status, extra=fields, exc_info=error)
        if error is not None:
            setattr(error, LOGGED, True)
