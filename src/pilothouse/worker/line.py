"""A line on its way from a source to the log backend."""

from collections.abc import Mapping

import msgspec

MOST_LINE = 256 * 1024
"""Bytes of a line: Loki's limit, and the embedded store's. A longer one is kept, cut and marked."""
TRUNCATED = "truncated"
"""Structured metadata of a line that was cut: how many bytes it had."""


class Collected(msgspec.Struct, frozen=True):
    """One line. `ts` is nanoseconds; `labels` name its stream; `metadata` is structured metadata."""

    labels: Mapping[str, str]
    ts: int
    text: str
    metadata: Mapping[str, str] | None = None

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
