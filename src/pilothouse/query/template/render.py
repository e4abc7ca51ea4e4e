"""A template applied to the labels of a line."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pilothouse.query.template.errors import TemplateError
from pilothouse.query.template.functions import FUNCTIONS, MAX_TEXT
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
    fields,
)
from pilothouse.query.template.values import at_nanoseconds, to_text, truth, type_name

MISSING: Any = object()
"""No argument from the pipeline."""


@dataclass(frozen=True)
class Template:
    """Nodes to be rendered any number of times, from any thread."""

    nodes: tuple[Node, ...]

    @cached_property
    def fields(self) -> frozenset[str]:
        """The labels that the template reads."""
        return frozenset(fields(self.nodes))

    @cached_property
    def single_field(self) -> str | None:
        """The label's name where the template is no more than `{{.name}}`."""
        match self.nodes:
            case (Action(Pipeline((Field((name,)),), "")),):
                return name
            case _:
                return None

    def render(self, labels: Mapping[str, str], *, line: str, ts: int) -> str:
        """The text. Raises TemplateError, with Go's words where they are known."""
        out: list[str] = []
        try:
            _Rendering(labels, line, ts, out).walk(self.nodes, labels)
        except RecursionError as error:
            raise TemplateError("template nests too deep") from error
        return "".join(out)


class _Rendering:
    def __init__(self, labels: Mapping[str, str], line: str, ts: int, out: list[str]) -> None:
        self.line, self.ts, self.out = line, ts, out
        self.variables: list[list[Any]] = [["$", labels]]
        self.size = 0

    def walk(self, nodes: tuple[Node, ...], dot: Any) -> None:
        for node in nodes:
            if isinstance(node, Text):
                self._put(node.text)
            elif isinstance(node, Action):
                value = self.pipeline(node.pipeline, dot)
                if not node.pipeline.variable:
                    self._put(to_text(value))
            else:
                scope = len(self.variables)
                self._branch(node, dot)
                del self.variables[scope:]

    def _put(self, text: str) -> None:
        self.size += len(text)
        if self.size > MAX_TEXT:
            raise TemplateError(f"a line of more than {MAX_TEXT} characters")
        self.out.append(text)

    def _branch(self, node: Branch, dot: Any) -> None:
        value = self.pipeline(node.pipeline, dot)
        if node.kind != "range":
            if truth(value):
                self.walk(node.body, value if node.kind == "with" else dot)
            else:
                self.walk(node.otherwise, dot)
            return
        items: list[tuple[Any, Any]]
        if isinstance(value, list):
            items = list(enumerate(value))
        elif isinstance(value, Mapping):
            items = sorted(value.items())
        elif value is None:
            items = []
        else:
            raise TemplateError(f"range can't iterate over {to_text(value)}")
        for key, item in items:
            scope = len(self.variables)
            self.variables += [[name, it] for name, it in ((node.key, key), (node.value, item)) if name]
            self.walk(node.body, item)
            del self.variables[scope:]
        if not items:
            self.walk(node.otherwise, dot)

    def pipeline(self, pipeline: Pipeline, dot: Any) -> Any:
        value = MISSING
        for command in pipeline.commands:
            value = self.operand(command, dot, value)
        if pipeline.variable:
            if pipeline.declares:
                self.variables.append([pipeline.variable, value])
            else:
                self._variable(pipeline.variable)[1] = value
        return value

    def _variable(self, name: str) -> list[Any]:
        for pair in self.variables[::-1]:
            if pair[0] == name:
                return pair
        raise TemplateError(f"undefined variable {name!r}")

    def operand(self, operand: Operand, dot: Any, last: Any = MISSING) -> Any:
        match operand:
            case Constant(value):
                return value
            case Field(names):
                return _follow(dot, names)
            case Variable(name, names):
                return _follow(self._variable(name)[1], names)
            case Pipeline():
                return self.pipeline(operand, dot)
            case Chain(pipeline, names):
                return _follow(self.pipeline(pipeline, dot), names)
            case Call():
                return self._call(operand, dot, last)

    def _call(self, call: Call, dot: Any, last: Any) -> Any:
        name = call.function
        if name in {"and", "or"}:
            value: Any = None
            for argument in call.arguments:
                value = self.operand(argument, dot)
                if truth(value) == (name == "or"):
                    return value
            return value if last is MISSING else last
        if name == "__line__":
            return self.line
        if name == "__timestamp__":
            return at_nanoseconds(self.ts)
        arguments = [self.operand(argument, dot) for argument in call.arguments]
        if last is not MISSING:
            arguments.append(last)
        try:
            return FUNCTIONS[name](*arguments)
        except TypeError as error:
            raise TemplateError(f"wrong number of args for {name}: got {len(arguments)}") from error
        except (ValueError, OverflowError) as error:
            raise TemplateError(f"error calling {name}: {error}") from error


def _follow(value: Any, names: tuple[str, ...]) -> Any:
    for depth, name in enumerate(names):
        if isinstance(value, Mapping):
            # A label that is missing is the empty text, a field of parsed JSON is nothing.
            value = value[name] if name in value else "" if not depth and _are_labels(value) else None
        elif value is None:
            raise TemplateError(f"nil data; no entry for key {name!r}")
        else:
            raise TemplateError(f"can't evaluate field {name} in type {type_name(value)}")
    return value


def _are_labels(value: Mapping[str, Any]) -> bool:
    return all(isinstance(item, str) for item in value.values())
