"""Whether labels lie within a scope. The rules are Loki's: regexes anchored, a label that is missing is empty."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import re2

from pilothouse.core.errors import InvalidRequest
from pilothouse.core.labels import Matcher, MatchOp

Scope = tuple[Matcher, ...]
"""Matchers that must all hold. The empty scope holds for everything."""


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.dot_nl = True
    options.log_errors = False
    return re2.compile(pattern, options)


def check_regex(pattern: str) -> None:
    """Raises InvalidRequest where RE2 can't read `pattern`."""
    try:
        _compiled(pattern)
    except re2.error as error:
        raise InvalidRequest(
            f"{pattern!r:.120} is not a regular expression of RE2: {_text(error)}", code="INVALID_REGEX"
        ) from error


def _text(error: Exception) -> str:
    reason = error.args[0] if error.args else ""
    return reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)


def matches(matcher: Matcher, labels: Mapping[str, str]) -> bool:
    """Whether `labels` satisfy one matcher."""
    value = labels.get(matcher.name, "")
    match matcher.op:
        case MatchOp.EQUAL:
            return value == matcher.value
        case MatchOp.NOT_EQUAL:
            return value != matcher.value
        case MatchOp.REGEX:
            return _compiled(matcher.value).fullmatch(value) is not None
        case MatchOp.NOT_REGEX:
            return _compiled(matcher.value).fullmatch(value) is None


def within(scope: Scope, labels: Mapping[str, str]) -> bool:
    """Whether `labels` satisfy every matcher of `scope`."""
    return all(matches(matcher, labels) for matcher in scope)


def widest(scopes: Sequence[Scope]) -> tuple[Scope, ...]:
    """The same set of objects in fewer scopes: one that repeats all of another's matchers adds nothing to it."""
    kept: list[Scope] = []
    for scope in sorted(dict.fromkeys(scopes), key=len):
        if not any(set(wider) <= set(scope) for wider in kept):
            kept.append(scope)
    return tuple(kept)
