"""`| json label="a.b[0]"`: one value of a JSON line by its path."""

import re
from collections.abc import Iterator, Sequence

from pilothouse.store.logs.query.jsonlines import Malformed, next_token, read_value, scan_object, unescape

Path = tuple[str | int, ...]

_STEP = re.compile(
    r"\s*(?:(?P<dot>\.)?\s*(?P<field>[a-zA-Z_][a-zA-Z0-9_]*)|\[\s*(?:\"(?P<key>[^\"\]]*)\"|(?P<index>[0-9]+))\s*\])\s*"
)


class PathError(ValueError):
    """A path that can't be read."""


def parse_path(text: str) -> Path:
    """The steps of `a.b["c d"][0]`. Raises PathError."""
    steps: list[str | int] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        if not match or bool(match["dot"]) != (match["field"] is not None and bool(steps)):
            raise PathError(f"cannot parse expression [{text}]: syntax error: unexpected {text[at : at + 1]!r}")
        if match["field"] is not None:
            steps.append(match["field"])
        elif match["key"] is not None:
            steps.append(match["key"])
        else:
            steps.append(int(match["index"]))
        at = match.end()
    if not steps:
        raise PathError(f"cannot parse expression [{text}]: syntax error: unexpected $end")
    return tuple(steps)


def find(text: str, path: Sequence[str | int]) -> str | None:
    """The text at `path`: a string's content, empty for null, raw JSON for the rest; None where there is nothing."""
    kind = "object"
    try:
        for step in path:
            found = _field(text, step) if isinstance(step, str) else _element(text, step)
            if found is None:
                return None
            text, kind = found
    except Malformed:
        return None
    if kind == "null":
        return ""
    return text if kind == "object" else unescape(text)


def _field(text: str, name: str) -> tuple[str, str] | None:
    if text.lstrip()[:1] != "{":
        return None
    return next(((value, kind) for key, value, kind in scan_object(text) if key == name), None)


def _element(text: str, index: int) -> tuple[str, str] | None:
    for at, found in enumerate(_elements(text)):
        if at == index:
            return found
    return None


def _elements(text: str) -> Iterator[tuple[str, str]]:
    at = next_token(text, 0)
    if at < 0 or text[at] != "[":
        return
    at = next_token(text, at + 1)
    while at >= 0 and text[at] != "]":
        value, kind, at = read_value(text, at)
        yield value, kind
        at = next_token(text, at)
        if at < 0 or text[at] != ",":
            return
        at = next_token(text, at + 1)
