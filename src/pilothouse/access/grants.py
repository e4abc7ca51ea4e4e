"""Text of a grant → Grant. The text is what roles, users and API keys carry, and what people write."""

from collections.abc import Iterable

from pilothouse.access.permissions import SCOPED_NOUNS, Grant, Permission
from pilothouse.access.scopes import check_regex
from pilothouse.core.errors import InvalidRequest
from pilothouse.core.labels import LABEL_NAME, Matcher, MatchOp

MAX_TEXT = 1_000
"""Characters of one grant: a page of it could not be read by the person who must judge it."""
MAX_GRANTS = 100
"""Grants of one role, user or key: each request weighs them all."""
NAMES = frozenset({"*"} | {p.value for p in Permission} | {f"{p.noun}:*" for p in Permission})
_OPERATORS = (MatchOp.REGEX, MatchOp.NOT_REGEX, MatchOp.NOT_EQUAL, MatchOp.EQUAL)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "'": "'"}
_CODES = {"x": 2, "u": 4, "U": 8}


def parse_grant(text: str) -> Grant:
    """Read `logs:read{project="shop",service=~"api|web"}`. Raises InvalidRequest with the place of the fault."""
    if len(text) > MAX_TEXT:
        raise InvalidRequest(f"a permission may have {MAX_TEXT} characters", code="INVALID_PERMISSION")
    return _Reader(text).grant()


def parse_grants(texts: Iterable[str]) -> tuple[Grant, ...]:
    """Read several, without repeats. Raises InvalidRequest."""
    grants = tuple(dict.fromkeys(parse_grant(text) for text in texts))
    if len(grants) > MAX_GRANTS:
        raise InvalidRequest(f"at most {MAX_GRANTS} permissions", code="INVALID_PERMISSION")
    return grants


class _Reader:
    """One pass over one text; `at` is where it stands."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def grant(self) -> Grant:
        brace = self.text.find("{")
        name = (self.text if brace < 0 else self.text[:brace]).strip()
        if name not in NAMES:
            raise self.fault(f"{name!r:.60} is not a permission; there are " + ", ".join(sorted(NAMES)))
        if brace < 0:
            return Grant(name)
        self.at = brace + 1
        scope = self.matchers()
        if not scope:
            raise self.fault("a scope needs at least one matcher; leave the braces out to allow everything")
        if name != "*" and name.partition(":")[0] not in SCOPED_NOUNS:
            raise self.fault(f"{name} can't have a scope: what it is about has no labels")
        return Grant(name, scope)

    def matchers(self) -> tuple[Matcher, ...]:
        out: list[Matcher] = []
        while not self.take("}"):
            if out and not self.take(","):
                raise self.fault("expected , or }")
            if out and self.take("}"):
                break
            out.append(self.matcher())
        self.space()
        if self.at != len(self.text):
            raise self.fault("expected the end after }")
        return tuple(dict.fromkeys(out))

    def matcher(self) -> Matcher:
        self.space()
        start = self.at
        while self.at < len(self.text) and (self.text[self.at].isalnum() or self.text[self.at] == "_"):
            self.at += 1
        name = self.text[start : self.at]
        if not LABEL_NAME.match(name):
            self.at = start
            raise self.fault("expected a label name")
        for op in _OPERATORS:
            if self.take(op.value):
                value = self.string()
                if op in {MatchOp.REGEX, MatchOp.NOT_REGEX}:
                    check_regex(value)
                return Matcher(name, op, value)
        raise self.fault("expected =, !=, =~ or !~")

    def string(self) -> str:
        self.space()
        if self.take("`"):
            end = self.text.find("`", self.at)
            if end < 0:
                raise self.fault("the string has no end")
            value, self.at = self.text[self.at : end], end + 1
            return value
        if not self.take('"'):
            raise self.fault('expected a value in "quotes"')
        out: list[str] = []
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 1
            if char == '"':
                return "".join(out)
            out.append(self.escape() if char == "\\" else char)
        raise self.fault("the string has no end")

    def escape(self) -> str:
        char = self.text[self.at : self.at + 1]
        self.at += 1
        if char in _CODES:
            digits = self.text[self.at : self.at + _CODES[char]]
            self.at += len(digits)
            try:
                return chr(int(digits, 16)) if len(digits) == _CODES[char] else ""
            except (ValueError, OverflowError):
                raise self.fault(f"\\{char}{digits} is not a character") from None
        if char not in _ESCAPES:
            raise self.fault(f"unknown escape \\{char}")
        return _ESCAPES[char]

    def space(self) -> None:
        while self.at < len(self.text) and self.text[self.at] in " \t\r\n":
            self.at += 1

    def take(self, token: str) -> bool:
        self.space()
        if self.text.startswith(token, self.at):
            self.at += len(token)
            return True
        return False

    def fault(self, message: str) -> InvalidRequest:
        return InvalidRequest(
            f"{message} (column {self.at + 1} of {self.text!r:.120})",
            code="INVALID_PERMISSION",
            details={"permission": self.text, "column": self.at + 1},
        )
