"""What a caller asks of the logs, checked, as a LogQL syntax tree: nothing a user types becomes query text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import re2

from pilothouse.core.errors import InvalidRequest
from pilothouse.core.labels import LABEL_NAME, Matcher, MatchOp
from pilothouse.core.times import DAY, MINUTE, now_ns, parse_instant
from pilothouse.gateway.logs.lines import DETECTED, WORDS
from pilothouse.query import logql
from pilothouse.query.logql import ast

MOST_LIMIT = 10_000
MOST_SEARCH = 4096
"""Characters of a search text."""
MOST_FILTERS = 20
MOST_RANGE = 400 * DAY
DEFAULT_RANGE = 15 * MINUTE
ALL = "*"
"""The service id that stands for all services the caller may see."""
SPECIAL = re.compile(r"[\\.+*?()|\[\]{}^$]")


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """From `start` up to but not at `end`, ns."""

    start: int
    end: int


def span(start: str | None, end: str | None, *, default: int = DEFAULT_RANGE) -> Span:
    """The range that two texts name. Raises InvalidRequest."""
    until = parse_instant(end, field="end_time") if end else now_ns() + 1
    since = parse_instant(start, field="start_time") if start else max(0, until - default)
    if since >= until:
        raise InvalidRequest(
            "start_time must be before end_time", code="INVALID_RANGE", details={"field": "start_time"}
        )
    if until - since > MOST_RANGE:
        raise InvalidRequest("a range may be 400 days at most", code="INVALID_RANGE", details={"field": "start_time"})
    return Span(start=since, end=until)


def query_of(
    service: str,
    *,
    levels: Sequence[str] = (),
    search: str = "",
    regex: bool = False,
    case: bool = False,
    filters: Sequence[str] = (),
) -> ast.LogQuery:
    """The log query for a service and filters. Raises InvalidRequest."""
    if service == ALL:
        matchers = [Matcher("service_name", MatchOp.REGEX, ".+")]
    else:
        matchers = [Matcher("service_name", MatchOp.EQUAL, service)]
    stages: list[ast.Stage] = []
    parsed: list[ast.Stage] = []
    if len(filters) > MOST_FILTERS:
        raise InvalidRequest(f"there may be {MOST_FILTERS} filters", code="INVALID_FILTER", details={"field": "filter"})
    for name, op, value, where in map(read_filter, filters):
        matcher = Matcher(name, op, value)
        if where == "label":
            matchers.append(matcher)
        elif where == "field":
            parsed.append(ast.MatcherFilter(matcher))
        else:
            stages.append(ast.MatcherFilter(matcher))
    if found := read_levels(levels):
        stages.append(ast.MatcherFilter(Matcher(DETECTED, MatchOp.REGEX, "|".join(found))))
    if search:
        stages.append(line_filter(search, regex=regex, case=case))
    if parsed:
        stages += [ast.JsonParser(), *parsed]
    return ast.LogQuery(matchers=tuple(matchers), stages=tuple(stages))


def read_levels(levels: Sequence[str]) -> list[str]:
    """The words of detected_level for DEBUG, INFO, WARN, ERROR or UNKNOWN, apart or joined by commas."""
    words: list[str] = []
    for level in (one.strip().upper() for text in levels for one in text.split(",")):
        if level not in WORDS:
            raise InvalidRequest(
                f"level must be DEBUG, INFO, WARN or ERROR; got {level!r:.40}",
                code="INVALID_LEVEL",
                details={"field": "level"},
            )
        words += WORDS[level]
    return list(dict.fromkeys(words))


def line_filter(search: str, *, regex: bool, case: bool) -> ast.LineFilter:
    """A filter for a text, taken as it is unless `regex`. Raises InvalidRequest."""
    if len(search) > MOST_SEARCH:
        raise InvalidRequest(f"search may have {MOST_SEARCH} characters", details={"field": "search"})
    if not regex and case:
        return ast.LineFilter(op=ast.LineOp.CONTAINS, needles=(ast.Needle(search),))
    pattern = search if regex else SPECIAL.sub(r"\\\g<0>", search)
    check_regex(pattern)
    return ast.LineFilter(op=ast.LineOp.MATCHES, needles=(ast.Needle(pattern if case else f"(?i){pattern}"),))


def check_regex(pattern: str) -> None:
    """Raises InvalidRequest where RE2 does not take it."""
    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0] if error.args else ""
        text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        raise InvalidRequest(
            f"search is not a regular expression: {text}", code="INVALID_REGEX", details={"field": "search"}
        ) from None


OPS = {"is": MatchOp.EQUAL, "not": MatchOp.NOT_EQUAL}
WHERE = {"label", "metadata", "field"}


def read_filter(text: str) -> tuple[str, MatchOp, str, str]:
    """`label:is:project=shop`: where it is looked for, how, the name, the value. Raises InvalidRequest.

    `label` is one of the stream's, `metadata` structured metadata, `field` one of a JSON line's.
    """
    where, _, rest = text.partition(":")
    op, _, pair = rest.partition(":")
    name, equals, value = pair.partition("=")
    if where not in WHERE or op not in OPS or not equals or not LABEL_NAME.match(name):
        raise InvalidRequest(
            f"a filter is label|metadata|field, is|not and name=value, as in label:is:project=shop; got {text!r:.80}",
            code="INVALID_FILTER",
            details={"field": "filter"},
        )
    return name, OPS[op], value, where


def log_query(text: str) -> ast.LogQuery:
    """A LogQL query that gives lines. Raises LogQLError."""
    return logql.parse_log_query(text)
