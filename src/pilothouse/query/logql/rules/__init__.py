"""Rewrites of a syntax tree, one a file."""

from pilothouse.query.logql.rules.scope import add_matchers

__all__ = ["add_matchers"]
