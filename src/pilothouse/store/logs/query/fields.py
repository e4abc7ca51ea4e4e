"""The fields that lines have, found in a sample of them."""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import orjson

from pilothouse.query.logql.units import parse_go_duration, parse_size
from pilothouse.store.logs.query.conditions import parse_float
from pilothouse.store.logs.query.jsonlines import label_name
from pilothouse.store.logs.query.lines import Line
from pilothouse.store.logs.query.logfmt import Logfmt

MAX_VALUES = 1000
"""Distinct values remembered of one field."""
_INTEGER = re.compile(r"[+-]?\d{1,19}\Z", re.ASCII)


@dataclass(slots=True)
class Field:
    """One field: its values, the parsers that find it, and where in a JSON line it is."""

    values: dict[str, int] = field(default_factory=dict)
    parsers: set[str] = field(default_factory=set)
    path: tuple[str, ...] = ()

    def add(self, value: str) -> None:
        """Count a value."""
        if value in self.values or len(self.values) < MAX_VALUES:
            self.values[value] = self.values.get(value, 0) + 1

    @property
    def kind(self) -> str:
        """boolean, int, float, duration, bytes or string: the narrowest that all values are."""
        for kind, fits in _KINDS:
            if self.values and all(fits(value) for value in self.values):
                return kind
        return "string"


_KINDS: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("boolean", lambda value: value in {"true", "false"}),
    ("int", lambda value: _INTEGER.match(value) is not None),
    ("float", lambda value: parse_float(value) is not None),
    ("duration", lambda value: parse_go_duration(value) is not None),
    ("bytes", lambda value: value[-1:].isalpha() and parse_size(value) is not None),
)


def detect(lines: Iterable[Line]) -> dict[str, Field]:
    """Fields by label name: structured metadata, labels that the query parsed, JSON fields and logfmt keys."""
    found: dict[str, Field] = {}
    for line in lines:
        for name, value in {**line.labels.metadata, **line.labels.parsed}.items():
            found.setdefault(name, Field()).add(value)
        parsed, parser = _fields(line.text)
        for path, value in parsed:
            name = ""
            for part in path:
                name = label_name(part, name)
            if not name:
                continue
            if name in line.labels.base or name in line.labels.metadata:
                name += "_extracted"
            entry = found.setdefault(name, Field())
            entry.add(value)
            entry.parsers.add(parser)
            if parser == "json" and not entry.path:
                entry.path = path
    return found


def _fields(text: str) -> tuple[list[tuple[tuple[str, ...], str]], str]:
    if text.lstrip()[:1] == "{":
        try:
            value = orjson.loads(text.encode("utf-8", "replace"))
        except orjson.JSONDecodeError:
            return [], "json"
        return list(_flat(value, ())) if isinstance(value, dict) else [], "json"
    return [((key,), value) for key, value in Logfmt(text).pairs() if value], "logfmt"


def _flat(value: dict[str, object], path: tuple[str, ...]) -> Iterable[tuple[tuple[str, ...], str]]:
    for key, item in value.items():
        if isinstance(item, dict):
            yield from _flat(item, (*path, key))
        elif isinstance(item, str):
            yield (*path, key), item
        elif isinstance(item, bool | int | float):
            yield (*path, key), orjson.dumps(item).decode()
