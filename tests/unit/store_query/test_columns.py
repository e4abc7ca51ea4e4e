"""Line filters over whole columns say of each line what they say of it alone."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.query.logql import ast
from pilothouse.store.logs.query.columns import RARE, line_mask

texts = st.text("abé\n", max_size=6)


@given(st.lists(texts, max_size=200), texts, st.sampled_from([ast.LineOp.CONTAINS, ast.LineOp.LACKS]), st.data())
def test_a_text_is_found_in_its_line_and_not_across_two(lines, needle, op, data):
    """Also in a part of a column, and whether few lines hold it or many."""
    begin = data.draw(st.integers(0, len(lines)))
    column = pa.array(lines, pa.string()).slice(begin)
    mask = line_mask(column, [ast.LineFilter(op=op, needles=(ast.Needle(text=needle),))])
    assert mask.tolist() == [(needle in line) is not op.negated for line in lines[begin:]]


@pytest.mark.parametrize("holding", [0, 1, RARE - 1, RARE, RARE + 1, 500])
def test_few_and_many(holding):
    """The two ways of looking meet without a line between them."""
    lines = ["has the needle twice: needle" if n < holding else "nee" if n % 2 else "dle" for n in range(1000)]
    mask = line_mask(pa.array(lines), [ast.LineFilter(op=ast.LineOp.CONTAINS, needles=(ast.Needle(text="needle"),))])
    assert mask.tolist() == ["needle" in line for line in lines]
