"""What becomes of the bytes of a file."""

import pytest

from pilothouse.worker.collect.lines import LONGEST, Flush, split

TRACE = b"ERROR x\nTraceback (most recent call last):\n  File\nValueError: y\n"


def test_the_last_event_waits() -> None:
    """A complete line may be the start of a trace: it goes out when the next line shows that it is not."""
    assert split(b"one\ntwo\n", Flush.NOTHING) == (["one"], 4)
    assert split(b"one\ntwo\n", Flush.EVENTS) == (["one", "two"], 8)


def test_an_unfinished_line_waits_longer() -> None:
    """A line without its end is left until everything goes out."""
    assert split(b"one\ntwo\nthr", Flush.EVENTS) == (["one", "two"], 8)
    assert split(b"one\ntwo\nthr", Flush.EVERYTHING) == (["one", "two", "thr"], 11)


def test_ends_of_lines() -> None:
    """CR LF is an end of a line, empty lines are no events but are used up."""
    assert split(b"one\r\n\n\r\ntwo\r\n\n", Flush.EVENTS) == (["one", "two"], 14)


def test_invalid_utf_8_stays_readable() -> None:
    """Bytes that are no UTF-8 are told by their value."""
    assert split(b"caf\xe9 \xff\xfe \xe2\x82\xac\n", Flush.EVENTS)[0] == ["caf\\xe9 \\xff\\xfe €"]


def test_a_line_without_end_is_bounded() -> None:
    """Every LONGEST bytes without a newline are a line, and no byte is in none or in two."""
    data = b"x" * (2 * LONGEST + 5)
    events, used = split(data, Flush.NOTHING)
    assert [len(event) for event in events] == [LONGEST]
    assert used == LONGEST
    events, used = split(data + b"\nnext\n", Flush.EVENTS)
    assert [len(event) for event in events] == [LONGEST, LONGEST, 5, 4]
    assert used == len(data) + 6


@pytest.mark.parametrize("flush", Flush)
@pytest.mark.parametrize(
    "data",
    [b"one\ntwo\nthr", TRACE * 3, TRACE[:40], b"a\n\n\nb\n\n", b"y" * LONGEST + b"z\n1\n", b"\n\n", b"", b"\xff\n" * 9],
)
def test_a_batch_taken_apart_again_is_the_same(data: bytes, flush: Flush) -> None:
    """What a batch used gives the same events when it is read again after a crash: so the store knows its lines."""
    events, used = split(data, flush)
    assert split(data[:used], Flush.EVERYTHING) == (events, used)
