"""What a tail says to its client. Each frame is a JSON text; one that many clients get is encoded once."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import msgspec

from pilothouse.core.errors import PilothouseError
from pilothouse.core.times import format_instant
from pilothouse.gateway.logs.lines import Placed

MOST_LINES = 500
"""Lines of one frame: about 100 kB, which a browser reads in a millisecond."""
HEARTBEAT = '{"type":"heartbeat"}'


class Batch:
    """Up to MOST_LINES lines, oldest first, encoded when the first client sends them."""

    def __init__(self, placed: Sequence[Placed]) -> None:
        self.placed = tuple(placed)

    @cached_property
    def frame(self) -> str:
        """`{"type": "lines", "lines": […]}`."""
        return msgspec.json.encode({"type": "lines", "lines": [one.line for one in self.placed]}).decode()


@dataclass(frozen=True, kw_only=True, slots=True)
class Gap:
    """Lines that were not sent: `dropped` of them between `start` and `end` (ns); 0 means that nobody counted."""

    start: int
    end: int
    dropped: int
    reason: str

    @property
    def frame(self) -> str:
        """`{"type": "gap", from, to, dropped, reason}`; `to` is the first nanosecond after the gap."""
        gap = {"from": format_instant(self.start), "to": format_instant(self.end + 1)}
        return msgspec.json.encode({"type": "gap", **gap, "dropped": self.dropped, "reason": self.reason}).decode()

    def __or__(self, other: "Gap") -> "Gap":
        """Both as one."""
        return Gap(
            start=min(self.start, other.start),
            end=max(self.end, other.end),
            dropped=self.dropped + other.dropped,
            reason=self.reason,
        )


@dataclass(frozen=True, slots=True)
class Notice:
    """Something went wrong, and the tail goes on."""

    frame: str

    @classmethod
    def of(cls, error: PilothouseError) -> "Notice":
        """The frame `{"type": "error", "error": {code, message, details}}`."""
        return cls(msgspec.json.encode({"type": "error", **error.envelope()}).decode())


def batches(placed: Sequence[Placed]) -> Iterator[Batch]:
    """Lines in frames."""
    for at in range(0, len(placed), MOST_LINES):
        yield Batch(placed[at : at + MOST_LINES])
