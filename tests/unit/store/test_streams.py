"""Selectors resolve to stream ids as Loki's do, empty values and anchored expressions included."""

import pytest

from pilothouse.core.labels import Matcher, MatchOp
from pilothouse.store.logs.streams import StreamIndex

STREAMS = [
    {"service_name": "api", "env": "prod"},
    {"service_name": "api", "env": "dev"},
    {"service_name": "web", "env": "prod"},
    {"service_name": "web-2"},
    {"other": "api"},
]


@pytest.fixture
def index() -> StreamIndex:
    made = StreamIndex()
    for labels in STREAMS:
        made.add(labels)
    return made


@pytest.mark.parametrize(
    ("matchers", "ids"),
    [
        ([("service_name", "=", "api")], [0, 1]),
        ([("service_name", "=", "nope")], []),
        ([("service_name", "=", "api"), ("env", "=", "dev")], [1]),
        ([("service_name", "!=", "api")], [2, 3, 4]),
        ([("env", "=", "")], [3, 4]),
        ([("env", "!=", "")], [0, 1, 2]),
        ([("env", "!=", "prod")], [1, 3, 4]),
        ([("service_name", "=~", "web")], [2]),
        ([("service_name", "=~", "web.*")], [2, 3]),
        ([("service_name", "=~", "api|web")], [0, 1, 2]),
        ([("service_name", "=~", ".*")], [0, 1, 2, 3, 4]),
        ([("service_name", "=~", ".+")], [0, 1, 2, 3]),
        ([("service_name", "=~", "api|")], [0, 1, 4]),
        ([("service_name", "!~", "api|")], [2, 3]),
        ([("service_name", "!~", ".+")], [4]),
        ([("absent", "=", "")], [0, 1, 2, 3, 4]),
        ([("absent", "!=", "")], []),
        ([], [0, 1, 2, 3, 4]),
    ],
)
def test_matchers_select(index: StreamIndex, matchers: list[tuple[str, str, str]], ids: list[int]) -> None:
    """A label that a stream lacks counts as the empty value."""
    chosen = index.select([Matcher(name, MatchOp(op), value) for name, op, value in matchers])
    assert chosen.tolist() == ids
    assert chosen.dtype == "int32"


def test_the_same_labels_are_the_same_stream(index: StreamIndex) -> None:
    """Whatever their order."""
    assert index.add({"env": "dev", "service_name": "api"}) == 1
    assert len(index) == len(STREAMS)


def test_names_and_values_are_those_of_the_given_streams(index: StreamIndex) -> None:
    """Sorted, without the streams that are not asked for."""
    assert index.label_names([0, 4]) == ["env", "other", "service_name"]
    assert index.label_values("service_name", [0, 3, 4]) == ["api", "web-2"]


def test_a_stand_in_becomes_the_stream_it_stood_for() -> None:
    """Labels that come to light later replace it in every answer; its id stays."""
    index = StreamIndex()
    index.add({"service_name": "recovered", "stream_number": "0"})
    index.define(0, {"service_name": "api"})
    assert index.labels(0) == {"service_name": "api"}
    assert index.select([Matcher("service_name", MatchOp.EQUAL, "recovered")]).tolist() == []
    assert index.select([Matcher("service_name", MatchOp.EQUAL, "api")]).tolist() == [0]
    assert index.add({"service_name": "api"}) == 0
