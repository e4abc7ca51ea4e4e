"""A line on its way from a source to the log backend."""

from collections.abc import Mapping

import msgspec


class Collected(msgspec.Struct, frozen=True):
    """One line. `ts` is nanoseconds; `labels` name its stream; `metadata` is structured metadata."""

    labels: Mapping[str, str]
    ts: int
    text: str
    metadata: Mapping[str, str] | None = None
