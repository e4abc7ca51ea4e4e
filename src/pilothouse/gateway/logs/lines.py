"""From Loki's streams to the lines of our API, in an order that does not depend on how they were asked for."""

from collections.abc import Iterable, Sequence

import msgspec

from pilothouse.backends.loki import Stream
from pilothouse.core.cursor import Cursor, line_hash, stream_hash
from pilothouse.core.times import format_instant

LEVELS = {
    "trace": "DEBUG", "debug": "DEBUG", "info": "INFO", "warn": "WARN", "warning": "WARN",
    "error": "ERROR", "err": "ERROR", "critical": "ERROR", "fatal": "ERROR",
}  # fmt: skip
WORDS = {
    "DEBUG": ("debug", "trace"),
    "INFO": ("info",),
    "WARN": ("warn", "warning"),
    "ERROR": ("error", "err", "critical", "fatal"),
    "UNKNOWN": ("unknown", ""),
}
"""The words of detected_level that each of our levels stands for."""
DETECTED = "detected_level"


class LogLine(msgspec.Struct, frozen=True):
    """One line. `metadata` holds the stream's labels and structured metadata; `cursor` names the line for good."""

    timestamp: str
    level: str
    service: str
    message: str
    metadata: dict[str, str]
    cursor: str


class Placed(msgspec.Struct, frozen=True):
    """A line with its place in the order: by time, then by stream, then as it arrived."""

    cursor: Cursor
    line: LogLine


def level_of(word: str) -> str:
    """DEBUG, INFO, WARN, ERROR, or UNKNOWN where the line says nothing."""
    return LEVELS.get(word.lower(), "UNKNOWN")


def place(streams: Iterable[Stream], *, forward: bool) -> list[Placed]:
    """All lines of an answer, oldest first. `forward` says in which direction the answer came."""
    placed: list[Placed] = []
    for stream in streams:
        labels = stream.stream
        hashed = stream_hash(labels)
        service = labels.get("service_name", "")
        for entry in stream.values if forward else reversed(stream.values):
            metadata = {**labels, **entry.categories.structured_metadata}
            word = metadata.get(DETECTED, "") or metadata.get("level", "")
            ts = int(entry.ts)
            cursor = Cursor(ts, hashed, line_hash(entry.line))
            placed.append(
                Placed(
                    cursor,
                    LogLine(
                        timestamp=format_instant(ts),
                        level=level_of(word),
                        service=service,
                        message=entry.line,
                        metadata=metadata,
                        cursor=str(cursor),
                    ),
                )
            )
    placed.sort(key=_order)
    return placed


def _order(placed: Placed) -> tuple[int, int]:
    return placed.cursor.ts, placed.cursor.stream


def to_lines(streams: Iterable[Stream], *, forward: bool = False) -> list[LogLine]:
    """All lines of an answer, oldest first."""
    return [placed.line for placed in place(streams, forward=forward)]


def behind(lines: Sequence[Placed], cursor: Cursor) -> int:
    """The index behind the line that `cursor` names; where it is gone, that of the first line sorting after it."""
    for index in range(len(lines) - 1, -1, -1):
        if lines[index].cursor == cursor:
            return index + 1
    return sum(1 for placed in lines if placed.cursor <= cursor)
