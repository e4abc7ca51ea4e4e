"""LogQL text to tokens. Keywords are of any case; a function's name is one only before `(`, `by (` or `without (`."""

import re
from dataclasses import dataclass
from enum import StrEnum

from pilothouse.query.logql.errors import SyntaxFault
from pilothouse.query.logql.units import parse_duration, parse_prometheus_duration, parse_size

MAX_QUERY = 131_072
"""Bytes of a query's text: Loki's own bound, far above what people and dashboards write."""


class Kind(StrEnum):
    """The classes of tokens whose text matters; the others are named for themselves."""

    END = "$end"
    IDENTIFIER = "IDENTIFIER"
    STRING = "STRING"
    NUMBER = "NUMBER"
    DURATION = "DURATION"
    BYTES = "BYTES"
    RANGE = "RANGE"
    FLAG = "FUNCTION_FLAG"


@dataclass(frozen=True, slots=True)
class Token:
    """`kind` is a Kind, an operator, a keyword, or a function's name in capitals, as Loki's errors name them.

    `text` is a string's content or the source otherwise; `value` is nanoseconds of a duration or range, bytes of
    a size; `at` is an offset in characters.
    """

    kind: str
    text: str
    at: int
    value: int = 0


RANGE_FUNCTIONS = frozenset(
    [
        "rate",
        "rate_counter",
        "count_over_time",
        "bytes_rate",
        "bytes_over_time",
        "avg_over_time",
        "sum_over_time",
        "min_over_time",
        "max_over_time",
        "stdvar_over_time",
        "stddev_over_time",
        "quantile_over_time",
        "first_over_time",
        "last_over_time",
        "absent_over_time",
    ]
)
VECTOR_FUNCTIONS = frozenset(
    ["sum", "avg", "max", "min", "count", "stddev", "stdvar", "bottomk", "topk", "approx_topk", "sort", "sort_desc"]
)
CONVERSIONS = frozenset(("bytes", "duration", "duration_seconds"))
FUNCTIONS = RANGE_FUNCTIONS | VECTOR_FUNCTIONS | CONVERSIONS | {"vector", "ip", "label_replace"}
KEYWORDS = frozenset(
    [
        "by",
        "without",
        "bool",
        "unwrap",
        "offset",
        "on",
        "ignoring",
        "group_left",
        "group_right",
        "or",
        "and",
        "unless",
        "json",
        "regexp",
        "logfmt",
        "unpack",
        "pattern",
        "label_format",
        "line_format",
        "decolorize",
        "drop",
        "keep",
        "label_replace",
    ]
)
_FLAGS = ("--strict", "--keep-empty")
_OPERATORS = ("!=", "=~", "!~", "!>", "|=", "|~", "|>", "==", ">=", "<=", *tuple("{}()[],.=|+-*/%^<>"))
_SPACE = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)+")
_WORD = re.compile(r"[^\W\d]\w*")
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_MEASURE = re.compile(r"[0-9.nuµmshdwyBikKMGTP]*")
_FUNCTION_FOLLOWS = re.compile(r"\s*(?:\(|(?:by|without)\s*\()", re.IGNORECASE)
_ESCAPE = re.compile(
    rb"\\(?:(?P<char>[abfnrtv\\'\"])|x(?P<hex>[0-9a-fA-F]{2})|u(?P<u4>[0-9a-fA-F]{4})|U(?P<u8>[0-9a-fA-F]{8})"
    rb"|(?P<oct>[0-7]{3}))"
)
_ESCAPED = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def fault(text: str, at: int, reason: str) -> SyntaxFault:
    """The error for what stands at offset `at` of `text`."""
    start = text.rfind("\n", 0, at) + 1
    return SyntaxFault(reason, line=text.count("\n", 0, at) + 1, column=at - start + 1)


def lex(text: str) -> list[Token]:
    """Every token of `text`, closed by one of kind END. Raises SyntaxFault."""
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise fault(text, error.start, "invalid UTF-8 rune") from error
    if size >= MAX_QUERY:
        raise fault(text, 0, f"input size too long ({size} > {MAX_QUERY})")
    tokens: list[Token] = []
    at = _skip(text, 0)
    while at < len(text):
        token, at = _scan(text, at)
        tokens.append(token)
        at = _skip(text, at)
    tokens.append(Token(Kind.END, "", len(text)))
    return tokens


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _scan(text: str, at: int) -> tuple[Token, int]:
    char = text[at]
    if char in '"`':
        return _string(text, at)
    if char == "[":
        return _range(text, at)
    if match := _WORD.match(text, at):
        return _word(text, at, match.end())
    if match := _NUMBER.match(text, at):
        return _number(text, at, match)
    if char == "-":
        for flag in _FLAGS:
            if text.startswith(flag, at) and not (text[at + len(flag) : at + len(flag) + 1] or " ").isalpha():
                return Token(Kind.FLAG, flag, at), at + len(flag)
        end = _measure_end(text, at + 1)
        if end > at + 1 and (value := parse_duration(text[at:end])) is not None and not text[at:end][1:].isdigit():
            return Token(Kind.DURATION, text[at:end], at, value), end
    for operator in _OPERATORS:
        if text.startswith(operator, at):
            return Token(operator, operator, at), at + len(operator)
    raise fault(text, at, f"syntax error: unexpected {char!r}")


def _word(text: str, at: int, end: int) -> tuple[Token, int]:
    word = text[at:end]
    lower = word.lower()
    if lower in FUNCTIONS:
        if _FUNCTION_FOLLOWS.match(text, end):
            return Token(lower.upper(), lower, at), end
        if lower not in KEYWORDS:
            return Token(Kind.IDENTIFIER, word, at), end
    if lower in KEYWORDS:
        return Token(lower, word, at), end
    return Token(Kind.IDENTIFIER, word, at), end


def _number(text: str, at: int, match: re.Match[str]) -> tuple[Token, int]:
    end = _measure_end(text, at)
    if end > match.end():
        for kind, parse in ((Kind.DURATION, parse_duration), (Kind.BYTES, parse_size)):
            if (value := parse(text[at:end])) is not None:
                return Token(kind, text[at:end], at, value), end
    return Token(Kind.NUMBER, match[0], at), match.end()


def _measure_end(text: str, at: int) -> int:
    match = _MEASURE.match(text, at)
    return match.end() if match else at


def _range(text: str, at: int) -> tuple[Token, int]:
    end = text.find("]", at)
    if end < 0:
        raise fault(text, at, "missing closing ']' in duration")
    inside = text[at + 1 : end]
    value = parse_prometheus_duration(inside)
    if value is None:
        reason = f'not a valid duration string: "{inside}"' if inside else "empty duration string"
        raise fault(text, at, reason)
    return Token(Kind.RANGE, text[at : end + 1], at, value), end + 1


def _string(text: str, at: int) -> tuple[Token, int]:
    if text[at] == "`":
        end = text.find("`", at + 1)
        if end < 0:
            raise fault(text, at, "literal not terminated")
        return Token(Kind.STRING, text[at + 1 : end], at), end + 1
    end = at + 1
    while end < len(text) and text[end] not in '"\n':
        end += 2 if text[end] == "\\" else 1
    if end >= len(text) or text[end] == "\n":
        raise fault(text, at, "literal not terminated")
    return Token(Kind.STRING, _unescape(text, at, text[at + 1 : end]), at), end + 1


def _unescape(text: str, at: int, body: str) -> str:
    if "\\" not in body:
        return body
    source, out, done = body.encode(), bytearray(), 0
    while (slash := source.find(b"\\", done)) >= 0:
        match = _ESCAPE.match(source, slash)
        if not match or match["char"] == b"'":
            raise fault(text, at, "invalid char escape")
        out += source[done:slash]
        try:
            out += _character(match)
        except (ValueError, OverflowError) as error:
            raise fault(text, at, "escape sequence is invalid Unicode code point") from error
        done = match.end()
    out += source[done:]
    try:
        return out.decode()
    except UnicodeDecodeError as error:
        raise fault(text, at, "invalid UTF-8 rune") from error


def _character(match: re.Match[bytes]) -> bytes:
    if char := match["char"]:
        return _ESCAPED.get(char, char)
    if code := match["hex"]:
        return bytes([int(code, 16)])
    if code := match["oct"]:
        return bytes([int(code, 8)])
    return chr(int(match["u4"] or match["u8"], 16)).encode()
