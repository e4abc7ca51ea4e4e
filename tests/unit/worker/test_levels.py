"""The level that a plain line begins with."""

import pytest

from pilothouse.worker.collect.levels import level_of
from pilothouse.worker.line import Collected


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("ERROR [worker] lock lost", "error"),
        ("2026-05-01 12:00:00,123 WARNING root: low", "warn"),
        ("2026-05-01T12:00:00Z [DEBUG] x", "debug"),
        ("WARNING:root:careful", "warn"),
        ("2026-05-01 12:00:00 UTC [61] ERROR:  relation does not exist", "error"),
        ("2026-05-01 12:00:00 UTC [61] LOG:  checkpoint complete", "info"),
        ("2026/05/01 12:00:00 [emerg] 1#1: bind() failed", "fatal"),
        ("<CRITICAL> core", "critical"),
        ("E0501 12:00:00.000000 1 main.go:5] gone", "error"),
        ("INFO then ERROR", "info"),
        ('{"level":"info","msg":"ERROR x"}', None),
        ("level=info msg=ERROR it", None),
        ("TERROR of the deep", None),
        ("an ERRORS list", None),
        ("no level at all", None),
        ("x" * 200 + " ERROR late", None),
        ("", None),
    ],
)
def test_level_of(text, level):
    """In capitals as a word of its own near the beginning, and never against the line's own fields."""
    assert level_of(text) == level


def test_what_the_source_says_goes_first():
    """journald's priority is not overruled by a word."""
    assert Collected({}, 1, "ERROR x", {"detected_level": "info"}).with_level().metadata == {"detected_level": "info"}
    assert Collected({}, 1, "ERROR x", {"a": "b"}).with_level().metadata == {"a": "b", "detected_level": "error"}
    assert Collected({}, 1, "x").with_level().metadata is None
