"""Pilothouse's own log: JSON lines in DATA_DIR/own, which the worker collects like any other, and on stderr."""

import logging
import logging.handlers
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import orjson
import structlog

from pilothouse.settings import Settings

MOST_BYTES, KEPT = 8 << 20, 2
"""Bytes of a file before it is rotated, and how many rotated ones are kept: the store has the rest."""
MASK = "[masked]"
SECRET_NAME = re.compile(r"pass(word|wd)?$|secret|token|authorization|cookie|api_?key|otp|private", re.IGNORECASE)
SECRET_TEXT = re.compile(r"(?i)(bearer\s+|basic\s+|ph_|token=|ticket=|password=)[A-Za-z0-9._~+/=-]{6,}")


def setup(process: str, settings: Settings) -> None:
    """Configure structlog and the standard library's logging of this process. Raises OSError."""
    directory = settings.data_dir / "own"
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        structlog.stdlib.ExtraAdder(),
        mask,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    lines = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            lambda _logger, _name, event: _as_line(event, process),
        ],
    )
    file = logging.handlers.RotatingFileHandler(
        directory / f"{process}.log", maxBytes=MOST_BYTES, backupCount=KEPT, encoding="utf-8"
    )
    file.setFormatter(lines)
    terminal = logging.StreamHandler(sys.stderr)
    if sys.stderr.isatty():
        terminal.setFormatter(
            structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=structlog.dev.ConsoleRenderer())
        )
        terminal.setLevel(logging.WARNING)
    else:
        terminal.setFormatter(lines)
    root = logging.getLogger()
    root.handlers = [file, terminal]
    root.setLevel(settings.log_level)
    for noisy in ("uvicorn", "uvicorn.error", "asyncio", "aiosqlite", "sqlalchemy.engine", "alembic"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _as_line(event: MutableMapping[str, Any], process: str) -> str:
    line = {
        "timestamp": event.pop("timestamp", None),
        "level": str(event.pop("level", "info")).upper(),
        "logger": event.pop("logger", None),
        "message": event.pop("event", ""),
        "process": process,
        **event,
    }
    return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def mask(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Take secrets out of an event, by the names of its fields and by the look of its texts."""
    for name, value in event.items():
        event[name] = masked(name, value)
    return event


def masked(name: str, value: Any) -> Any:
    """`value` without what is secret in it."""
    if SECRET_NAME.search(name):
        return MASK
    if isinstance(value, str):
        return SECRET_TEXT.sub(lambda found: found[1] + MASK, value)
    if isinstance(value, Mapping):
        return {key: masked(str(key), one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [masked(name, one) for one in value]
    return value
