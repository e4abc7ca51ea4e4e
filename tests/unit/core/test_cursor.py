import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.core.cursor import Cursor, line_hash, stream_hash
from pilothouse.core.errors import InvalidRequest


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_a_cursor_survives_its_text(ts: int, stream: int, line: int):
    """A client can hold a cursor as text, and text sorts as time does."""
    cursor = Cursor(ts, stream, line)
    assert Cursor.parse(str(cursor)) == cursor
    assert (str(cursor) < str(Cursor(ts + 1, 0, 0))) or ts == 2**63 - 1


@pytest.mark.parametrize("text", ["", "x" * 32, "0" * 31, "0" * 33, "+" + "0" * 31, "٠" * 32, "A" * 32])
def test_what_is_no_cursor_is_refused(text: str):
    """Only a text that an answer gave is a cursor."""
    with pytest.raises(InvalidRequest):
        Cursor.parse(text)


def test_hashes_do_not_depend_on_the_order_of_labels():
    """The same stream has the same hash however its labels came; odd lines have one too."""
    assert stream_hash({"a": "1", "b": "2"}) == stream_hash({"b": "2", "a": "1"})
    assert line_hash("\ud800") >= 0
