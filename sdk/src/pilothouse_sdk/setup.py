"""Configure the standard library's logging and structlog at once."""

import atexit
import logging
import os
import sys
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import structlog

from pilothouse_sdk.delivery import Delivery
from pilothouse_sdk.files import SharedRotatingFile, check_path
from pilothouse_sdk.lines import FIELDS, JsonFormatter
from pilothouse_sdk.redaction import Redactor

DEFAULT_PATH = "/var/log/docaiche/api.log"
SERVER_LOGGERS = ("uvicorn", "uvicorn.error", "uvicorn.access", "gunicorn.error", "gunicorn.access", "hypercorn.error")

_current: Delivery | None = None
_hooks = {"fork": False, "exit": False, "errors": False}


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

    Called again, it replaces what was set up before. Raises LogPathError where the file can't be written, and
    ValueError for a level that is none; then what was set up before stays.
    """
    global _current  # noqa: PLW0603 - the logging of a process is one
    number = _level_of(level)
    path = Path(log_path)
    if enable_file_logging:
        check_path(path)
    sinks: list[logging.Handler] = []
    if enable_file_logging:
        sinks.append(SharedRotatingFile(path, max_bytes=max_bytes, backups=backups))
    if enable_console_logging or (enable_console_logging is None and not enable_file_logging):
        console = logging.StreamHandler(sys.stdout)
        console.setFormatter(logging.Formatter("%(message)s"))
        sinks.append(console)
    name = service or os.environ.get("OTEL_SERVICE_NAME") or path.stem
    formatter = JsonFormatter(name, Redactor(redact, personal=redact_personal))
    delivery = Delivery(formatter, sinks, capacity=queue_size)

    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        handler.close()
    root.addHandler(delivery)
    root.setLevel(number)
    _current = delivery
    _take_over_servers()
    _configure_structlog()
    logging.captureWarnings(True)
    _hook()


def flush_logging(seconds: float = 5.0) -> bool:
    """Wait until all that was logged so far is written; False where that took longer. Useful before os._exit."""
    return _current is None or _current.flush_all(seconds)


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


def _configure_structlog() -> None:
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            _to_standard_library,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def _to_standard_library(logger: Any, method: str, event: Any) -> tuple[tuple[str], Mapping[str, Any]]:
    """The event as the arguments of the standard library's logger: its text, and all else as the record's fields."""
    del logger
    fields = dict(event)
    text = str(fields.pop("event", ""))
    error = fields.pop("exc_info", method == "exception" or None)
    options = {"exc_info": error, "stack_info": bool(fields.pop("stack_info", False)), "extra": {FIELDS: fields}}
    return (text,), options


def _hook() -> None:
    if not _hooks["exit"]:
        _hooks["exit"] = True
        atexit.register(_finish)
    if not _hooks["fork"]:
        _hooks["fork"] = True
        os.register_at_fork(after_in_child=lambda: _current.after_fork() if _current is not None else None)
    if not _hooks["errors"]:
        _hooks["errors"] = True
        before, before_thread = sys.excepthook, threading.excepthook

        def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
            if not issubclass(kind, KeyboardInterrupt):
                logging.getLogger("uncaught").critical("uncaught exception", exc_info=(kind, error, trace))
            before(kind, error, trace)

        def uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
            if args.exc_value is not None:
                logging.getLogger("uncaught").critical(
                    "uncaught exception in thread %s", args.thread.name if args.thread else "?", exc_info=args.exc_value
                )
            before_thread(args)

        sys.excepthook = uncaught
        threading.excepthook = uncaught_in_thread


def _finish() -> None:
    if _current is not None:
        logging.getLogger().removeHandler(_current)
        _current.close()
