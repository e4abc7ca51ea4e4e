"""From bytes of a file to events: lines, with the lines of a stack trace joined."""

from enum import IntEnum

from pilothouse.worker.collect.joiner import Joiner

LONGEST = 1 << 20
"""Bytes without a newline after which a piece goes out as a line: a file without any must not fill memory."""


class Flush(IntEnum):
    """What goes out although it may go on."""

    NOTHING = 0
    EVENTS = 1
    """The last event, which might be a stack trace whose rest is still to come."""
    EVERYTHING = 2
    """A line without its end, too."""


def split(data: bytes, flush: Flush) -> tuple[list[str], int]:
    """Events of `data`, and how many of its bytes they use; empty lines are no events.

    The same bytes give the same events: where a batch is taken apart again up to where it ended, with EVERYTHING, it
    is the same batch.
    """
    joiner: Joiner[int] = Joiner()
    events: list[str] = []
    at = used = 0
    while at < len(data):
        end = data.find(b"\n", at, at + LONGEST)
        after = end + 1
        if end < 0:
            if len(data) - at < LONGEST and flush is not Flush.EVERYTHING:
                break
            end = after = min(at + LONGEST, len(data))
        text = data[at:end].removesuffix(b"\r").decode("utf-8", "backslashreplace")
        if done := joiner.add(text, after):
            events.append(done[0])
            used = done[2]
        at = after
    if flush is not Flush.NOTHING and (done := joiner.flush()):
        events.append(done[0])
        used = done[2]
    return [event for event in events if event], used
