"""From the pieces of a container's output to events, so that after a crash the same pieces give the same events."""

import time

import msgspec

from pilothouse.core.errors import InvalidRequest
from pilothouse.core.times import SECOND, now_ns, parse_instant
from pilothouse.worker.collect.joiner import Joiner

STREAMS = ("stdout", "stderr")
HOLD_SECONDS = 0.3
"""How long an event waits for what may still belong to it, once its stream is quiet."""
PART_SECONDS = 5.0
"""How long a part of a line waits for the next: Docker hands a line over in parts of 16 kB as they fill."""
OVERLAP = SECOND
"""Pieces of the two streams can lie in each other's past by the time between stamping and writing them."""


class Mark(msgspec.Struct, frozen=True, array_like=True, order=True):
    """A place in a stream: all pieces before time `ts` (ns), and of those at `ts` the first `count`."""

    ts: int = 0
    count: int = 0


class ContainerPosition(msgspec.Struct, frozen=True):
    """How far each stream is acknowledged, and how far (`upto`) a batch reaches that was under way.

    Nothing that is not acknowledged is older than `since` (ns).
    """

    acked: dict[str, Mark] = {}
    upto: dict[str, Mark] = {}
    since: int = 0


class Event(msgspec.Struct, frozen=True):
    """Lines that belong together. `ts` is the time of the first; `upto` is where the last one ends."""

    stream: str
    ts: int
    text: str
    upto: Mark


class Piece(msgspec.Struct, frozen=True):
    """When a line began, and where it ends."""

    ts: int
    end: Mark


class Lane:
    """One stream's pieces, on their way to events."""

    def __init__(self, stream: str, *, acked: Mark, upto: Mark) -> None:
        self._stream = stream
        self._acked = acked
        self._upto = upto
        self._replaying = True
        self._parts: list[bytes] = []
        self._begun = 0
        self._joiner: Joiner[Piece] = Joiner()
        self._first = 0
        self._touched = 0.0
        self.at = Mark()

    @property
    def oldest(self) -> int | None:
        """The time of the first piece that is in no event yet."""
        if self._joiner.is_open:
            return self._first
        return self._begun if self._parts else None

    @property
    def due(self) -> float | None:
        """When (monotonic seconds) what waits goes out as it is."""
        if self._parts:
            return self._touched + PART_SECONDS
        return self._touched + HOLD_SECONDS if self._joiner.is_open else None

    def add(self, ts: int, rest: bytes) -> list[Event]:
        """Take a piece; gives the events that it ends."""
        at = Mark(ts, self.at.count + 1 if ts == self.at.ts else 1)
        if self._replaying and at <= self._acked:
            self.at = at
            return []
        self._replaying = False
        if ts >= self.at.ts:  # where the clock was set back, the mark stays
            self.at = at
        self._touched = time.monotonic()
        if not self._parts:
            # Two lines at one time are two lines, and stay in order.
            self._begun = ts + at.count - 1
        self._parts.append(rest)
        events = []
        if rest.endswith(b"\n"):
            events += self._end_line()
        if self.at == self._upto:
            events += self.flush()
        return events

    def _end_line(self) -> list[Event]:
        text = b"".join(self._parts).removesuffix(b"\n").removesuffix(b"\r").decode("utf-8", "backslashreplace")
        self._parts = []
        opens = not self._joiner.is_open
        done = self._joiner.add(text, Piece(self._begun, self.at))
        if opens or done:
            self._first = self._begun
        return [self._event(*done)] if done else []

    def flush(self) -> list[Event]:
        """What waits, as it is."""
        events = self._end_line() if self._parts else []
        if done := self._joiner.flush():
            events.append(self._event(*done))
        return events

    def _event(self, text: str, first: Piece, last: Piece) -> Event:
        return Event(self._stream, first.ts, text, last.end)


class Assembler:
    """Both streams of one container from a position on. Pieces that were acknowledged before are passed over."""

    def __init__(self, position: ContainerPosition) -> None:
        self._since = position.since
        self._lanes = {
            stream: Lane(
                stream, acked=position.acked.get(stream, Mark()), upto=position.upto.get(stream, Mark())
            )
            for stream in STREAMS
        }  # fmt: skip

    @property
    def since(self) -> int:
        """Nothing that is in no event yet is older than this (ns)."""
        waiting = [oldest for lane in self._lanes.values() if (oldest := lane.oldest) is not None]
        newest = max(lane.at.ts for lane in self._lanes.values())
        return max(self._since, min([*waiting, newest]) - OVERLAP)

    @property
    def patience(self) -> float | None:
        """Seconds until something that waits is due; None where nothing waits."""
        due = [one for lane in self._lanes.values() if (one := lane.due) is not None]
        return max(0.0, min(due) - time.monotonic()) if due else None

    def add(self, stream: str, piece: bytes) -> list[Event]:
        """Take a piece, which begins with its time; gives the events that it ends."""
        stamp, _, rest = piece.partition(b" ")
        try:
            ts = parse_instant(stamp.decode("ascii", "replace"))
        except InvalidRequest:
            ts, rest = now_ns(), piece
        return self._lanes[stream].add(ts, rest)

    def flush(self, *, everything: bool = False) -> list[Event]:
        """What waits and is due, or `everything`, as it is."""
        now = time.monotonic()
        return [
            event
            for lane in self._lanes.values()
            if everything or ((due := lane.due) is not None and due <= now)
            for event in lane.flush()
        ]
