"""LogQL: lexer, ast, parser, printer and rules, in the order things happen."""

from pilothouse.query.logql.errors import LogQLError
from pilothouse.query.logql.parser import parse, parse_log_query, parse_selector
from pilothouse.query.logql.printer import format  # noqa: A004 - `logql.format` is its name for callers
from pilothouse.query.logql.rules import add_matchers

__all__ = ["LogQLError", "add_matchers", "format", "parse", "parse_log_query", "parse_selector"]
