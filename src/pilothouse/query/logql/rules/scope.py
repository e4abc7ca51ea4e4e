"""Narrows a query to what its author may see."""

from dataclasses import replace
from typing import TypeVar

from pilothouse.core.labels import Matcher
from pilothouse.query.logql import ast

E = TypeVar("E", bound=ast.Expr)


def add_matchers(expr: E, matchers: tuple[Matcher, ...]) -> E:
    """The same query with `matchers` added to every selector in it; those that stand there already stay single."""
    match expr:
        case ast.LogQuery():
            missing = tuple(matcher for matcher in matchers if matcher not in expr.matchers)
            return replace(expr, matchers=expr.matchers + missing)
        case ast.RangeAggregation():
            return replace(expr, range=replace(expr.range, query=add_matchers(expr.range.query, matchers)))
        case ast.VectorAggregation() | ast.LabelReplace():
            return replace(expr, expr=add_matchers(expr.expr, matchers))
        case ast.BinaryOperation():
            return replace(expr, left=add_matchers(expr.left, matchers), right=add_matchers(expr.right, matchers))
        case ast.Literal() | ast.Vector():
            return expr
        case _:
            raise TypeError(type(expr))
