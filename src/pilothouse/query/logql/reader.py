"""A row of tokens with a place in it."""

from pilothouse.query.logql.errors import SyntaxFault
from pilothouse.query.logql.lexer import Kind, Token, fault, lex

MAX_NESTING = 64
"""Levels of parentheses, functions and powers: deeper ones are no query anybody means, and would exhaust the stack."""
MAX_OPERATORS = 200
"""Operators of one query, for the same reason: a chain of them is a deep tree."""


class Reader:
    """Reads tokens of one query in order. Not shared between queries."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = lex(text)
        self._at = 0
        self._depth = 0
        self._operators = 0

    @property
    def kind(self) -> str:
        """The kind of the token that comes next."""
        return self._tokens[self._at].kind

    @property
    def following(self) -> str:
        """The kind of the token after that."""
        return self._tokens[min(self._at + 1, len(self._tokens) - 1)].kind

    def next(self) -> Token:
        """Takes the next token; at the end it is always the same one, of kind END."""
        token = self._tokens[self._at]
        if token.kind != Kind.END:
            self._at += 1
        return token

    def accept(self, kind: str) -> bool:
        """Takes the next token if it is of `kind`."""
        if self.kind == kind:
            self.next()
            return True
        return False

    def expect(self, kind: str, *, among: tuple[str, ...] | None = None) -> Token:
        """Takes the next token, which must be of `kind`. `among` names what else could have stood here."""
        if self.kind != kind:
            raise self.unexpected(*(among if among is not None else (kind,)))
        return self.next()

    def unexpected(self, *expecting: str) -> SyntaxFault:
        """The error for the next token, to be raised."""
        token = self._tokens[self._at]
        wanted = f", expecting {' or '.join(expecting)}" if expecting else ""
        return fault(self.text, token.at, f"syntax error: unexpected {token.kind}{wanted}")

    def deeper(self) -> None:
        """One level more of nesting. Raises SyntaxFault past the bound."""
        self._depth += 1
        if self._depth > MAX_NESTING:
            raise self._fault(f"query nests deeper than {MAX_NESTING} levels")

    def shallower(self) -> None:
        """One level less."""
        self._depth -= 1

    def operator(self) -> str:
        """Takes the next token as an operator. Raises SyntaxFault past the bound."""
        self._operators += 1
        if self._operators > MAX_OPERATORS:
            raise self._fault(f"query has more than {MAX_OPERATORS} operators")
        return self.next().kind

    def count_operator(self) -> None:
        """An operator that no token stands for."""
        self._operators += 1
        if self._operators > MAX_OPERATORS:
            raise self._fault(f"query has more than {MAX_OPERATORS} operators")

    def _fault(self, reason: str) -> SyntaxFault:
        return fault(self.text, self._tokens[self._at].at, reason)
