"""Texts that every line which passes a filter must hold, for the index to leave out row groups by."""

from collections.abc import Iterator, Sequence

from pilothouse.query.logql import ast
from pilothouse.query.logql.pattern import Capture, parse_line_pattern

Clause = tuple[bytes, ...]
"""A line must hold one of these texts, in whatever case of ASCII letters."""

_FOLDS_BEYOND_ASCII = frozenset("kKsS")
"""Letters that RE2, ignoring case, finds in characters outside ASCII too: the Kelvin sign and the long s."""
_QUANTIFIERS = "*+?{"


def required(filters: Sequence[ast.LineFilter]) -> tuple[Clause, ...]:
    """Clauses of which each must hold for a line that passes all of `filters`."""
    return tuple(clause for one in filters for clause in _of_filter(one))


def _of_filter(stage: ast.LineFilter) -> Iterator[Clause]:
    if stage.op.negated or any(needle.ip for needle in stage.needles):
        return
    options = [_of_needle(stage.op, needle.text) for needle in stage.needles]
    if len(options) == 1:
        yield from options[0]
    elif all(options):
        # Of several needles one must be there: the longest text of each stands for it.
        yield tuple(literal for clauses in options for literal in max(clauses, key=_weight))


def _weight(clause: Clause) -> int:
    return min(len(literal) for literal in clause)


def _of_needle(op: ast.LineOp, text: str) -> list[Clause]:
    if op is ast.LineOp.CONTAINS:
        return [(text.encode(),)] if text else []
    if op is ast.LineOp.PATTERN:
        return [(part.encode(),) for part in parse_line_pattern(text) if not isinstance(part, Capture)]
    return of_regex(text)


def of_regex(pattern: str) -> list[Clause]:
    """Clauses of a regular expression of RE2. Whatever is not understood demands nothing."""
    ignore_case = False
    if pattern.startswith("(?"):
        end = pattern.find(")")
        flags = pattern[2:end] if end > 0 else ""
        if flags and set(flags) <= set("imsU"):
            ignore_case, pattern = "i" in flags, pattern[end + 1 :]
    branches = _branches(pattern)
    if branches is None:
        return []
    texts = [list(_runs(branch, ignore_case=ignore_case)) for branch in branches]
    if len(texts) == 1:
        return [(text.encode(),) for text in texts[0]]
    if not all(texts):
        return []
    return [tuple(max(runs, key=len).encode() for runs in texts)]


def _branches(pattern: str) -> list[str] | None:
    """The alternatives at the top; None where the pattern sets flags on the way."""
    out, begin, at, depth = [], 0, 0, 0
    while at < len(pattern):
        char = pattern[at]
        if char == "\\":
            if pattern[at + 1 : at + 2] in {"Q", "E"}:
                return None
            at += 2
            continue
        if char == "[":
            at = _class_end(pattern, at)
            continue
        if char == "(":
            if pattern.startswith("(?", at) and not pattern.startswith(("(?:", "(?P<", "(?<"), at):
                return None
            depth += 1
        elif char == ")":
            depth -= 1
        elif char == "|" and not depth:
            out.append(pattern[begin:at])
            begin = at + 1
        at += 1
    return [*out, pattern[begin:]]


def _runs(branch: str, *, ignore_case: bool) -> Iterator[str]:
    """Literal texts that a branch without alternatives at its top must hold."""
    run, at = "", 0
    while at < len(branch):
        char = branch[at]
        literal, after = "", at + 1
        if char == "\\":
            after = at + 2
            escaped = branch[at + 1 : at + 2]
            if escaped and not escaped.isalnum() and escaped.isascii():
                literal = escaped
            else:
                after = _escape_end(branch, at)
        elif char == "[":
            after = _class_end(branch, at)
        elif char == "(":
            after = _group_end(branch, at)
        elif char not in ".^$)|*+?{":
            literal = char
        if literal and ignore_case and (literal in _FOLDS_BEYOND_ASCII or not literal.isascii()):
            literal = ""
        follows = branch[after : after + 1]
        if literal and follows not in set(_QUANTIFIERS):
            run += literal
            at = after
            continue
        if literal and follows == "+":
            run += literal
        if run:
            yield run
        run = ""
        at = _quantifier_end(branch, after)
    if run:
        yield run


def _quantifier_end(text: str, at: int) -> int:
    while at < len(text) and text[at] in _QUANTIFIERS:
        at = text.find("}", at) + 1 or len(text) if text[at] == "{" else at + 1
    return at


def _escape_end(text: str, at: int) -> int:
    kind = text[at + 1 : at + 2]
    if kind in {"p", "P"}:
        return text.find("}", at) + 1 or len(text) if text[at + 2 : at + 3] == "{" else at + 3
    if kind == "x":
        return text.find("}", at) + 1 or len(text) if text[at + 2 : at + 3] == "{" else at + 4
    end = at + 2
    while kind.isdigit() and end < len(text) and text[end].isdigit():
        end += 1
    return end


def _class_end(text: str, at: int) -> int:
    at += 2 if text[at + 1 : at + 2] == "^" else 1
    if text[at : at + 1] == "]":
        at += 1
    while at < len(text) and text[at] != "]":
        if text.startswith("[:", at) and (end := text.find(":]", at)) >= 0:
            at = end + 2
        else:
            at += 2 if text[at] == "\\" else 1
    return at + 1


def _group_end(text: str, at: int) -> int:
    depth = 0
    while at < len(text):
        if text[at] == "\\":
            at += 2
            continue
        if text[at] == "[":
            at = _class_end(text, at)
            continue
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        at += 1
        if not depth:
            break
    return at
