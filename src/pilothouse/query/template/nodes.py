"""What a template is once read."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """Text between actions."""

    text: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A string, number, boolean or nil."""

    value: object


@dataclass(frozen=True, slots=True)
class Field:
    """`.a.b`, or `.` where there are no names."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Variable:
    """`$x.a`; `$` alone is what the template was given."""

    name: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    """A function's name with its arguments."""

    function: str
    arguments: tuple["Operand", ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, each given the one before as its last argument; then perhaps set to a variable."""

    commands: tuple["Operand", ...]
    variable: str = ""
    declares: bool = False


@dataclass(frozen=True, slots=True)
class Chain:
    """`(pipeline).a`."""

    pipeline: Pipeline
    names: tuple[str, ...]


Operand = Constant | Field | Variable | Call | Pipeline | Chain


@dataclass(frozen=True, slots=True)
class Action:
    """`{{ pipeline }}`."""

    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Branch:
    """`if`, `with` or `range`; `key` and `value` are the variables of a range."""

    kind: str
    pipeline: Pipeline
    body: tuple["Node", ...]
    otherwise: tuple["Node", ...]
    key: str = ""
    value: str = ""


Node = Text | Action | Branch


def fields(nodes: tuple[Node, ...]) -> Iterator[str]:
    """The first names of all fields that a template reads."""
    for node in nodes:
        if isinstance(node, Action):
            yield from _operand_fields(node.pipeline)
        elif isinstance(node, Branch):
            yield from _operand_fields(node.pipeline)
            yield from fields(node.body)
            yield from fields(node.otherwise)


def _operand_fields(operand: Operand) -> Iterator[str]:
    match operand:
        case Field(names):
            yield from names[:1]
        case Variable("$", names):
            yield from names[:1]
        case Call(_, arguments):
            for argument in arguments:
                yield from _operand_fields(argument)
        case Pipeline(commands):
            for command in commands:
                yield from _operand_fields(command)
        case Chain(pipeline):
            yield from _operand_fields(pipeline)
        case _:
            pass
