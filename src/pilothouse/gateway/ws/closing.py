"""How a WebSocket is told why it is closed: a code, and the error envelope as the reason."""

import orjson
from starlette.websockets import WebSocket

from pilothouse.core.errors import PilothouseError

CLOSE_CODES = {401: 4001, 403: 4003, 404: 4004, 400: 4008, 413: 4008, 429: 4008, 502: 4011, 503: 4011, 504: 4011}
MOST_REASON = 123
"""Bytes of a close frame's reason, by RFC 6455."""


def close_reason(error: PilothouseError) -> str:
    """The envelope as a close frame's reason: cut to what fits, and still JSON."""
    message = error.message
    while True:
        text = orjson.dumps({"error": {"code": error.code, "message": message}})
        if len(text) <= MOST_REASON:
            return text.decode()
        message = message[: max(0, len(message) - max(1, len(text) - MOST_REASON))]


async def refuse_socket(socket: WebSocket, error: PilothouseError) -> None:
    """Accept and close at once, with the code and the envelope that say why."""
    await socket.accept()
    await socket.close(CLOSE_CODES.get(error.status, 4011), close_reason(error))
