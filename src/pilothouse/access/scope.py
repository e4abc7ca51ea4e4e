"""Narrows LogQL to what its author may see: on the syntax tree, in every selector, never on the text."""

from dataclasses import dataclass

import re2

from pilothouse.access.authorize import visible_scopes
from pilothouse.access.permissions import Permission
from pilothouse.access.principal import Principal
from pilothouse.access.scopes import Scope, matches
from pilothouse.core.errors import Forbidden
from pilothouse.core.labels import Matcher, MatchOp
from pilothouse.query import logql
from pilothouse.query.logql import ast

EVERYTHING = (Matcher("service_name", MatchOp.REGEX, ".+"),)
"""A selector for all streams: Loki wants at least one matcher that does not match the empty value."""


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A query as its author may run it."""

    expr: ast.Expr

    def __str__(self) -> str:
        """The text for the backend."""
        return logql.format(self.expr)


def scope_query(principal: Principal, query: str | ast.Expr, permission: Permission = Permission.LOGS_READ) -> str:
    """LogQL with the matchers of the principal's scope in every selector of its tree.

    Raises Forbidden where nothing may be seen, or where several scopes reach into the query that can't be said in
    one; LogQLError for what is no query.
    """
    return str(narrow(principal, query, permission))


def narrow(principal: Principal, query: str | ast.Expr, permission: Permission = Permission.LOGS_READ) -> Narrowed:
    """As scope_query, giving the tree."""
    expr = logql.parse(query) if isinstance(query, str) else query
    scopes = visible_scopes(principal, permission)
    if not scopes:
        raise Forbidden(f"this needs {permission.value}", details={"permission": permission.value})
    if () in scopes:
        return Narrowed(expr)
    return Narrowed(logql.add_matchers(expr, joined(scopes, list(selectors(expr)))))


def narrow_selector(principal: Principal, matchers: Scope, permission: Permission = Permission.LOGS_READ) -> Scope:
    """The matchers of one selector, with those of the scope. Raises as scope_query."""
    expr = narrow(principal, ast.LogQuery(matchers=matchers), permission).expr
    assert isinstance(expr, ast.LogQuery)  # noqa: S101 - add_matchers keeps the kind
    return expr.matchers


def selectors(expr: ast.Expr) -> list[Scope]:
    """The matchers of each selector in a query."""
    match expr:
        case ast.LogQuery():
            return [expr.matchers]
        case ast.RangeAggregation():
            return selectors(expr.range.query)
        case ast.VectorAggregation() | ast.LabelReplace():
            return selectors(expr.expr)
        case ast.BinaryOperation():
            return [*selectors(expr.left), *selectors(expr.right)]
        case _:
            return []


def joined(scopes: tuple[Scope, ...], asked: list[Scope]) -> Scope:
    """One scope for all that `asked` can reach of `scopes`. Raises Forbidden where that is more than one can say."""
    reached = [scope for scope in scopes if not all(contradicts(scope, selector) for selector in asked)] or [scopes[0]]
    if len(reached) == 1:
        return reached[0]
    return union(reached) or _refuse(reached)


def _refuse(scopes: list[Scope]) -> Scope:
    shown = " or ".join("{" + ", ".join(map(str, scope)) + "}" for scope in scopes[:5])
    raise Forbidden(
        f"what you may see is {shown}, which one query can't say: name in its selector the one you mean",
        code="NARROW_THE_QUERY",
    )


def contradicts(scope: Scope, selector: Scope) -> bool:
    """Whether no stream can lie in both, as far as equality tells."""
    fixed = {matcher.name: matcher.value for matcher in selector if matcher.op is MatchOp.EQUAL}
    return any(matcher.name in fixed and not matches(matcher, fixed) for matcher in scope)


def union(scopes: list[Scope]) -> Scope | None:
    """The scopes as one, where they differ in a single label that each names by `=` or `=~`; None otherwise."""
    common = set(scopes[0]).intersection(*scopes[1:])
    rests = [[matcher for matcher in scope if matcher not in common] for scope in scopes]
    if any(len(rest) != 1 for rest in rests):
        return None
    differing = [rest[0] for rest in rests]
    if len({matcher.name for matcher in differing}) != 1:
        return None
    if any(matcher.op not in {MatchOp.EQUAL, MatchOp.REGEX} for matcher in differing):
        return None
    choices = [m.value if m.op is MatchOp.REGEX else re2.escape(m.value) for m in differing]
    either = "|".join(f"(?:{choice})" for choice in dict.fromkeys(choices))
    kept = tuple(matcher for matcher in scopes[0] if matcher in common)
    return (*kept, Matcher(differing[0].name, MatchOp.REGEX, either))
