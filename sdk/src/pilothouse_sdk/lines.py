"""One log record as one line of JSON."""

import json
import logging
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import structlog

from pilothouse_sdk import context
from pilothouse_sdk.redaction import Redactor, Room, shown

MAX_FRAMES, MAX_CAUSES = 50, 8
MAX_LINE = 200_000
"""Bytes of a line. Pilothouse, as Loki, cuts lines at 256 kB, and half an object is none."""
ROOMS = (100_000, 20_000, 2_000)
"""Characters that a line's values may take: the second and third are for what grows as it is escaped."""
FIELDS = "_pilothouse_fields"
"""The attribute of a record that carries what structlog was given."""
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", FIELDS, "color_message"}
_OWN = frozenset({"timestamp", "level", "logger", "message", "service", "exception", "stack"})
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


class JsonFormatter(logging.Formatter):
    """`timestamp` (UTC, microseconds), `level`, `logger`, `message`, `service`, the request's fields, then the rest.

    A field of the application's that has one of these names gets an underscore behind it: nothing is lost or shadowed.
    """

    def __init__(self, service: str, redactor: Redactor) -> None:
        super().__init__()
        self._service = service
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end, of at most MAX_LINE bytes. Never raises."""
        return self.encoded(record).decode()

    def encoded(self, record: logging.LogRecord) -> bytes:
        """As `format`, in UTF-8."""
        for room in ROOMS:
            try:
                line = _encode(self._fields(record, Room(room))).encode("utf-8", "backslashreplace")
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one value must not cost the line
                return _encode({**self._head(record, "a line that can't be shown"), "reason": shown(error)}).encode()
            if len(line) <= MAX_LINE:
                return line
        return _encode(self._head(record, "a line that is too long")).encode()

    def _head(self, record: logging.LogRecord, message: str) -> dict[str, Any]:
        return {
            "timestamp": datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "level": record.levelname,
            "logger": record.name,
            "message": message,
            "service": self._service,
        }

    def _fields(self, record: logging.LogRecord, room: Room) -> dict[str, Any]:
        clean = self._redactor
        line = self._head(record, clean.text(_message(record), room))
        # Before the fields, so that many of them leave it whole.
        error = record.exc_info[1] if record.exc_info else None
        exception = None if error is None else _exception(error, clean, room, 0)
        given = getattr(record, FIELDS, None) or {}
        extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        for key, value in {**structlog.contextvars.get_contextvars(), **context.current(), **extra, **given}.items():
            name = shown(key)
            line[f"{name}_" if name in _OWN else clean.text(name)] = clean.value(value, name, room)
        if exception is not None:
            line["exception"] = exception
        if record.stack_info:
            line["stack"] = clean.text(record.stack_info, room)
        return line


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - a wrong placeholder must not cost the line
        return f"{shown(record.msg)} {shown(record.args)}" if record.args else shown(record.msg)


def _exception(error: BaseException, clean: Redactor, room: Room, depth: int) -> dict[str, Any]:
    """Type, message and frames (the innermost last), with what caused it and, of a group, what is in it."""
    count = _length(error.__traceback__)
    frames = traceback.extract_tb(error.__traceback__, limit=-MAX_FRAMES)
    kind = type(error)
    module = "" if kind.__module__ in {"builtins", "__main__"} else f"{kind.__module__}."
    out: dict[str, Any] = {
        "type": module + kind.__qualname__,
        "message": clean.text(shown(error), room),
        "frames": [
            {"file": one.filename, "line": one.lineno, "function": one.name, "code": clean.text(one.line or "", room)}
            for one in frames
        ],
    }
    if count > len(frames):
        out["frames_left_out"] = count - len(frames)
    if notes := getattr(error, "__notes__", None):
        out["notes"] = clean.value(notes, "", room)
    room.left -= sum(len(one.filename) + len(one.name) + 40 for one in frames)
    if depth < MAX_CAUSES and room.left > 0:
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is not None:
            out["cause"] = _exception(cause, clean, room, depth + 1)
        if isinstance(error, BaseExceptionGroup):
            inner = error.exceptions
            out["exceptions"] = [_exception(one, clean, room, depth + 1) for one in inner[:MAX_CAUSES] if room.left > 0]
            if len(inner) > len(out["exceptions"]):
                out["exceptions_left_out"] = len(inner) - len(out["exceptions"])
    return out


def _length(trace: TracebackType | None) -> int:
    count = 0
    while trace is not None:
        count, trace = count + 1, trace.tb_next
    return count
