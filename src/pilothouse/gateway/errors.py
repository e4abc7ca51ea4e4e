"""Every failure in the one envelope; on /loki in Loki's own form."""

from collections.abc import Mapping
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from pilothouse.core.errors import (
    InvalidRequest,
    NotFound,
    PilothouseError,
    RateLimited,
    TooLarge,
    Unauthenticated,
)

LOKI_PATHS = ("/loki/", "/otlp/")


class MethodNotAllowed(PilothouseError):
    """There is such a path, but not for this method."""

    status = 405
    default_code = "METHOD_NOT_ALLOWED"


def respond(request: Request, error: PilothouseError, more: Mapping[str, str] | None = None) -> Response:
    """The answer for `error`, with `more` headers."""
    headers = dict(more or {})
    if isinstance(error, Unauthenticated):
        basic = request.url.path.startswith(LOKI_PATHS)
        headers["WWW-Authenticate"] = 'Basic realm="Pilothouse"' if basic else "Bearer"
    if isinstance(error, RateLimited) and "retry_after" in error.details:
        headers["Retry-After"] = str(error.details["retry_after"])
    if request.url.path.startswith(LOKI_PATHS):
        return PlainTextResponse(error.message + "\n", error.status, headers=headers)
    return Response(orjson.dumps(error.envelope(), default=str), error.status, headers, "application/json")


def install(app: FastAPI) -> None:
    """Register the handlers."""

    @app.exception_handler(PilothouseError)
    async def known(request: Request, error: PilothouseError) -> Response:
        return respond(request, error)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        problems = [problem_of(one) for one in error.errors()]
        first = problems[0]
        return respond(
            request, InvalidRequest(f"{first['field']}: {first['problem']}", details={"problems": problems[:20]})
        )

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> Response:
        match error.status_code:
            case 404:
                return respond(request, NotFound("there is nothing at this address"))
            case 405:
                known = MethodNotAllowed(f"{request.method} is not for this address")
                return respond(request, known, error.headers)
            case 413:
                return respond(request, getattr(error, "error", None) or TooLarge("the body is too large"))
            case _:
                return respond(request, InvalidRequest(str(error.detail)))


def problem_of(error: dict[str, Any]) -> dict[str, str]:
    """A validation error without the value, which may be a secret."""
    where = [str(part) for part in error["loc"] if part not in {"body", "query", "path", "header"}]
    return {"field": ".".join(where) or "body", "problem": str(error["msg"]).removeprefix("Value error, ")}
