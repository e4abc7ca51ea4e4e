"""A line on its way from a source to the log backend."""

from collections.abc import Mapping

import msgspec

from pilothouse.worker.collect.levels import level_of

MOST_LINE = 256 * 1024
"""Bytes of a line: Loki's limit, and the embedded store's. A longer one is kept, cut and marked."""
TRUNCATED = "truncated"
"""Structured metadata of a line that was cut: how many bytes it had."""

DETECTED = "detected_level"
"""Structured metadata: the level, as Loki names it."""


class Collected(msgspec.Struct, frozen=True):
    """One line. `ts` is nanoseconds; `labels` name its stream; `metadata` is structured metadata."""

    labels: Mapping[str, str]
    ts: int
    text: str
    metadata: Mapping[str, str] | None = None

    def with_level(self) -> "Collected":
        """Itself, with the level that its text begins with; what its source said of the level goes before that."""
        if DETECTED in (self.metadata or ()) or (level := level_of(self.text)) is None:
            return self
        return Collected(self.labels, self.ts, self.text, {**(self.metadata or {}), DETECTED: level})

    def cut(self) -> "Collected":
        """Itself, or where it is over the limit what fits of it, marked: a real Loki would refuse it."""
        if len(self.text) * 4 <= MOST_LINE:
            return self
        raw = self.text.encode()
        if len(raw) <= MOST_LINE:
            return self
        return Collected(
            self.labels,
            self.ts,
            raw[:MOST_LINE].decode("utf-8", "ignore"),
            {**(self.metadata or {}), TRUNCATED: str(len(raw))},
        )
