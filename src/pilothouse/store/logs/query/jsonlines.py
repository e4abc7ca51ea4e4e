"""`| json` and `| unpack`: fields of a JSON line to labels, as Loki's own scanner sees them.

Loki scans no more than the first object of a line, keeps what it found before it met an error, copies numbers as they
stand, and knows nothing of what is within arrays. Well-formed lines take the C parser; the others are scanned here.
"""

import json
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

from pilothouse.store.logs.query.rowlabels import RowLabels

JSON_ERROR = "JSONParserErr"
BAD_OBJECT = "Value looks like object, but can't find closing '}' symbol"
BAD_ARRAY = "Value is array, but can't find closing ']' symbol"
BAD_STRING = "Value is string, but can't find closing '\"' symbol"
BAD_JSON = "Malformed JSON error"
UNKNOWN_TYPE = "Unknown value type"
BAD_ESCAPE = "Encountered an invalid escape sequence in a string"
MAX_DEPTH = 200
"""Levels of objects that are followed."""

_SPACE = " \n\r\t"
_UNFIT = re.compile(r"[^a-zA-Z0-9_]")
_STRING_END = re.compile(r'[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_TOKEN = re.compile(r"[^ \n\r\t,}\]]*")
_BRACKETS = re.compile(r'["{}]|["\[\]]')


class Pairs(list[Any]):
    """An object's fields in their order, doubles included: an array is a plain list."""

    __slots__ = ()


class Malformed(ValueError):
    """Where a line stops being JSON, in the words of Loki's scanner."""


def _refuse(_: str) -> Any:
    raise ValueError


_decode: Callable[[str], Any] = json.JSONDecoder(
    object_pairs_hook=Pairs, parse_float=str, parse_int=str, parse_constant=_refuse, strict=False
).decode


@lru_cache(maxsize=8192)
def label_name(key: str, prefix: str = "") -> str:
    """The label that a field's key becomes below `prefix`; empty where the key is blank."""
    key = key.strip()
    if not key:
        return prefix
    name = _UNFIT.sub("_", key)
    if prefix:
        return f"{prefix}_{name}"
    return f"_{name}" if "0" <= name[0] <= "9" else name


def extract_json(line: str, labels: RowLabels) -> None:
    """Set a label for each field of the line's object."""
    try:
        fields = _decode(line)
    except (ValueError, RecursionError):
        _extract_scanned(line, labels)
        return
    if type(fields) is not Pairs:
        labels.fail(JSON_ERROR, BAD_OBJECT)
        return
    plain = line.isascii() and "\\" not in line
    _walk(fields, "", labels, plain=plain, depth=0)


def keys_of(line: str) -> list[str] | None:
    """The keys of a well-formed line's object in their order; None for any other line."""
    try:
        fields = _decode(line)
    except (ValueError, RecursionError):
        return None
    return [key for key, _ in fields] if type(fields) is Pairs else None


def _walk(fields: Pairs, prefix: str, labels: RowLabels, *, plain: bool, depth: int) -> None:
    for key, value in fields:
        kind = type(value)
        if kind is str:
            text = value if plain else clean(value)
        elif kind is bool:
            text = "true" if value else "false"
        elif kind is Pairs:
            if depth < MAX_DEPTH:
                _walk(value, label_name(key, prefix), labels, plain=plain, depth=depth + 1)
            continue
        else:
            continue
        if name := label_name(key, prefix):
            labels.extract(name, text)


def _extract_scanned(line: str, labels: RowLabels) -> None:
    try:
        _scan(line, "", labels, 0)
    except Malformed as error:
        if not labels.satisfied():
            labels.fail(JSON_ERROR, str(error))


def _scan(text: str, prefix: str, labels: RowLabels, depth: int) -> None:
    for key, value, kind in scan_object(text):
        if kind == "object":
            if depth < MAX_DEPTH:
                _scan(value, label_name(key, prefix), labels, depth + 1)
        elif kind in {"string", "number", "bool"} and (name := label_name(key, prefix)):
            labels.extract(name, unescape(value) if kind == "string" else value)
        if labels.satisfied():
            return


def scan_object(text: str) -> Iterator[tuple[str, str, str]]:
    """Key, raw value and kind of each field of the object that `text` begins with. Raises Malformed."""
    at = next_token(text, 0)
    if at < 0 or text[at] != "{":
        raise Malformed(BAD_OBJECT)
    at = next_token(text, at + 1)
    if at < 0:
        raise Malformed(BAD_JSON)
    while True:
        if text[at] == "}":
            return
        if text[at] != '"':
            raise Malformed(BAD_OBJECT)
        end = _STRING_END.match(text, at + 1)
        if not end:
            raise Malformed(BAD_JSON)
        raw_key = text[at + 1 : end.end() - 1]
        key = _unescape(raw_key) if "\\" in raw_key else raw_key
        if key is None:
            raise Malformed(BAD_ESCAPE)
        at = next_token(text, end.end())
        if at < 0 or text[at] != ":":
            raise Malformed(BAD_JSON)
        value, kind, at = read_value(text, at + 1)
        yield key, value, kind
        at = next_token(text, at)
        if at < 0:
            raise Malformed(BAD_ARRAY)
        if text[at] == "}":
            return
        if text[at] != ",":
            raise Malformed(BAD_OBJECT)
        at = next_token(text, at + 1)
        if at < 0:
            raise Malformed(BAD_ARRAY)


def read_value(text: str, at: int) -> tuple[str, str, int]:
    """Raw text, kind and end of the value at `at`. Raises Malformed."""
    at = next_token(text, at)
    if at < 0:
        raise Malformed(BAD_JSON)
    first = text[at]
    if first == '"':
        end = _STRING_END.match(text, at + 1)
        if not end:
            raise Malformed(BAD_STRING)
        return text[at + 1 : end.end() - 1], "string", end.end()
    if first in "{[":
        close = _block_end(text, at, "}" if first == "{" else "]")
        if close < 0:
            raise Malformed(BAD_OBJECT if first == "{" else BAD_ARRAY)
        return text[at:close], "object" if first == "{" else "array", close
    token = _TOKEN.match(text, at)
    word = token[0] if token else ""
    end_at = at + len(word)
    if word in {"true", "false"}:
        return word, "bool", end_at
    if word == "null":
        return word, "null", end_at
    if first in "-0123456789":
        return word, "number", end_at
    raise Malformed(UNKNOWN_TYPE)


def _block_end(text: str, at: int, closing: str) -> int:
    opening, level = text[at], 0
    while match := _BRACKETS.search(text, at):
        at = match.end()
        if match[0] == '"':
            end = _STRING_END.match(text, at)
            if not end:
                return -1
            at = end.end()
        elif match[0] == opening:
            level += 1
        elif match[0] == closing:
            level -= 1
            if not level:
                return at
    return -1


def next_token(text: str, at: int) -> int:
    """Offset of the first character from `at` on that is no space; -1 at the end."""
    while at < len(text):
        if text[at] not in _SPACE:
            return at
        at += 1
    return -1


def unescape(raw: str) -> str:
    """A JSON string's content; empty where an escape in it is wrong."""
    text = _unescape(raw) if "\\" in raw else raw
    return "" if text is None else clean(text)


def _unescape(raw: str) -> str | None:
    try:
        text = json.loads(f'"{raw}"', strict=False)
    except ValueError:
        return None
    return text if isinstance(text, str) else None


def clean(text: str) -> str:
    """Loki holds half a surrogate pair for a broken string, and puts a space for U+FFFD."""
    if "\ufffd" in text:
        text = text.replace("\ufffd", " ")
    try:
        text.encode()
    except UnicodeEncodeError:
        return ""
    return text


def unpack(line: str, labels: RowLabels) -> str:
    """The line that promtail's pack stage put away under `_entry`, its labels set; `line` itself where it did not."""
    if not line:
        return line
    if line[0] != "{":
        labels.fail(JSON_ERROR, "expecting json object(6), but it is not")
        return line
    try:
        texts = [(key, value) for key, value, kind in scan_object(line) if kind == "string"]
    except Malformed as error:
        labels.fail(JSON_ERROR, str(error))
        return line
    packed = [value for key, value in texts if key == "_entry"]
    if not packed:
        return line
    entry = _unescape(packed[-1])
    if entry is None:
        labels.fail(JSON_ERROR, BAD_ESCAPE)
        return line
    found = [(key, unescape(value)) for key, value in texts if key != "_entry"]
    for key, value in found:
        if name := label_name(key):
            labels.extract(name, value)
    return entry
