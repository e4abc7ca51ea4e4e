"""The generated lines, encoded as pushes: made once, then sent as often as is asked."""

import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import cramjam
import msgspec

from bench import loggen

LINES_A_PUSH = 5_000
SPAN_SECONDS = 3600


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """Push bodies, their type, and what is known of the lines in them. Times are in ns; `raw_bytes` is of lines."""

    bodies: tuple[bytes, ...]
    content_type: str
    lines: int
    raw_bytes: int
    start_ns: int
    end_ns: int
    present_id: str


def make(lines: int, *, protobuf: bool = False) -> Corpus:
    """`lines` lines of the last hour. The same on every run, but for their times."""
    end = time.time_ns()
    raw = 0
    middle = ""
    bodies = []
    stream = loggen.lines(lines, end, SPAN_SECONDS)
    for batch in iter(lambda: list(itertools.islice(stream, LINES_A_PUSH)), []):
        by_service: dict[str, list[tuple[int, str]]] = {}
        for ts, service, _, line in batch:
            by_service.setdefault(service, []).append((ts, line))
            raw += len(line)
        if len(bodies) == lines // LINES_A_PUSH // 2:
            middle = next(json.loads(line)["request_id"] for _, _, _, line in batch if line.startswith("{"))
        bodies.append(_protobuf(by_service) if protobuf else _json(by_service))
    return Corpus(
        bodies=tuple(bodies), content_type="application/x-protobuf" if protobuf else "application/json", lines=lines,
        raw_bytes=raw, start_ns=end - SPAN_SECONDS * 10**9, end_ns=end, present_id=middle,
    )  # fmt: skip


def _json(by_service: dict[str, list[tuple[int, str]]]) -> bytes:
    streams = [
        {"stream": {"service_name": name}, "values": [(str(ts), line) for ts, line in entries]}
        for name, entries in by_service.items()
    ]
    return msgspec.json.encode({"streams": streams})


def _protobuf(by_service: dict[str, list[tuple[int, str]]]) -> bytes:
    """As Promtail sends it."""
    from pilothouse.store.api.pb.push_pb2 import PushRequest  # noqa: PLC0415 - only where it is asked for

    request = PushRequest()
    for name, entries in by_service.items():
        stream = request.streams.add(labels=f'{{service_name="{name}"}}'.encode())
        for ts, line in entries:
            entry = stream.entries.add(line=line.encode())
            entry.timestamp.seconds, entry.timestamp.nanos = divmod(ts, 10**9)
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


def sizes(corpus: Corpus) -> Iterator[str]:
    """What was made, for a person."""
    yield f"{corpus.lines:,} lines, {corpus.raw_bytes / 1e6:.0f} MB, in {len(corpus.bodies)} pushes"
