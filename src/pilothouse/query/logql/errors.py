"""What is wrong with a query, in Loki's own words.

LogQLError                     400 INVALID_QUERY
├── SyntaxFault                `parse error at line 1, col 36: syntax error: unexpected unwrap`
└── MeaningFault               `parse error : grouping not allowed for sum_over_time aggregation`
"""

from pilothouse.core.errors import InvalidRequest


class LogQLError(InvalidRequest):
    """A query that can't be read; `message` is the text that Loki answers."""

    default_code = "INVALID_QUERY"


class SyntaxFault(LogQLError):
    """The text is no LogQL. `details` holds `line` and `column`, counted from 1 in characters."""

    def __init__(self, reason: str, *, line: int, column: int) -> None:
        super().__init__(
            f"parse error at line {line}, col {column}: {reason}", details={"line": line, "column": column}
        )


class MeaningFault(LogQLError):
    """The text is LogQL, and asks for something that has no meaning."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"parse error : {reason}")
