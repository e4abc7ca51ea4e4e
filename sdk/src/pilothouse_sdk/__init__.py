"""Structured logging for applications: JSON lines that Pilothouse, or any collector of logs, reads as they are."""

from pilothouse_sdk.asgi import RequestLogMiddleware
from pilothouse_sdk.context import bind, bind_user
from pilothouse_sdk.files import LogPathError
from pilothouse_sdk.setup import flush_logging, setup_structured_logging

__all__ = ["LogPathError", "RequestLogMiddleware", "bind", "bind_user", "flush_logging", "setup_structured_logging"]
