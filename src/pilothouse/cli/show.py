"""What the command line prints: tables, lines of logs, JSON."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

SGR = {"ERROR": "31", "WARN": "33", "DEBUG": "2"}


def as_json(value: object) -> None:
    """One JSON document on stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=None if isinstance(value, list) else 2) + "\n")


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table as wide as the terminal."""
    from rich.console import Console  # noqa: PLC0415 - takes 50 ms
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    out = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        out.add_column(column, overflow="fold")
    for row in rows:
        out.add_row(*(Text(printable("" if cell is None else str(cell))) for cell in row))
    Console().print(out)


def printable(text: str) -> str:
    """`text` without what could drive a terminal: a log line may hold anything."""
    return "".join(c if c.isprintable() or c == "\t" else f"\\x{ord(c):02x}" for c in text)


def log_line(line: Mapping[str, Any], *, with_json: bool, with_service: bool = False) -> None:
    """One line of a log: time, level, message; coloured by level on a terminal."""
    if with_json:
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
        return
    level = line["level"] or ""
    service = f"{printable(str(line['service']))} " if with_service else ""
    message = "\n    ".join(printable(part) for part in str(line["message"]).splitlines())
    text = f"{line['timestamp'][:23]}Z {level:5} {service}{message}"
    if sys.stdout.isatty() and level in SGR:
        text = f"\x1b[{SGR[level]}m{text}\x1b[0m"
    sys.stdout.write(text + "\n")
