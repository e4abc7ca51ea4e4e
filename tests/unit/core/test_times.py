import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilothouse.core.errors import InvalidRequest
from pilothouse.core.times import MAX_NS, SECOND, format_instant, format_span, parse_instant, parse_span


@given(st.integers(0, MAX_NS))
def test_an_instant_survives_its_text(ns: int):
    """Nanoseconds are kept on the way out and back."""
    assert parse_instant(format_instant(ns)) == ns


@given(st.integers(1, 10**18))
def test_a_span_survives_its_text(ns: int):
    """The shortest text of a span reads back as the same span."""
    assert parse_span(format_span(ns)) == ns


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-11-24T03:02:03.5+02:00", parse_instant("2026-11-24T01:02:03.500Z")),
        ("1795462800000474354", 1795462800000474354),
    ],
)
def test_offsets_fractions_and_integers_are_read(text: str, ns: int):
    """RFC 3339 with an offset, and bare nanoseconds, are both instants."""
    assert parse_instant(text) == ns


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01", "-5", "9" * 30, "१२३"]
)
def test_a_bad_instant_names_its_field(text: str):
    """The error says which field was wrong."""
    with pytest.raises(InvalidRequest, match="start_time") as caught:
        parse_instant(text, field="start_time")
    assert caught.value.details == {"field": "start_time"}


@pytest.mark.parametrize("text", ["", "5", "m", "-5m", "0s", "5 m", "5mm", "5x"])
def test_a_bad_span_is_refused(text: str):
    """A span needs a number and a unit, and more than nothing."""
    with pytest.raises(InvalidRequest):
        parse_span(text)


def test_spans_read_as_people_write_them():
    """Parts add up."""
    assert parse_span("1h30m") == 5400 * SECOND
