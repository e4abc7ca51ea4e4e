"""Pipeline stages as functions from line to line, setting labels on the way."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pilothouse.core.labels import Matcher
from pilothouse.query.logql import ast, pattern
from pilothouse.query.logql.address import holds, parse_addresses
from pilothouse.query.logql.errors import MeaningFault
from pilothouse.query.logql.printer import format_stage
from pilothouse.query.logql.regex import compile_search
from pilothouse.query.template import Template, TemplateError, parse_template
from pilothouse.store.logs.query import jsonpath
from pilothouse.store.logs.query.conditions import compile_condition, required_names, text_test
from pilothouse.store.logs.query.jsonlines import extract_json, label_name, unpack
from pilothouse.store.logs.query.logfmt import Logfmt
from pilothouse.store.logs.query.rowlabels import DETAILS, ERROR, PRESERVE, SUFFIX, RowLabels

Step = Callable[[int, str, RowLabels], str | None]
"""Takes a line's time, text and labels; gives its text, or None where the line is dropped."""

TEMPLATE_ERROR = "TemplateFormatErr"
LOGFMT_ERROR = "LogfmtParserErr"
_ANSI = compile_search(
    "[\u001b\u009b][[\\]()#;?]*(?:(?:(?:[a-zA-Z\\d]*(?:;[a-zA-Z\\d]*)*)?\u0007)|"
    "(?:(?:\\d{1,4}(?:;\\d{0,4})*)?[\\dA-PRZcf-ntqry=><~]))"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Steps:
    """A compiled pipeline. `required` are the labels that its stages look at."""

    steps: tuple[Step, ...]
    required: frozenset[str]

    def run(self, ts: int, line: str, labels: RowLabels) -> str | None:
        """The line as it leaves the pipeline, or None where it does not."""
        out: str | None = line
        for step in self.steps:
            out = step(ts, out, labels)  # type: ignore[arg-type] # None returns at once
            if out is None:
                return None
        return out


def compile_stages(stages: Sequence[ast.Stage]) -> Steps:
    """Raises MeaningFault, in Loki's words, for a template or path that can't be read."""
    required: set[str] = set()
    steps = []
    for stage in stages:
        try:
            step, names = _compile(stage)
        except (TemplateError, jsonpath.PathError) as error:
            raise MeaningFault(f"stage '{format_stage(stage)}' : {error}") from error
        steps.append(step)
        required |= names
    return Steps(steps=tuple(steps), required=frozenset(required))


def _compile(stage: ast.Stage) -> tuple[Step, set[str]]:
    match stage:
        case ast.LineFilter():
            return _line_filter(stage), set()
        case ast.JsonParser(extractions):
            return (_json_paths(extractions) if extractions else _json), set()
        case ast.LogfmtParser():
            return (_logfmt_keys(stage) if stage.extractions else _logfmt(stage)), set()
        case ast.RegexpParser(regex):
            return _regexp(regex), set()
        case ast.PatternParser(text):
            return _pattern(text), set()
        case ast.UnpackParser():
            return (lambda _, line, labels: line if _needless(labels) else unpack(line, labels)), set()
        case ast.LineFormat(text):
            template = _template(text, "line")
            return _line_format(template), set(template.fields)
        case ast.LabelFormat():
            return _label_format(stage)
        case ast.Decolorize():
            return (lambda _, line, __: _ANSI.sub("", line)), set()
        case ast.DropLabels(labels):
            return _drop(labels), set()
        case ast.KeepLabels(labels):
            return _keep(labels), set()
        case _:
            condition = compile_condition(stage)
            return (lambda _, line, labels: line if condition(labels) else None), required_names(stage)


def _needless(labels: RowLabels) -> bool:
    return labels.wanted is not None and labels.wanted <= labels.seen


def line_test(stage: ast.LineFilter) -> Callable[[str], bool]:
    """Whether a line passes a line filter."""
    tests = [_needle_test(stage.op, needle) for needle in stage.needles]
    if stage.op.negated:
        return lambda line: not any(test(line) for test in tests)
    return lambda line: any(test(line) for test in tests)


def _needle_test(op: ast.LineOp, needle: ast.Needle) -> Callable[[str], bool]:
    text = needle.text
    if needle.ip:
        addresses = parse_addresses(text)
        return lambda line: holds(addresses, line)
    if op in {ast.LineOp.CONTAINS, ast.LineOp.LACKS}:
        return lambda line: text in line
    if op in {ast.LineOp.MATCHES, ast.LineOp.DIFFERS}:
        search = compile_search(text).search
        return lambda line: search(line) is not None
    parts = pattern.parse_line_pattern(text)
    return lambda line: pattern.fits(parts, line)


def _line_filter(stage: ast.LineFilter) -> Step:
    test = line_test(stage)
    return lambda _, line, __: line if test(line) else None


def _json(_: int, line: str, labels: RowLabels) -> str:
    if not _needless(labels):
        extract_json(line, labels)
    return line


def _json_paths(extractions: Sequence[ast.Extraction]) -> Step:
    paths = [(extraction.label, jsonpath.parse_path(extraction.expression)) for extraction in extractions]

    def step(_: int, line: str, labels: RowLabels) -> str:
        if not line or _needless(labels):
            return line
        if line[0] not in '{["':
            labels.fail("JSONParserErr", "")
            return line
        for label, path in paths:
            value = jsonpath.find(line, path)
            if value is not None:
                labels.set(label + SUFFIX if label in labels.base or label in labels.metadata else label, value)
        for label, _path in paths:
            if labels.get(label) is None:
                labels.set(label, "")
        return line

    return step


def _logfmt(stage: ast.LogfmtParser) -> Step:
    strict, keep_empty = stage.strict, stage.keep_empty

    def step(_: int, line: str, labels: RowLabels) -> str:
        if _needless(labels):
            return line
        reader = Logfmt(line)
        for key, value in reader.pairs(strict=strict):
            text = value.replace("\ufffd", " ") if "\ufffd" in value else value
            if (text or keep_empty) and (name := label_name(key)):
                labels.extract(name, text)
                if labels.satisfied():
                    break
        if strict and reader.error:
            labels.fail(LOGFMT_ERROR, reader.error)
        return line

    return step


def _logfmt_keys(stage: ast.LogfmtParser) -> Step:
    for extraction in stage.extractions:
        if not extraction.expression:
            raise jsonpath.PathError("cannot parse expression []: syntax error: unexpected $end")
    labels_of = {extraction.label: extraction.expression.strip().strip('"') for extraction in stage.extractions}
    by_key = {key: label for label, key in labels_of.items()}

    def step(_: int, line: str, labels: RowLabels) -> str:
        if _needless(labels):
            return line
        for label in labels_of:
            if label not in labels.base and label not in labels.metadata:
                labels.set(label, "")
        reader = Logfmt(line)
        for key, value in reader.pairs(strict=stage.strict):
            name = by_key.get(label_name(key)) or by_key.get(key)
            if name is None:
                continue
            text = "" if "\ufffd" in value else value
            if name in labels.base or name in labels.metadata:
                name += SUFFIX
            labels.set(name, text)
        if stage.strict and reader.error:
            labels.fail(LOGFMT_ERROR, reader.error)
        return line

    return step


def _regexp(regex: str) -> Step:
    compiled = compile_search(regex)
    groups = [(label_name(name), index) for name, index in compiled.groupindex.items()]
    groups.sort(key=lambda group: group[1])

    def step(_: int, line: str, labels: RowLabels) -> str:
        if match := compiled.search(line):
            for name, index in groups:
                labels.extract(name, match[index] or "")
        return line

    return step


def _pattern(text: str) -> Step:
    parts = pattern.parse_captures(text)

    def step(_: int, line: str, labels: RowLabels) -> str:
        if not _needless(labels):
            for name, value in pattern.capture(parts, line):
                labels.extract(name, value)
        return line

    return step


def _template(text: str, name: str) -> Template:
    try:
        return parse_template(text)
    except TemplateError as error:
        what = "line template" if name == "line" else f"template for label '{name}'"
        raise TemplateError(f"invalid {what}: {error}") from error


def _line_format(template: Template) -> Step:
    field = template.single_field
    if field is not None:
        return lambda _, __, labels: labels.get(field) or ""

    def step(ts: int, line: str, labels: RowLabels) -> str:
        try:
            return template.render(labels.all(), line=line, ts=ts)
        except TemplateError as error:
            labels.error, labels.details = TEMPLATE_ERROR, str(error)
            return line

    return step


def _label_format(stage: ast.LabelFormat) -> tuple[Step, set[str]]:
    seen: set[str] = set()
    required: set[str] = set()
    assigns: list[tuple[str, str, Template | None]] = []
    for assign in stage.assigns:
        if assign.label == ERROR:
            raise TemplateError(f"{assign.label} cannot be formatted")
        if assign.label in seen:
            raise TemplateError(f"multiple label name '{assign.label}' not allowed in a single format operation")
        seen.add(assign.label)
        template = None if assign.rename else _template(assign.source, assign.label)
        required |= {assign.source} if template is None else set(template.fields)
        assigns.append((assign.label, assign.source, template))

    def step(ts: int, line: str, labels: RowLabels) -> str:
        values: dict[str, str] | None = None
        for label, source, template in assigns:
            if template is None:
                value = labels.get(source)
                if value is not None:
                    labels.set(label, value)
                    labels.delete(source)
                continue
            if values is None:
                values = labels.all()
            try:
                labels.set(label, template.render(values, line=line, ts=ts))
            except TemplateError as error:
                labels.error, labels.details = TEMPLATE_ERROR, str(error)
        return line

    return step, required


def _drop(names: Sequence[str | Matcher]) -> Step:
    tests = [(n, None) if isinstance(n, str) else (n.name, text_test(n)) for n in names]

    def step(_: int, line: str, labels: RowLabels) -> str:
        for name, test in tests:
            if name == ERROR:
                if test is None or test(labels.error):
                    labels.error = ""
            elif name == DETAILS:
                if test is None or test(labels.details):
                    labels.details = ""
            else:
                value = labels.get(name)
                if value is not None if test is None else test(value or ""):
                    labels.delete(name)
        return line

    return step


def _keep(names: Sequence[str | Matcher]) -> Step:
    plain = {name for name in names if isinstance(name, str)}
    tests = [(name.name, text_test(name)) for name in names if isinstance(name, Matcher)]

    def step(_: int, line: str, labels: RowLabels) -> str:
        for name, value in labels.all().items():
            if name in {ERROR, DETAILS, PRESERVE} or name in plain:
                continue
            if not any(name == other and test(value) for other, test in tests):
                labels.delete(name)
        return line

    return step
