"""What belongs to the request under way, and so to each line that is written in it."""

from contextvars import ContextVar, Token
from typing import Any

_request: ContextVar[dict[str, Any] | None] = ContextVar("pilothouse_request", default=None)


def bind(**fields: Any) -> None:
    """Add fields to every further line of this request; nothing happens outside of one.

    Works from threads and tasks that the request started too: they share the request's own fields.
    """
    if (held := _request.get()) is not None:
        held.update(fields)


def bind_user(user: str) -> None:
    """Say whose request this is, as soon as the application knows it."""
    bind(user=user)


def current() -> dict[str, Any]:
    """The fields of the request under way; empty outside of one."""
    return _request.get() or {}


def begin(**fields: Any) -> Token[dict[str, Any] | None]:
    """Begin a request; give the token to `end`."""
    return _request.set(fields)


def end(token: Token[dict[str, Any] | None]) -> None:
    """The request is over."""
    _request.reset(token)
