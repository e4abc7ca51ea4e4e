"""One log record as one line of JSON."""

import json
import logging
import traceback
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog

from pilothouse_sdk import context
from pilothouse_sdk.redaction import Redactor, shown

MAX_FRAMES, MAX_CAUSES = 50, 8
FIELDS = "_pilothouse_fields"
"""The attribute of a record that carries what structlog was given."""
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", FIELDS, "color_message"}
_OWN = frozenset({"timestamp", "level", "logger", "message", "service", "exception"})


class JsonFormatter(logging.Formatter):
    """`timestamp` (UTC, microseconds), `level`, `logger`, `message`, `service`, the request's fields, then the rest.

    A field of the application's that has one of these names gets an underscore behind it: nothing is lost or shadowed.
    """

    def __init__(self, service: str, redactor: Redactor) -> None:
        super().__init__()
        self._service = service
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end. Never raises: what can't be shown is said to be so."""
        clean = self._redactor
        line: dict[str, Any] = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "level": record.levelname,
            "logger": record.name,
            "message": clean.text(_message(record)),
            "service": self._service,
        }
        given = getattr(record, FIELDS, None) or {}
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        for name, value in {**structlog.contextvars.get_contextvars(), **context.current(), **extra, **given}.items():
            line[f"{name}_" if name in _OWN else str(name)] = clean.value(value, str(name))
        if record.exc_info and record.exc_info[1] is not None:
            line["exception"] = _exception(record.exc_info[1], clean, 0)
        if record.stack_info:
            line["stack"] = clean.text(record.stack_info)
        try:
            return orjson.dumps(line).decode()
        except TypeError:  # half a surrogate pair, which UTF-8 has no place for
            return json.dumps(line)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - a wrong placeholder must not cost the line
        return f"{shown(record.msg)} {shown(record.args)}" if record.args else shown(record.msg)


def _exception(error: BaseException, clean: Redactor, depth: int) -> dict[str, Any]:
    """Type, message and frames (the innermost last), with what caused it and, of a group, what is in it."""
    frames = traceback.extract_tb(error.__traceback__)
    listed = [
        {"file": one.filename, "line": one.lineno, "function": one.name, "code": clean.text(one.line or "")}
        for one in frames[-MAX_FRAMES:]
    ]
    out: dict[str, Any] = {"type": type(error).__qualname__, "message": clean.text(shown(error)), "frames": listed}
    if type(error).__module__ not in {"builtins", "__main__"}:
        out["type"] = f"{type(error).__module__}.{out['type']}"
    if len(frames) > MAX_FRAMES:
        out["frames_left_out"] = len(frames) - MAX_FRAMES
    if depth < MAX_CAUSES:
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is not None:
            out["cause"] = _exception(cause, clean, depth + 1)
        if isinstance(error, BaseExceptionGroup):
            out["exceptions"] = [_exception(one, clean, depth + 1) for one in error.exceptions[:MAX_CAUSES]]
    return out
