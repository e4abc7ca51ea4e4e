"""A whole range of lines as a file: NDJSON, CSV or text, made while it is sent."""

import csv
import io
from collections.abc import AsyncIterator, Callable
from enum import StrEnum

import msgspec

from pilothouse.gateway.logs.lines import LogLine

FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes for a formula at the start of a cell; such a cell gets an apostrophe before it."""


class ExportFormat(StrEnum):
    """How lines are written."""

    NDJSON = "ndjson"
    CSV = "csv"
    TEXT = "text"


MEDIA_TYPES = {
    ExportFormat.NDJSON: "application/x-ndjson",
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.TEXT: "text/plain; charset=utf-8",
}
SUFFIXES = {ExportFormat.NDJSON: "ndjson", ExportFormat.CSV: "csv", ExportFormat.TEXT: "log"}


async def encoded(pages: AsyncIterator[list[LogLine]], to: ExportFormat) -> AsyncIterator[bytes]:
    """The file in pieces, one a page."""
    write = WRITERS[to]
    if to is ExportFormat.CSV:
        yield b"timestamp,level,service,message,metadata\r\n"
    async for lines in pages:
        yield write(lines)


def as_ndjson(lines: list[LogLine]) -> bytes:
    """A JSON document a line."""
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


def as_csv(lines: list[LogLine]) -> bytes:
    """RFC 4180, safe to open in a spreadsheet."""
    out = io.StringIO()
    writer = csv.writer(out)
    for line in lines:
        metadata = msgspec.json.encode(line.metadata).decode()
        writer.writerow([line.timestamp, line.level, cell(line.service), cell(line.message), metadata])
    return out.getvalue().encode("utf-8", "replace")


def cell(text: str) -> str:
    """`text` so that no spreadsheet runs it."""
    return f"'{text}" if text.startswith(FORMULA) else text


def as_text(lines: list[LogLine]) -> bytes:
    """Time, level, service, message."""
    text = "".join(f"{line.timestamp} {line.level:7} {line.service} {line.message}\n" for line in lines)
    return text.encode("utf-8", "replace")


WRITERS: dict[ExportFormat, Callable[[list[LogLine]], bytes]] = {
    ExportFormat.NDJSON: as_ndjson,
    ExportFormat.CSV: as_csv,
    ExportFormat.TEXT: as_text,
}
