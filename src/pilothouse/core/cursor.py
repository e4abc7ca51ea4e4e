"""A place in a log: it survives paging, restarts, and a change of backend."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from pilothouse.core.errors import InvalidRequest
from pilothouse.core.labels import format_labels


@dataclass(frozen=True, slots=True, order=True)
class Cursor:
    """Names one line by what any Loki can tell of it: time (ns), CRC-32 of its stream's labels and of its text.

    Text form: 32 lower-case hex digits (16 time, 8 stream, 8 line). Lines with equal time are ordered by stream.
    """

    ts: int
    stream: int
    line: int

    def __str__(self) -> str:
        """The text form, as clients hold it."""
        return f"{self.ts:016x}{self.stream:08x}{self.line:08x}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises InvalidRequest where `text` is not a cursor."""
        if len(text) != 32 or not text.isascii() or not all(c in "0123456789abcdef" for c in text):
            raise InvalidRequest(
                "cursor must be one that an earlier answer gave",
                code="INVALID_CURSOR",
                details={"field": "cursor"},
            )
        return cls(int(text[:16], 16), int(text[16:24], 16), int(text[24:], 16))


def stream_hash(labels: Mapping[str, str]) -> int:
    """CRC-32 of a stream's canonical label text."""
    return zlib.crc32(format_labels(labels).encode())


def line_hash(line: str) -> int:
    """CRC-32 of a line's UTF-8."""
    return zlib.crc32(line.encode("utf-8", "surrogatepass"))
