"""What a filter demands of a line: never more than RE2 does."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilothouse.query import logql
from pilothouse.query.logql.regex import RegexError, compile_search
from pilothouse.store.logs.query.literals import of_regex, required


@pytest.mark.parametrize(
    ("pattern", "clauses"),
    [
        ("timeout", [(b"timeout",)]),
        ("time.*out", [(b"time",), (b"out",)]),
        ("colou?r", [(b"colo",), (b"r",)]),
        ("ab+c", [(b"ab",), (b"c",)]),
        (r"took \d+ms", [(b"took ",), (b"ms",)]),
        (r"a\.b\[c", [(b"a.b[c",)]),
        ("foo|barbar", [(b"foo", b"barbar")]),
        ("foo|.*", []),
        ("(foo|bar)baz", [(b"baz",)]),
        ("(?i)error 42", [(b"error 42",)]),
        ("(?i)disk", [(b"di",)]),
        ("a(?i)b", []),
        (r"\Qa.b\E", []),
        ("x{3}yz", [(b"yz",)]),
        ("[abc]def[^x]", [(b"def",)]),
        (r"\x41bc", [(b"bc",)]),
    ],
)
def test_literals_of_a_regex(pattern, clauses):
    """The texts that each match must hold, and no text where that is not certain."""
    assert of_regex(pattern) == clauses


@pytest.mark.parametrize(
    ("stages", "clauses"),
    [
        ('|= "a" |= "b"', ((b"a",), (b"b",))),
        ('|= "a" or "b"', ((b"a", b"b"),)),
        ('|= "a" or ip("1.1.1.1")', ()),
        ('!= "a" !~ "b"', ()),
        ('|= ""', ()),
        ('|> "<_>ab<_>cd"', ((b"ab",), (b"cd",))),
        ('|~ "ab.*cde" or "x|yz"', ((b"cde", b"x", b"yz"),)),
    ],
)
def test_clauses_of_line_filters(stages, clauses):
    """Filters in a row demand each; needles of one filter demand one of them; what is negated demands nothing."""
    assert required(logql.parse('{a="b"} ' + stages).stages) == clauses


atoms = st.one_of(
    st.sampled_from([*"abckKsS.", r"\.", r"\d", r"\w", "[ab]", "[^a]", r"\x61", "é", r"\pL", r"\\"]),
    st.text("abks", min_size=1, max_size=3),
)
patterns = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{0,1}", "*?"])).map(lambda p: f"({p[0]}){p[1]}"),
        st.tuples(atoms, st.sampled_from(["*", "+", "?", "{2}", "{0,2}"])).map("".join),
        st.lists(inner, min_size=2, max_size=3).map("|".join),
        inner.map(lambda p: f"(?:{p})"),
    ),
    max_leaves=8,
)


@settings(max_examples=1500, deadline=None)
@given(st.sampled_from(["", "(?i)", "(?s)"]), patterns, st.text("abcksKS.1éſ\u212a\\", max_size=12))
def test_no_line_that_matches_lacks_a_literal(flags, pattern, line):
    """Whatever the pattern, a line that RE2 finds it in holds one text of every clause, lower-cased as the index is."""
    try:
        found = compile_search(flags + pattern).search(line)
    except RegexError:
        return
    if found:
        raw = line.encode().lower()
        for clause in of_regex(flags + pattern):
            assert any(literal.lower() in raw for literal in clause), (clause, line)
