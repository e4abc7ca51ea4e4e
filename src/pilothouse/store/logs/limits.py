"""What a push may hold: checked before anything is kept, refused in Loki's own words."""

from collections.abc import Iterable, Mapping

from pilothouse.core.errors import InvalidRequest
from pilothouse.core.labels import LABEL_NAME, format_labels
from pilothouse.core.times import MINUTE, format_instant
from pilothouse.store.logs.batch import StreamLines

MOST_LINE = 256 * 1024
"""Bytes of a line: Loki's own limit. A longer one is kept, cut and marked."""
MOST_LABELS = 30
"""Labels of a stream: Loki takes 15, and some collectors send more."""
MOST_NAME, MOST_VALUE = 1024, 2048
"""Bytes of a label's name and value, as in Loki."""
MOST_STREAMS = 100_000
"""Streams of a store: each costs memory for as long as it runs."""
GRACE = 10 * MINUTE
"""How far in the future a line may be: clocks differ, but not by more."""
TRUNCATED = "truncated"
"""Structured metadata of a line that was cut: how many bytes it had."""


def check_labels(labels: Mapping[str, str]) -> None:
    """Raises InvalidRequest where `labels` are no label set of a stream."""
    text = format_labels(labels)
    if not labels:
        raise InvalidRequest("error at least one label pair is required per stream", code="INVALID_LABELS")
    if len(labels) > MOST_LABELS:
        raise InvalidRequest(
            f"entry for stream '{text:.500}' has {len(labels)} label names; limit {MOST_LABELS}", code="INVALID_LABELS"
        )
    for name, value in labels.items():
        if not LABEL_NAME.match(name):
            raise InvalidRequest(
                f"stream '{text:.500}' has an invalid label name: {name!r:.100}; a name is letters, digits and "
                "underscores, and does not begin with a digit",
                code="INVALID_LABELS",
            )
        if len(name.encode()) > MOST_NAME or len(value.encode("utf-8", "replace")) > MOST_VALUE:
            raise InvalidRequest(
                f"stream '{text:.500}' has a label name or value that is too long: {name!r:.100}; limits "
                f"{MOST_NAME} and {MOST_VALUE} bytes",
                code="INVALID_LABELS",
            )


def cut_long_lines(stream: StreamLines) -> int:
    """Cut the lines that are over the limit and mark them in their metadata; how many there were."""
    if max(map(len, stream.lines), default=0) * 4 <= MOST_LINE:
        return 0
    cut = 0
    for i, line in enumerate(stream.lines):
        if len(line) * 4 <= MOST_LINE:
            continue
        raw = line.encode("utf-8", "replace")
        if len(raw) > MOST_LINE:
            stream.lines[i] = raw[:MOST_LINE].decode("utf-8", "ignore")
            stream.metadata = stream.metadata or [None] * len(stream.lines)
            stream.metadata[i] = {**(stream.metadata[i] or {}), TRUNCATED: str(len(raw))}
            cut += 1
    return cut


def drop_out_of_time(streams: Iterable[StreamLines], *, now: int, retention: int) -> list[str]:
    """Take out lines older than retention or of the future; what Loki says of each stream that had some."""
    refused = []
    oldest, newest = now - retention, now + GRACE
    for stream in streams:
        if not stream.ts or (min(stream.ts) >= oldest and max(stream.ts) <= newest):
            continue
        keep = [i for i, ts in enumerate(stream.ts) if oldest <= ts <= newest]
        name = format_labels(stream.labels)
        old, new = [ts for ts in stream.ts if ts < oldest], [ts for ts in stream.ts if ts > newest]
        if old:
            refused.append(
                f"entry for stream '{name}' has timestamp too old: {format_instant(max(old[0], 0))}, oldest acceptable "
                f"timestamp is: {format_instant(max(oldest, 0))} ({len(old)} entries refused)"
            )
        if new:
            refused.append(
                f"entry for stream '{name}' has timestamp too new: {format_instant(new[0])} "
                f"({len(new)} entries refused)"
            )
        stream.ts = [stream.ts[i] for i in keep]
        stream.lines = [stream.lines[i] for i in keep]
        stream.metadata = [stream.metadata[i] for i in keep] if stream.metadata else []
    return refused
