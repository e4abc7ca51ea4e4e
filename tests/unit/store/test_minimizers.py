"""The bitmap of a row group never denies a text that is in it, and seldom admits one that is not."""

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies

from pilothouse.store.logs import minimizers
from pilothouse.store.logs.minimizers import NEEDLE, PIECE

texts = strategies.lists(strategies.text(max_size=200), min_size=1, max_size=20)


def bitmap(lines: list[str]) -> np.ndarray:
    return np.frombuffer(minimizers.build(pa.array(lines, pa.string())), dtype=np.uint8)


@settings(max_examples=300)
@given(lines=texts, choice=strategies.data())
def test_every_substring_of_eleven_bytes_or_more_is_admitted(lines: list[str], choice) -> None:
    """No false negative, wherever in whichever line the text begins and ends, and in whatever case."""
    made = bitmap(lines)
    raw = choice.draw(strategies.sampled_from(lines)).encode()
    if len(raw) < NEEDLE:
        return
    begin = choice.draw(strategies.integers(0, len(raw) - NEEDLE))
    end = choice.draw(strategies.integers(begin + NEEDLE, len(raw)))
    for literal in (raw[begin:end], raw[begin:end].lower(), raw[begin:end].upper()):
        assert minimizers.may_contain(made, literal)


def test_texts_across_the_edges_of_pieces_are_admitted() -> None:
    """Lines longer than what is hashed at a time lose nothing at the seams."""
    chance = random.Random(1)
    line = "".join(chance.choices("abcdefghijklmnop 0123456789", k=3 * PIECE))
    made = bitmap(["short", line, "another"])
    for seam in (PIECE, 2 * PIECE):
        for begin in range(seam - 30, seam + 30):
            assert minimizers.may_contain(made, line[begin : begin + NEEDLE].encode()), begin


def test_a_slice_of_a_column_is_indexed_as_itself() -> None:
    """Offsets into a shared buffer are honoured: the same lines give the same bitmap."""
    lines = [f"request {number} of something" for number in range(100)]
    whole = pa.array(lines, pa.string())
    assert minimizers.build(whole.slice(40, 20)) == minimizers.build(pa.array(lines[40:60], pa.string()))


def test_texts_over_the_end_of_a_line_are_not_in_the_index() -> None:
    """What stands at the end of one line and the start of the next is in no line."""
    lines = [f"{number:016x}" for number in range(1, 2000)]
    made = bitmap(lines)
    across = [(lines[n][8:] + lines[n + 1][:8]).encode() for n in range(0, 1000, 10)]
    inside = [lines[n].encode() for n in range(0, 1000, 10)]
    assert all(minimizers.may_contain(made, one) for one in inside)
    assert sum(minimizers.may_contain(made, one) for one in across) < len(across)


@pytest.mark.parametrize("literal", [b"", b"x", b"x" * (NEEDLE - 1)])
def test_what_is_too_short_is_always_admitted(literal: bytes) -> None:
    """The index can't speak of it."""
    assert minimizers.may_contain(bitmap(["nothing alike"]), literal)


def test_absent_ids_are_denied() -> None:
    """Of ids that are in no line, fewer than one in a hundred passes a full row group's bitmap."""
    chance = random.Random(7)
    made = bitmap([f'{{"level": "INFO", "request_id": "{chance.randbytes(16).hex()}"}}' for _ in range(20_000)])
    passed = sum(minimizers.may_contain(made, chance.randbytes(16).hex().encode()) for _ in range(2_000))
    assert passed < 20


@pytest.mark.parametrize("lines", [[], [""], ["", "a", ""], ["ab" * 5]])
def test_row_groups_without_a_window_have_a_bitmap_that_denies(lines: list[str]) -> None:
    """No line reaches eleven bytes: nothing that long is there."""
    assert not minimizers.may_contain(bitmap(lines), b"abababababa")
