"""The level of a line is the one that Loki's distributor would put on it."""

import pytest

from pilothouse.store.logs.batch import StreamLines, levels_of
from pilothouse.store.logs.levels import LEVELS


def level(line: str, *, labels: dict[str, str] | None = None, metadata: dict[str, str] | None = None) -> str:
    stream = StreamLines(
        labels=labels or {"service_name": "x"}, ts=[1], lines=[line], metadata=[metadata] if metadata else []
    )
    (code,) = levels_of(stream)
    return LEVELS[code]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"level": "ERROR", "msg": "info"}', "error"),
        ('{"level":"warning"}', "warn"),
        (' {"severity":"dbg"} ', "debug"),
        ('{"lvl":"Information"}', "info"),
        ('{"log.level":"fatal"}', "fatal"),
        ('{"level":30,"msg":"x"}', "unknown"),
        ('{"level":"notice","msg":"[error] x"}', "error"),
        ('{"broken": "info', "info"),
        ("level=err msg=x", "error"),
        ('ts=1 LEVEL="Critical" msg="y"', "critical"),
        ("msg=x severity=trc", "trace"),
        ("lvl=info level=error", "error"),
        ("sublevel=error x=y", "unknown"),
        ("an info line", "info"),
        ("[error] it broke", "error"),
        ("err: it broke", "error"),
        ("a WARNING for you", "warn"),
        ("warn: careful", "warn"),
        ("CRITICAL: now", "critical"),
        ("some debug text", "debug"),
        ("ERROR it broke", "unknown"),
        ("nothing to see", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_level_in_a_line(line: str, expected: str) -> None:
    """From its JSON field, its logfmt field, or the words that Loki looks for."""
    assert level(line) == expected


def test_labels_go_before_metadata_and_metadata_before_the_line() -> None:
    """In that order, whatever the line says."""
    assert level("[error]", labels={"level": "debug"}, metadata={"severity": "warn"}) == "debug"
    assert level("[error]", metadata={"severity": "warn"}) == "warn"
    assert level("[error]", metadata={"detected_level": "fatal"}) == "fatal"
    assert level("[error]", labels={"level": "debug"}, metadata={"detected_level": "fatal"}) == "fatal"


@pytest.mark.parametrize(
    ("number", "expected"),
    [("0", "unknown"), ("1", "trace"), ("8", "debug"), ("9", "info"), ("16", "warn"), ("17", "error"), ("24", "fatal"),
     ("25", "unknown"), ("x", "info")],
)  # fmt: skip
def test_opentelemetry_severity_numbers(number: str, expected: str) -> None:
    """Four numbers to a level."""
    assert level("[error]", metadata={"severity_number": number}) == expected
