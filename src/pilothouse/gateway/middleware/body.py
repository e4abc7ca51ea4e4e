"""Bounds what a client can send, whether it says beforehand how much or not."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pilothouse.core.errors import InvalidRequest, PilothouseError, TooLarge
from pilothouse.gateway.errors import respond

MOST_BODY = 1 << 20
"""Bytes of an API request: the largest is a LogQL query."""
MOST_PUSH = 16 << 20
"""Bytes of a push as sent, as in the store."""
PUSH_PATHS = ("/loki/api/v1/push", "/otlp/")


class OverLimitError(HTTPException):
    """More came than was allowed. FastAPI and Starlette let this kind through wherever the body is read."""

    def __init__(self, limit: int) -> None:
        super().__init__(413)
        self.error = too_large(limit)


class BodyMiddleware:
    """413 in the envelope for what is over the limit, before or while it is read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = MOST_PUSH if scope["path"].startswith(PUSH_PATHS) else MOST_BODY
        request = Request(scope)
        declared = request.headers.get("content-length", "0")
        if not declared.isascii() or not declared.isdigit():
            await refuse(request, InvalidRequest("Content-Length is not a number"), receive, send)
            return
        if int(declared) > limit:
            await refuse(request, too_large(limit), receive, send)
            return
        size = 0

        async def bounded() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit:
                raise OverLimitError(limit)
            return message

        await self._app(scope, bounded, send)


def too_large(limit: int) -> TooLarge:
    """The error for a body over `limit` bytes."""
    return TooLarge(f"the body is over the limit of {limit:,} bytes", details={"limit_bytes": limit})


async def refuse(request: Request, error: PilothouseError, receive: Receive, send: Send) -> None:
    """Answer without reading on, and close."""
    response = respond(request, error)
    response.headers["Connection"] = "close"
    await response(request.scope, receive, send)
