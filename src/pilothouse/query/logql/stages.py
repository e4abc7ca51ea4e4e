"""Reads the stages of a pipeline."""

from pilothouse.core.labels import Matcher
from pilothouse.query.logql import ast
from pilothouse.query.logql.lexer import CONVERSIONS, Kind
from pilothouse.query.logql.reader import Reader
from pilothouse.query.logql.selectors import read_label_filter, read_matcher

_LINE_OPS = {op.value: op for op in ast.LineOp}
_MATCHES = {"=", "!=", "=~", "!~"}


def read_stages(reader: Reader) -> tuple[ast.Stage, ...]:
    """Stages up to the first token that begins none; `| unwrap` is left unread."""
    stages: list[ast.Stage] = []
    while True:
        if reader.kind in _LINE_OPS:
            stages.append(_line_filter(reader))
        elif reader.kind == "|" and reader.following != "unwrap":
            reader.next()
            stages.append(_stage(reader))
        else:
            return tuple(stages)


def read_unwrap(reader: Reader) -> ast.Unwrap | None:
    """`| unwrap label` and the label filters after it, or None where something else follows."""
    if reader.kind != "|" or reader.following != "unwrap":
        return None
    reader.next()
    reader.next()
    conversion = None
    if reader.kind.lower() in CONVERSIONS and reader.kind.isupper():
        conversion = reader.next().text
        reader.expect("(")
        label = reader.expect(Kind.IDENTIFIER).text
        reader.expect(")")
    else:
        label = reader.expect(Kind.IDENTIFIER).text
    filters = []
    while reader.accept("|"):
        if reader.kind not in {Kind.IDENTIFIER, "("}:
            raise reader.unexpected(Kind.IDENTIFIER, "(")
        filters.append(read_label_filter(reader))
    return ast.Unwrap(label, conversion, tuple(filters))


def _line_filter(reader: Reader) -> ast.LineFilter:
    op = _LINE_OPS[reader.next().kind]
    needles = [_needle(reader)]
    while reader.kind == "or":
        reader.operator()
        needles.append(_needle(reader))
    return ast.LineFilter(op, tuple(needles))


def _needle(reader: Reader) -> ast.Needle:
    if reader.accept("IP"):
        reader.expect("(")
        text = reader.expect(Kind.STRING).text
        reader.expect(")")
        return ast.Needle(text, ip=True)
    return ast.Needle(reader.expect(Kind.STRING, among=(Kind.STRING, "ip")).text)


def _stage(reader: Reader) -> ast.Stage:
    kind = reader.kind
    match kind:
        case "json":
            reader.next()
            return ast.JsonParser(_extractions(reader) if reader.kind == Kind.IDENTIFIER else ())
        case "logfmt":
            return _logfmt(reader)
        case "regexp":
            reader.next()
            return ast.RegexpParser(reader.expect(Kind.STRING).text)
        case "pattern":
            reader.next()
            return ast.PatternParser(reader.expect(Kind.STRING).text)
        case "unpack":
            reader.next()
            return ast.UnpackParser()
        case "line_format":
            reader.next()
            return ast.LineFormat(reader.expect(Kind.STRING).text)
        case "label_format":
            return _label_format(reader)
        case "decolorize":
            reader.next()
            return ast.Decolorize()
        case "drop":
            reader.next()
            return ast.DropLabels(_names(reader))
        case "keep":
            reader.next()
            return ast.KeepLabels(_names(reader))
        case _ if kind in {Kind.IDENTIFIER, "("}:
            return read_label_filter(reader)
        case _:
            raise reader.unexpected()


def _logfmt(reader: Reader) -> ast.LogfmtParser:
    reader.next()
    flags = set()
    while reader.kind == Kind.FLAG:
        flags.add(reader.next().text)
    extractions = _extractions(reader) if reader.kind == Kind.IDENTIFIER else ()
    return ast.LogfmtParser(extractions, strict="--strict" in flags, keep_empty="--keep-empty" in flags)


def _extractions(reader: Reader) -> tuple[ast.Extraction, ...]:
    out = []
    while True:
        label = reader.expect(Kind.IDENTIFIER).text
        expression = reader.expect(Kind.STRING).text if reader.accept("=") else label
        out.append(ast.Extraction(label, expression))
        if not reader.accept(","):
            return tuple(out)


def _label_format(reader: Reader) -> ast.LabelFormat:
    reader.next()
    assigns = []
    while True:
        label = reader.expect(Kind.IDENTIFIER).text
        reader.expect("=")
        if reader.kind not in {Kind.IDENTIFIER, Kind.STRING}:
            raise reader.unexpected(Kind.IDENTIFIER, Kind.STRING)
        source = reader.next()
        assigns.append(ast.LabelAssign(label, source.text, rename=source.kind == Kind.IDENTIFIER))
        if not reader.accept(","):
            return ast.LabelFormat(tuple(assigns))


def _names(reader: Reader) -> tuple[str | Matcher, ...]:
    names: list[str | Matcher] = []
    while True:
        if reader.kind == Kind.IDENTIFIER and reader.following in _MATCHES:
            names.append(read_matcher(reader))
        else:
            names.append(reader.expect(Kind.IDENTIFIER).text)
        if not reader.accept(","):
            return tuple(names)
