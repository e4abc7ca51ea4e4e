"""The error root and its tree. Each carries what the wire envelope needs.

PilothouseError                500 INTERNAL
├── InvalidRequest             400 INVALID_REQUEST   (or a more precise code)
├── Unauthenticated            401 UNAUTHENTICATED
├── Forbidden                  403 FORBIDDEN
├── NotFound                   404 NOT_FOUND
├── Conflict                   409 CONFLICT
├── TooLarge                   413 TOO_LARGE
├── RateLimited                429 RATE_LIMITED
├── UpstreamFailed             502 UPSTREAM_FAILED
├── Unavailable                503 UNAVAILABLE
├── QueryTimeout               504 QUERY_TIMEOUT
└── StorageFull                507 STORAGE_FULL
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class PilothouseError(Exception):
    """Something a client can be told. `message` is for a person, `code` for a program, `details` for both."""

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, *, code: str | None = None, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.details: dict[str, Any] = dict(details or {})

    def envelope(self) -> dict[str, Any]:
        """The wire shape `{"error": {"code", "message", "details"}}`."""
        return {"error": {"code": self.code, "message": self.message, "details": self.details}}


class InvalidRequest(PilothouseError):
    """The request can't be understood or asks for something out of bounds; `details` names the field."""

    status = 400
    default_code = "INVALID_REQUEST"


class Unauthenticated(PilothouseError):
    """Nobody is signed in, or the credential is expired, revoked or wrong."""

    status = 401
    default_code = "UNAUTHENTICATED"


class Forbidden(PilothouseError):
    """The principal may not do this to that."""

    status = 403
    default_code = "FORBIDDEN"


class NotFound(PilothouseError):
    """No such thing, or none that the caller may see: the two are not told apart."""

    status = 404
    default_code = "NOT_FOUND"


class Conflict(PilothouseError):
    """The thing exists already, or is in a state that does not allow this."""

    status = 409
    default_code = "CONFLICT"


class TooLarge(PilothouseError):
    """A body, header, line or result over its limit; `details` names the limit."""

    status = 413
    default_code = "TOO_LARGE"


class RateLimited(PilothouseError):
    """Too many requests; `details.retry_after` is in seconds."""

    status = 429
    default_code = "RATE_LIMITED"


class UpstreamFailed(PilothouseError):
    """A backend refused, broke off or answered nonsense."""

    status = 502
    default_code = "UPSTREAM_FAILED"


class Unavailable(PilothouseError):
    """A part is starting, draining or away; trying again later will help."""

    status = 503
    default_code = "UNAVAILABLE"


class QueryTimeout(PilothouseError):
    """A query outran its time budget; `details` says how far it came."""

    status = 504
    default_code = "QUERY_TIMEOUT"


class StorageFull(PilothouseError):
    """The disk has no room: nothing was acknowledged, nothing acknowledged was lost."""

    status = 507
    default_code = "STORAGE_FULL"
