"""A request's id, its line in our own log, its count in the metrics, and the last net under its errors."""

import re
import time
import uuid
from typing import Any

import orjson
import structlog
from prometheus_client import Counter, Gauge, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pilothouse.core.errors import PilothouseError

log = structlog.get_logger("pilothouse.access")
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}\Z")
QUIET = {"/health", "/ready", "/metrics"}
"""Paths that machines ask every few seconds: their lines would bury the others."""

REQUESTS = Counter("pilothouse_http_requests", "Requests served.", ["method", "route", "status"])
SECONDS = Histogram("pilothouse_http_request_seconds", "Time to the end of the answer.", ["method", "route"])
IN_FLIGHT = Gauge("pilothouse_http_requests_in_flight", "Requests being served.")


class RequestMiddleware:
    """Gives each request an id, and answers INTERNAL where all else failed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")
        request_id = given if REQUEST_ID.match(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        began, status = time.perf_counter(), 0

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", request_id.encode())]
            elif message["type"] == "websocket.close":
                status = message.get("code", 1000)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id), IN_FLIGHT.track_inprogress():
            try:
                await self._app(scope, receive, note)
            except Exception:
                log.exception("a request failed", path=scope["path"])
                if status or scope["type"] == "websocket":
                    raise
                await answer_internal(note, request_id)
            finally:
                self._count(scope, status, time.perf_counter() - began)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "") or "(none)"
        method = scope.get("method", "WS")
        REQUESTS.labels(method, route, str(status)).inc()
        if scope["type"] == "http":
            SECONDS.labels(method, route).observe(seconds)
        if scope["path"] not in QUIET and not scope["path"].startswith("/assets/"):
            principal = scope.get("state", {}).get("principal")
            log.info(
                "request", method=method, path=scope["path"], status=status, duration_ms=round(seconds * 1000, 1),
                user=principal.username if principal else None, address=(scope.get("client") or ("",))[0],
            )  # fmt: skip


async def answer_internal(send: Any, request_id: str) -> None:
    """500 in the envelope, with nothing of the error but where to look it up."""
    error = PilothouseError("something went wrong here; the log says what", details={"request_id": request_id})
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": orjson.dumps(error.envelope())})
