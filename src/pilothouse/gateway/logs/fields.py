"""Which fields the lines of a result have, with their most frequent values: what filters can be made of."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable

import msgspec

from pilothouse.core.labels import LABEL_NAME
from pilothouse.gateway.logs.lines import LogLine

MOST_FIELDS, MOST_VALUES = 30, 10
MOST_DISTINCT = 1000
"""Values of a field that are counted; one with more is an id, of which none is frequent."""
LONGEST = 200
LABELS = {"service_name", "project", "container", "host", "stream", "filename", "unit"}
HIDDEN = {"service_name", "detected_level", "truncated"}


class FieldValue(msgspec.Struct, frozen=True):
    """A value and how many of the lines have it."""

    value: str
    count: int


class Field(msgspec.Struct, frozen=True):
    """A field: `where` is label, metadata or field, as filters name it."""

    name: str
    where: str
    count: int
    distinct: int
    values: list[FieldValue]


def fields_of(lines: Iterable[LogLine]) -> list[Field]:
    """The fields of `lines`, the most frequent first."""
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for line in lines:
        for name, value in line.metadata.items():
            if name not in HIDDEN:
                counts["label" if name in LABELS else "metadata", name][value[:LONGEST]] += 1
        for name, value in json_fields(line.message).items():
            counts["field", name][value[:LONGEST]] += 1
    fields = [
        Field(
            name=name,
            where=where,
            count=values.total(),
            distinct=len(values),
            values=[FieldValue(value, count) for value, count in values.most_common(MOST_VALUES)],
        )
        for (where, name), values in counts.items()
        if len(values) <= MOST_DISTINCT
    ]
    return sorted(fields, key=lambda field: (-field.count, field.distinct, field.name))[:MOST_FIELDS]


def json_fields(message: str) -> dict[str, str]:
    """The top fields of a JSON line that `| json` would find under the same name; nothing of any other line."""
    if not message.startswith("{"):
        return {}
    try:
        document = json.loads(message)
    except (ValueError, RecursionError):
        return {}
    found = {}
    for name, value in document.items() if isinstance(document, dict) else ():
        if not LABEL_NAME.match(name) or isinstance(value, dict | list) or value is None:
            continue
        found[name] = value if isinstance(value, str) else json.dumps(value)
    return found
