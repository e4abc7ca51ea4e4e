"""Lines of one push, decoded and checked, on their way to the WAL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from pilothouse.store.logs import levels
from pilothouse.store.logs.schema import METADATA, SCHEMA


@dataclass(kw_only=True, slots=True)
class StreamLines:
    """Lines of one stream in the order they came. `metadata` is parallel to `lines`, or empty where none has any."""

    labels: Mapping[str, str]
    ts: list[int] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    metadata: list[Mapping[str, str] | None] = field(default_factory=list)


def levels_of(stream: StreamLines) -> list[int]:
    """The level code of each line."""
    fixed = levels.of_labels(stream.labels)
    if not stream.metadata:
        return [fixed] * len(stream.lines) if fixed is not None else levels.of_lines(stream.lines)
    out = []
    for line, metadata in zip(stream.lines, stream.metadata, strict=True):
        code = levels.code_of(metadata[levels.DETECTED]) if metadata and levels.DETECTED in metadata else fixed
        if code is None and metadata:
            code = levels.of_labels(metadata)
            if code is None and (number := metadata.get(levels.SEVERITY_NUMBER)) is not None:
                code = levels.of_severity_number(number)
        out.append(levels.of_lines((line,))[0] if code is None else code)
    return out


def to_record_batch(streams: Sequence[tuple[int, StreamLines]]) -> pa.RecordBatch:
    """Streams with their ids, as one batch of the store's schema in the order given."""
    ts: list[int] = []
    ids: list[int] = []
    codes: list[int] = []
    lines: list[str] = []
    metadata: list[list[tuple[str, str]] | None] = []
    some = any(stream.metadata for _, stream in streams)
    for number, stream in streams:
        ts += stream.ts
        ids += [number] * len(stream.ts)
        lines += stream.lines
        codes += levels_of(stream)
        if some:
            metadata += [_pairs(one) for one in stream.metadata] or [None] * len(stream.ts)
    return pa.record_batch(
        [
            pa.array(ts, pa.int64()),
            pa.array(ids, pa.int32()),
            pa.array(codes, pa.uint8()),
            pa.array(lines, pa.string()),
            pa.array(metadata, METADATA) if some else pa.nulls(len(ts), METADATA),
        ],
        schema=SCHEMA,
    )


def _pairs(metadata: Mapping[str, str] | None) -> list[tuple[str, str]] | None:
    pairs = sorted((name, value) for name, value in (metadata or {}).items() if name != levels.DETECTED)
    return pairs or None
