"""Template text to nodes."""

import re
from dataclasses import dataclass, field

from pilothouse.query.template.errors import TemplateError
from pilothouse.query.template.functions import NAMES
from pilothouse.query.template.nodes import (
    Action,
    Branch,
    Call,
    Chain,
    Constant,
    Field,
    Node,
    Operand,
    Pipeline,
    Text,
    Variable,
)
from pilothouse.query.template.render import Template

MAX_DEPTH = 50
"""Levels of blocks and parentheses."""

_ACTION = re.compile(
    r"\{\{(?P<left>-(?=\s))?(?P<body>\s*/\*.*?\*/\s*|(?:\"(?:\\.|[^\"\\\n])*\"|`[^`]*`|'(?:\\.|[^'\\\n])+'|[^\"`'])*?)"
    r"(?P<right>(?<=\s)-)?\}\}",
    re.DOTALL,
)
_TOKEN = re.compile(
    r"\s*(?:(?P<string>\"(?:\\.|[^\"\\\n])*\"|`[^`]*`)|(?P<char>'(?:\\.|[^'\\\n])+')"
    r"|(?P<number>[+-]?(?:0[xX][0-9a-fA-F]+|\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)(?![\w.]))"
    r"|(?P<variable>\$\w*)|(?P<field>\.[^\W\d]\w*)|(?P<word>[^\W\d]\w*)|(?P<sign>:=|[().|=,]))(?P<gap>\s*)"
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)


def parse_template(text: str) -> Template:
    """Raises TemplateError."""
    reader = _Blocks(text)
    nodes, ended_by = reader.read(())
    if ended_by:
        raise TemplateError(f"unexpected {{{{{ended_by}}}}}")
    return Template(nodes)


@dataclass(slots=True)
class _Blocks:
    text: str
    at: int = 0
    depth: int = 0
    trim_next: bool = False
    variables: list[str] = field(default_factory=lambda: ["$"])

    def read(self, ends: tuple[str, ...]) -> tuple[tuple[Node, ...], str]:
        """Nodes up to an action of `ends`, and that action's text."""
        nodes: list[Node] = []
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise TemplateError(f"blocks nest deeper than {MAX_DEPTH} levels")
        while True:
            begin = self.text.find("{{", self.at)
            plain = self.text[self.at : begin if begin >= 0 else None]
            if self.trim_next:
                plain = plain.lstrip(" \t\r\n")
                self.trim_next = False
            if begin < 0:
                if plain:
                    nodes.append(Text(plain))
                self.at = len(self.text)
                if ends:
                    raise TemplateError("unexpected EOF")
                return tuple(nodes), ""
            match = _ACTION.match(self.text, begin)
            if not match:
                raise TemplateError("unclosed action")
            if match["left"]:
                plain = plain.rstrip(" \t\r\n")
            if plain:
                nodes.append(Text(plain))
            self.at, self.trim_next = match.end(), bool(match["right"])
            body = match["body"].strip()
            if body.startswith("/*") and body.endswith("*/"):
                continue
            word = body.split(None, 1)[0] if body else ""
            if word in {"else", "end"}:
                if word not in ends:
                    raise TemplateError(f"unexpected {{{{{word}}}}}")
                self.depth -= 1
                return tuple(nodes), body
            if word in {"if", "with", "range"}:
                nodes.append(self._branch(word, body[len(word) :]))
            elif word in {"define", "template", "block", "break", "continue"}:
                raise TemplateError(f"{word} is not supported")
            else:
                nodes.append(Action(_Commands(body, self.variables, self.depth).whole()))

    def _branch(self, kind: str, head: str) -> Branch:
        scope = len(self.variables)
        key = value = ""
        if kind == "range" and (match := re.match(r"\s*(\$\w+)\s*(?:,\s*(\$\w+)\s*)?:=(.*)", head, re.DOTALL)):
            key, value, head = (match[1], match[2], match[3]) if match[2] else ("", match[1], match[3])
            self.variables += [name for name in (key, value) if name]
        pipeline = _Commands(head, self.variables, self.depth).whole()
        body, ended_by = self.read(("else", "end"))
        otherwise: tuple[Node, ...] = ()
        rest = ended_by[4:].strip() if ended_by.startswith("else") else ""
        if rest:
            word = rest.split(None, 1)[0]
            if word not in {"if", "with"}:
                raise TemplateError(f"unexpected {rest!r} in else")
            otherwise = (self._branch(word, rest[len(word) :]),)
        elif ended_by.startswith("else"):
            otherwise, _ = self.read(("end",))
        del self.variables[scope:]
        return Branch(kind, pipeline, body, otherwise, key, value)


@dataclass(slots=True)
class _Commands:
    text: str
    variables: list[str]
    depth: int
    at: int = 0

    def whole(self) -> Pipeline:
        """The pipeline that is all of the text."""
        pipeline = self._pipeline()
        if self._kind() != "":
            raise TemplateError(f"unexpected {self.text[self.at :].strip()!r:.40} in command")
        return pipeline

    def _match(self) -> re.Match[str] | None:
        return _TOKEN.match(self.text, self.at)

    def _kind(self) -> str:
        match = self._match()
        if not match:
            if self.text[self.at :].strip():
                raise TemplateError(f"bad character in {self.text[self.at :].strip()!r:.40}")
            return ""
        return match["sign"] or "operand"

    def _pipeline(self) -> Pipeline:
        match = self._match()
        if match and match["variable"]:
            rest = _TOKEN.match(self.text, match.end())
            if rest and rest["sign"] in {":=", "="}:
                self.at = rest.end()
                value = self._pipeline()
                declares = rest["sign"] == ":="
                if declares:
                    self.variables.append(match["variable"])
                elif match["variable"] not in self.variables:
                    raise TemplateError(f"undefined variable {match['variable']!r}")
                return Pipeline(value.commands, match["variable"], declares)
        commands = [self._command()]
        while self._kind() == "|":
            self._take()
            command = self._command()
            if not isinstance(command, Call):
                raise TemplateError("non executable command in pipeline")
            commands.append(command)
        return Pipeline(tuple(commands))

    def _take(self) -> re.Match[str]:
        match = self._match()
        if not match:
            raise TemplateError("unexpected end of command")
        self.at = match.end()
        return match

    def _command(self) -> Operand:
        match = self._match()
        if match and match["word"] and match["word"] not in {"true", "false", "nil"}:
            name = self._take()["word"]
            if name not in NAMES:
                raise TemplateError(f'function "{name}" not defined')
            arguments = []
            while self._kind() not in {"", ")", "|"}:
                arguments.append(self._operand())
            return Call(name, tuple(arguments))
        if not match:
            raise TemplateError("missing value for command")
        operand = self._operand()
        if self._kind() not in {"", ")", "|"}:
            raise TemplateError("can't give argument to non-function")
        return operand

    def _operand(self) -> Operand:
        match = self._take()
        if match["string"]:
            return Constant(unquote(match["string"]))
        if match["char"]:
            return Constant(ord(unquote(match["char"])))
        if match["number"]:
            return Constant(_number(match["number"]))
        if word := match["word"]:
            if word in {"true", "false", "nil"}:
                return Constant({"true": True, "false": False, "nil": None}[word])
            if word not in NAMES:
                raise TemplateError(f'function "{word}" not defined')
            return Call(word, ())
        if name := match["variable"]:
            if name not in self.variables:
                raise TemplateError(f"undefined variable {name!r}")
            return Variable(name, self._names(match))
        if match["field"]:
            return Field((match["field"][1:], *self._names(match)))
        if match["sign"] == ".":
            return Field(())
        if match["sign"] == "(":
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise TemplateError(f"parentheses nest deeper than {MAX_DEPTH} levels")
            inner = self._pipeline()
            close = self._take()
            if close["sign"] != ")":
                raise TemplateError("unclosed left paren")
            self.depth -= 1
            names = self._names(close)
            return Chain(inner, names) if names else inner
        raise TemplateError(f"unexpected {match[0].strip()!r} in operand")

    def _names(self, before: re.Match[str]) -> tuple[str, ...]:
        names: list[str] = []
        while not before["gap"] and (match := self._match()) and match["field"]:
            names.append(match["field"][1:])
            before = self._take()
        return tuple(names)


def _number(text: str) -> int | float:
    try:
        return int(text, 16) if "x" in text.lower() else int(text)
    except ValueError:
        return float(text)


def unquote(text: str) -> str:
    """The content of a Go string or rune literal."""
    if text[0] == "`":
        return text[1:-1]
    return _ESCAPE.sub(_escape, text[1:-1])


def _escape(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    if code:
        try:
            return chr(int(code, 16))
        except (ValueError, OverflowError) as error:
            raise TemplateError(f"invalid escape {match[0]!r}") from error
    return _ESCAPES.get(match[4], match[4])
