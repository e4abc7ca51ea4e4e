"""Bounds what a client can send, whether it says beforehand how much or not."""

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pilothouse.core.errors import TooLarge

MOST_BODY = 1 << 20
"""Bytes of an API request: the largest is a LogQL query."""
MOST_PUSH = 16 << 20
"""Bytes of a push as sent, as in the store."""
PUSH_PATHS = ("/loki/api/v1/push", "/otlp/")


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
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > limit:
            await refuse(send, limit)
            return
        size, started = 0, False

        async def bounded() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > limit:
                raise _OverLimitError
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, bounded, noted)
        except _OverLimitError:
            if started:
                raise
            await refuse(send, limit)


class _OverLimitError(Exception):
    """More came than was allowed."""


async def refuse(send: Send, limit: int) -> None:
    """Answer 413 and close."""
    error = TooLarge(f"the body is over the limit of {limit:,} bytes", details={"limit_bytes": limit})
    headers = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": orjson.dumps(error.envelope())})
