"""Brings back, at the start, what was acknowledged and is in no segment yet."""

from pathlib import Path

import msgspec
import pyarrow as pa
import structlog

from pilothouse.store.logs import wal
from pilothouse.store.logs.head import Head
from pilothouse.store.logs.schema import SCHEMA
from pilothouse.store.logs.streams import StreamIndex

log = structlog.get_logger(__name__)
Definitions = tuple[int, list[dict[str, str]]]
"""What a STREAMS record holds: the id of the first, and the labels of each from there on."""


def replay(root: Path, *, first: int, streams: StreamIndex, head: Head) -> int:
    """Read the write-ahead log from file `first` on into `streams` and `head`; gives the last file's number.

    Damaged parts are copied to `quarantine/`, and a torn tail is cut. Files before `first` are deleted: their lines
    are in segments. Raises OSError.
    """
    files = wal.files(root / "wal")
    last = first - 1
    for path in files:
        number = wal.number_of(path)
        if number < first:
            path.unlink()
            continue
        last = max(last, number)
        damage: list[wal.Damage] = []
        for kind, payload in wal.read(path, last=path == files[-1], damaged=damage.append):
            _apply(kind, payload, streams=streams, head=head)
        for one in damage:
            if one.torn_tail:
                wal.cut_tail(path, one)
            else:
                _set_aside(root, path, one)
    return last


def _apply(kind: wal.RecordKind, payload: memoryview, *, streams: StreamIndex, head: Head) -> None:
    if kind is wal.RecordKind.STREAMS:
        first, defined = msgspec.msgpack.decode(payload, type=Definitions)
        _stand_in(streams, first)
        for number, labels in enumerate(defined, first):
            streams.define(number, labels)
        return
    batch = pa.ipc.read_record_batch(pa.py_buffer(bytes(payload)), SCHEMA)
    _stand_in(streams, int(batch.column("stream").to_numpy().max()) + 1)
    head.append(batch)


def _stand_in(streams: StreamIndex, upto: int) -> None:
    """Make streams whose definition was in a damaged record, so that their lines can be found."""
    while len(streams) < upto:
        streams.add({"service_name": "recovered", "stream_number": str(len(streams))})


def _set_aside(root: Path, path: Path, damage: wal.Damage) -> None:
    with path.open("rb") as file:
        file.seek(damage.offset)
        part = file.read(damage.length)
    (root / "quarantine" / f"{damage.file}-{damage.offset}").write_bytes(part)
    log.error("a part of the write-ahead log is damaged and was set aside", file=damage.file, offset=damage.offset,
              length=damage.length)  # fmt: skip
