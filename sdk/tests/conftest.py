"""Each test sets logging up for itself, on a file of its own, and leaves none of it behind."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from pilothouse_sdk import flush_logging, setup_structured_logging
from pilothouse_sdk.setup import SERVER_LOGGERS

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """Where the log is to be; what was there of logging before is there again afterwards."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    for handler in before:
        root.removeHandler(handler)
    yield tmp_path / "logs" / "api.log"
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        handler.close()
    for handler in before:
        root.addHandler(handler)
    root.setLevel(level)
    for name in SERVER_LOGGERS:
        logging.getLogger(name).setLevel(logging.NOTSET)
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture
def lines(path: Path) -> Lines:
    """Reads what was written, one object a line."""

    def read() -> list[dict[str, Any]]:
        assert flush_logging()
        return [json.loads(line) for line in path.read_text().split("\n") if line]

    return read


@pytest.fixture
def log(path: Path) -> logging.Logger:
    """Set up as the issue's users do, at INFO."""
    setup_structured_logging(level="INFO", enable_file_logging=True, log_path=str(path))
    return logging.getLogger("shop.orders")
