"""Loki's form of an error: its text alone, and the status."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from pilothouse.core.errors import PilothouseError

Endpoint = Callable[[Request], Awaitable[Response]]


def refusal(error: PilothouseError) -> Response:
    """What a client of Loki's API is told."""
    return PlainTextResponse(error.message, error.status)


def in_lokis_form(endpoint: Endpoint) -> Endpoint:
    """The endpoint, with whatever it refuses told as Loki would."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except PilothouseError as error:
            return refusal(error)

    return answer
