"""Which time a line tells."""

import pytest

from pilothouse.core.times import DAY, MINUTE, parse_instant
from pilothouse.worker.collect.stamps import stamp_of

NOW = parse_instant("2026-01-31T12:00:00Z")


@pytest.mark.parametrize(
    ("line", "time"),
    [
        ("2026-01-31T09:30:00Z started", "2026-01-31T09:30:00Z"),
        ("2026-01-31 09:30:00.123+01:00 started", "2026-01-31T08:30:00.123Z"),
        ("[2026-01-31T09:30:00,5-0230] started", "2026-01-31T12:00:00.5Z"),
        ('"2026-01-31T09:30:00.123456789Z" started', "2026-01-31T09:30:00.123456789Z"),
        ('{"level":"info","timestamp":"2026-01-31T09:30:00Z"}', "2026-01-31T09:30:00Z"),
        ('{"@timestamp" : "2026-01-31T09:30:00.1Z"}', "2026-01-31T09:30:00.1Z"),
        ('{"ts":1769851800.25,"msg":"x"}', "2026-01-31T09:30:00.25Z"),
        ('{"time":1769851800000}', "2026-01-31T09:30:00Z"),
        ('{"time":1769851800000001}', "2026-01-31T09:30:00.000001Z"),
        ('{"ts":1769851800000000001}', "2026-01-31T09:30:00.000000001Z"),
        ('{"ts":"1769851800000000001"}', "2026-01-31T09:30:00.000000001Z"),
    ],
)
def test_a_time_with_a_zone_is_found(line: str, time: str) -> None:
    """At the start of a line, or in the usual fields of a JSON line, to the nanosecond."""
    assert stamp_of(line, now=NOW) == parse_instant(time)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "started",
        "2026-01-31 09:30:00 has no zone",
        "Jan 31 09:30:00 host app: syslog",
        "at 2026-01-31T09:30:00Z it was not at the start",
        "2026-13-31T09:30:00Z is no day",
        "2026-01-31T25:30:00Z is no hour",
        '{"timestamp":"yesterday, about noon, I think"}',
        '{"timestamp":"2026-01-31T09:30:00"}',
        '{"time":12345678901}',
        '{"msg":"' + "x" * 400 + '","time":1769851800}',
        '{"msg":"the \\"time\\":1769851800 is text"}',
        "{",
    ],
)
def test_what_tells_none(line: str) -> None:
    """Without a zone, away from the start, or out of the calendar: it is no time that a line tells."""
    assert stamp_of(line, now=NOW) is None


def test_a_time_far_from_now_is_not_the_time_of_writing() -> None:
    """A birthday, a deadline or a wrong clock does not move a line."""
    line = "2026-01-31T12:00:00Z x"
    at = NOW
    assert stamp_of(line, now=at - MINUTE) is None
    assert stamp_of(line, now=at - MINUTE + 1) == at
    assert stamp_of(line, now=at + 7 * DAY) is None
    assert stamp_of(line, now=at + 7 * DAY - 1) == at
