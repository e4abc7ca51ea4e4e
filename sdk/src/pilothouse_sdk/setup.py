"""Configure the standard library's logging and structlog at once."""

import logging
import os
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import structlog

from pilothouse_sdk import hooks
from pilothouse_sdk.delivery import LOGGED, Console, Delivery, Sink
from pilothouse_sdk.files import SharedLogFile, check_path
from pilothouse_sdk.lines import FIELDS, JsonFormatter
from pilothouse_sdk.redaction import Redactor

DEFAULT_PATH = "/var/log/docaiche/api.log"
ACCESS_LOGGERS = ("uvicorn.access", "gunicorn.access", "hypercorn.access")
SERVER_LOGGERS = ("uvicorn", "uvicorn.error", "gunicorn.error", "hypercorn.error", *ACCESS_LOGGERS)

_setting_up = threading.Lock()


def setup_structured_logging(
    level: str | int = "INFO",
    enable_file_logging: bool = True,  # noqa: FBT001, FBT002 - callers name it
    log_path: str | os.PathLike[str] = DEFAULT_PATH,
    *,
    service: str | None = None,
    enable_console_logging: bool | None = None,
    max_bytes: int = 50 * 1024 * 1024,
    backups: int = 5,
    queue_size: int = 10_000,
    redact: Iterable[str] = (),
    redact_personal: bool = True,
) -> None:
    """Make every line of the standard library's logging and of structlog a line of JSON.

    level: a name or number of the standard library's.
    enable_file_logging, log_path: whether and where a file is written; its directory is made.
    service: the `service` of each line; by default OTEL_SERVICE_NAME, or the file's name without its ending.
    enable_console_logging: also to stdout, for containers; by default only where no file is written.
    max_bytes, backups: the file is renamed to `.1`, `.2` … as it reaches that size, and so many are kept.
    queue_size: lines that may wait to be written; beyond, they are dropped and counted in the log itself.
    redact: further names of fields whose values are never written.
    redact_personal: also take out e-mail addresses and card numbers.

    Called again, it replaces what was set up before, without losing a line. Raises LogPathError where the file can't be
    written, and ValueError for a level that is none or a number that makes no sense; then what was set up before stays.
    """
    number = _level_of(level)
    for option, given, least in (("max_bytes", max_bytes, 1), ("backups", backups, 1), ("queue_size", queue_size, 1)):
        if given < least:
            raise ValueError(f"{option} is {given}; want {least} or more")
    path = Path(log_path)
    sinks: list[Sink] = []
    if enable_file_logging:
        check_path(path)
        sinks.append(SharedLogFile(path, max_bytes=max_bytes, backups=backups))
    if enable_console_logging or (enable_console_logging is None and not enable_file_logging):
        sinks.append(Console(sys.stdout))
    name = service or os.environ.get("OTEL_SERVICE_NAME") or path.stem
    delivery = Delivery(JsonFormatter(name, Redactor(redact, personal=redact_personal)), sinks, capacity=queue_size)
    delivery.addFilter(_not_again)
    root = logging.getLogger()
    with _setting_up:
        # At once, so that a line which another thread logs meanwhile has either the old or the new.
        replaced, root.handlers = root.handlers, [delivery]
        root.setLevel(number)
        hooks.watch(delivery)
        _take_over_servers()
        _configure_structlog()
        logging.captureWarnings(True)
        for handler in replaced:
            handler.close()


def flush_logging(seconds: float = 5.0) -> bool:
    """Wait until all that was logged so far is written; False where that took longer. Useful before os._exit."""
    delivery = hooks.current()
    return delivery is None or delivery.flush_all(seconds)


def _level_of(level: str | int) -> int:
    if isinstance(level, int):
        return level
    known = logging.getLevelNamesMapping()
    if (number := known.get(level.strip().upper())) is None:
        raise ValueError(f"{level!r} is no level; want one of {', '.join(known)}")
    return number


def _take_over_servers() -> None:
    """What web servers set up for their own loggers goes; their lines come to the root like all others."""
    for name in SERVER_LOGGERS:
        logger = logging.getLogger(name)
        for handler in logger.handlers[:]:
            logger.removeHandler(handler)
        logger.propagate = True


def _not_again(record: logging.LogRecord) -> bool:
    """An exception that RequestLogMiddleware has written is not written again by the server around it."""
    error = record.exc_info[1] if record.exc_info else None
    return record.name not in SERVER_LOGGERS or not getattr(error, LOGGED, False)


def _configure_structlog() -> None:
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, _to_standard_library],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _to_standard_library(logger: Any, method: str, event: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The event as the arguments of the standard library's logger: its text, and all else as the record's fields."""
    del logger
    fields = dict(event)
    # Placeholders are filled where a wrong one is no error of the application's.
    arguments = (fields.pop("event", ""), *fields.pop("positional_args", ()))
    error = fields.pop("exc_info", method == "exception" or None)
    return arguments, {
        "exc_info": error,
        "stack_info": bool(fields.pop("stack_info", False)),
        "extra": {FIELDS: fields},
    }
