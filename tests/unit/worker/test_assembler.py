"""Docker's pieces become events, and the same pieces the same events after a crash."""

import time

import pytest

from pilothouse.backends.docker import PART, end_of_piece
from pilothouse.core.times import format_instant
from pilothouse.worker.collect import assembler as assembler_module
from pilothouse.worker.collect.assembler import Assembler, ContainerPosition, Event, Mark

BASE = 1_769_851_800_000_000_000
TRACE = ["ERROR bad", "Traceback (most recent call last):", '  File "x"', "ValueError: y"]


def piece(text: str, at: int) -> bytes:
    return format_instant(BASE + at).encode() + b" " + text.encode()


def read(pieces: list[tuple[str, bytes]], position: ContainerPosition | None = None) -> list[Event]:
    one = Assembler(position or ContainerPosition())
    events = [event for stream, text in pieces for event in one.add(stream, text)]
    return [*events, *one.flush(everything=True)]


def test_lines_and_both_streams() -> None:
    """Each stream has its own lines with Docker's own times, whatever order they come in."""
    events = read([("stdout", piece("a\n", 1)), ("stderr", piece("b\n", 2)), ("stdout", piece("c\n", 3))])
    assert sorted((e.stream, e.ts - BASE, e.text) for e in events) == [
        ("stderr", 2, "b"), ("stdout", 1, "a"), ("stdout", 3, "c"),
    ]  # fmt: skip


def test_parts_of_a_line_are_joined_each_stream_apart() -> None:
    """A line in parts is one line with the time of its first, though another stream speaks between them."""
    events = read(
        [("stdout", piece("a" * PART, 1)), ("stderr", piece("x\n", 2)), ("stdout", piece("b" * PART, 3)),
         ("stdout", piece("c\r\n", 4))]
    )  # fmt: skip
    assert [(e.ts - BASE, e.text) for e in events if e.stream == "stdout"] == [(1, "a" * PART + "b" * PART + "c")]
    assert [e.upto.ts - BASE for e in events if e.stream == "stdout"] == [4]


def test_lines_at_one_time_are_two() -> None:
    """Two alike lines of one nanosecond get two times: the backend would hold one."""
    events = read([("stdout", piece("a\n", 1)), ("stdout", piece("a\n", 1)), ("stdout", piece("a\n", 9))])
    assert [e.ts - BASE for e in events] == [1, 2, 9]
    assert [e.upto for e in events] == [Mark(BASE + 1, 1), Mark(BASE + 1, 2), Mark(BASE + 9, 1)]


@pytest.mark.parametrize("acked", range(9))
def test_what_is_acknowledged_is_passed_over(acked: int) -> None:
    """From any acknowledged event on, reading again gives the events behind it and no other."""
    pieces = [
        ("stdout", piece(line + "\n", i // 2)) for i, line in enumerate(["a", "a", *TRACE, "b", "c", "c", "d", "e"])
    ]
    events = read(pieces)
    assert [e.text for e in events] == ["a", "a", "\n".join(TRACE), "b", "c", "c", "d", "e"]
    position = ContainerPosition(acked={"stdout": events[acked - 1].upto}) if acked else ContainerPosition()
    assert read(pieces, position) == events[acked:]


def test_a_batch_under_way_ends_where_it_did() -> None:
    """An event that went out unfinished before a crash goes out the same way after it, and its rest behind it."""
    pieces = [("stderr", piece(line + "\n", i)) for i, line in enumerate(TRACE)]
    before = Assembler(ContainerPosition())
    for stream, text in pieces[:2]:
        assert before.add(stream, text) == []
    (sent,) = before.flush(everything=True)
    again = read(pieces, ContainerPosition(upto={"stderr": sent.upto}))
    assert again[0] == sent
    assert [e.text for e in again] == ["\n".join(TRACE[:2]), '  File "x"', "ValueError: y"]


def test_a_quiet_stream_is_not_held_by_a_busy_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event goes out when its own stream is quiet, however much the other says."""
    monkeypatch.setattr(assembler_module, "HOLD_SECONDS", 0.05)
    one = Assembler(ContainerPosition())
    assert one.patience is None
    one.add("stderr", piece("bad\n", 1))
    assert one.add("stdout", piece("a\n", 2)) == []
    assert one.flush() == []
    time.sleep(0.06)
    one.add("stdout", piece("b\n", 3))
    assert one.patience == 0
    assert [e.text for e in one.flush()] == ["bad"]
    assert one.patience > 0


def test_nothing_unacknowledged_is_older_than_since() -> None:
    """Reading on begins before the oldest event that waits, though the other stream is further."""
    one = Assembler(ContainerPosition(since=BASE))
    assert one.since == BASE
    one.add("stderr", piece("waits\n", 10_000_000_000))
    for i in range(20, 30):
        one.add("stdout", piece("a\n", i * 1_000_000_000))
    assert one.since == BASE + 10_000_000_000 - assembler_module.OVERLAP
    one.flush(everything=True)
    assert one.since == BASE + 29_000_000_000 - assembler_module.OVERLAP


def test_a_clock_set_back_loses_nothing_that_is_read_live() -> None:
    """Pieces that come later but tell an earlier time are lines like any other."""
    events = read([("stdout", piece("a\n", 100)), ("stdout", piece("b\n", 50)), ("stdout", piece("c\n", 60))])
    assert [e.text for e in events] == ["a", "b", "c"]
    assert events[-1].upto == Mark(BASE + 100, 1)


def test_the_raw_stream_of_a_terminal_is_taken_apart() -> None:
    """Where Docker puts a time between the parts of a long line, it is not text; elsewhere what looks like one is."""
    like = format_instant(BASE).encode() + b" is text\r\n"
    held = piece("short\r\n", 1) + piece("x" * PART, 2) + piece("y" * PART, 3) + piece("z\r\n", 4) + piece("", 5) + like
    cuts = []
    at = 0
    while end := end_of_piece(held, at):
        cuts.append(held[at:end])
        at = end
    assert at == len(held)
    assert cuts == [
        piece("short\r\n", 1),
        piece("x" * PART, 2),
        piece("y" * PART, 3),
        piece("z\r\n", 4),
        piece("", 5) + like,
    ]
    assert end_of_piece(piece("x" * PART, 1), 0) == 0
    assert end_of_piece(piece("x" * PART, 1) + b"2026-01", 0) == 0
    assert end_of_piece(b"no time\n", 0) == 8
    assert end_of_piece(piece("x" * (PART + 100) + "\n", 1), 0) == 31 + PART + 101
