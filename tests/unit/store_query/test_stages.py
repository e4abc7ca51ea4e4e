"""Pipeline stages, one line at a time: labels, errors and texts as Loki makes them."""

import pytest

from pilothouse.query import logql
from pilothouse.query.logql import LogQLError
from pilothouse.store.logs.query.plan import plan
from pilothouse.store.logs.query.rowlabels import RowLabels
from pilothouse.store.logs.query.stages import compile_stages

OBJECT = "Value looks like object, but can't find closing '}' symbol"


def pass_through(stages, line, base=None, metadata=None):
    """The line and all its labels behind `stages`, or None where it is dropped."""
    labels = RowLabels(base or {"app": "a"}, dict(metadata or {}))
    out = compile_stages(logql.parse('{app="a"} ' + stages).stages).run(1_700_000_000_000_000_000, line, labels)
    return None if out is None else (out, {k: v for k, v in labels.all().items() if k != "app"})


JSON = [
    ('{"a":"x","b":1.50,"c":true,"d":null,"e":[1,2]}', {"a": "x", "b": "1.50", "c": "true"}),
    ('{"a":{"b":{"c":1e3}},"a_b":2}', {"a_b_c": "1e3", "a_b": "2"}),
    ('{"a b":1,"9x":2,"é.y":3," z ":4,"":5}', {"a_b": "1", "_9x": "2", "__y": "3", "z": "4"}),
    ('{"x":"first","x":"second"}', {"x": "first"}),
    ('{"app":"clash"}', {"app_extracted": "clash"}),
    ('{"m":"clash"}', {"m": "meta", "m_extracted": "clash"}),
    (r'{"a":"\u00e9\n\"\ud83d\ude00","b":"\ud800"}', {"a": 'é\n"😀', "b": ""}),
    ("plain", {"__error__": "JSONParserErr", "__error_details__": OBJECT}),
    ('["a"]', {"__error__": "JSONParserErr", "__error_details__": OBJECT}),
    ('{"a":1,"b":2', {"a": "1", "b": "2", "__error__": "JSONParserErr",
                      "__error_details__": "Value is array, but can't find closing ']' symbol"}),
    ('{"a":1} trailing', {"a": "1"}),
    ('  {"a":1}', {"a": "1"}),
    ('{"a":01,"b":[tru],"c":3}', {"a": "01", "c": "3"}),
    ('{"a":nope,"b":1}', {"__error__": "JSONParserErr", "__error_details__": "Unknown value type"}),
    ("{}", {}),
]  # fmt: skip


@pytest.mark.parametrize(("line", "labels"), JSON)
def test_json_gives_the_labels_that_loki_gives(line, labels):
    """Names are made fit, nested ones joined, doubles and clashes resolved, errors told after what was found."""
    metadata = {"m": "meta"} if '"m"' in line else {}
    assert pass_through("| json", line, metadata=metadata) == (line, labels)


@pytest.mark.parametrize(
    ("stage", "line", "labels"),
    [
        ('| json x="a.b[1]", y="a[\\"c d\\"]"', '{"a":{"b":[1,{"z":2}],"c d":"q"}}', {"x": '{"z":2}', "y": "q"}),
        ('| json x="a"', '{"b":1}', {"x": ""}),
        ('| json x="a"', '{"a":null}', {"x": ""}),
        ('| json app="a"', '{"a":1}', {"app_extracted": "1"}),
        ('| json x="a"', "plain", {"__error__": "JSONParserErr"}),
        ("| logfmt", 'a=1 b="x y" c d= e="q\\"r" f=é', {"a": "1", "b": "x y", "e": 'q"r', "f": "é"}),
        ("| logfmt --keep-empty", "a=1 c d=", {"a": "1", "c": "", "d": ""}),
        ("| logfmt", 'a=1 ="no" b=2 c="open', {"a": "1", "b": "2"}),
        ("| logfmt --strict", 'a=1 b"c d=4',
         {"a": "1", "__error__": "LogfmtParserErr", "__error_details__": "logfmt syntax error at pos 6 : unexpected '\"'"}),
        ("| logfmt", "app=clash a.b=1", {"app_extracted": "clash", "a_b": "1"}),
        ('| logfmt x="a", z="zz"', "a=1 b=2", {"x": "1", "z": ""}),
        ('| regexp "(?P<m>[A-Z]+) (?P<n>\\\\d+)?"', "GET /", {"m": "GET", "n": ""}),
        ('| regexp "(?P<m>[A-Z]+)"', "none here", {}),
        ("| pattern `<ip> - <_> [<at>] <rest>`", "1.2.3.4 - bob [now] a b", {"ip": "1.2.3.4", "at": "now", "rest": "a b"}),
        ("| pattern `x <a> y <b>`", "x 1 z", {"a": "1 z"}),
        ("| pattern `x <a>`", "y 1", {}),
    ],
)  # fmt: skip
def test_parsers_give_the_labels_that_loki_gives(stage, line, labels):
    """json by path, logfmt with its flags, regexp and pattern."""
    assert pass_through(stage, line) == (line, labels)


@pytest.mark.parametrize(
    ("stages", "line", "out"),
    [
        ("| unpack", '{"_entry":"in\\nside","k":"v","n":1}', ("in\nside", {"k": "v"})),
        ("| unpack", '{"k":"v"}', ('{"k":"v"}', {})),
        ("| unpack", "x", ("x", {"__error__": "JSONParserErr", "__error_details__": "expecting json object(6), but it is not"})),
        ("| decolorize", "\x1b[31mred\x1b[0m", ("red", {})),
        ('| logfmt | label_format b=a, c="{{.a}}-{{.x}}"', "a=1", ("a=1", {"b": "1", "c": "-"})),
        ('| logfmt | line_format "{{.a}}"', "a=1", ("1", {"a": "1"})),
        ('| logfmt | line_format "{{div .a 0}}"', "a=1", None),
        ('| logfmt | drop a, b=~"x.*"', "a=1 b=xy c=2", ("a=1 b=xy c=2", {"c": "2"})),
        ('| logfmt | keep a, b="no"', "a=1 b=xy c=2", ("a=1 b=xy c=2", {"a": "1"})),
        ("| json | drop __error__, __error_details__", "x", ("x", {})),
        ("| logfmt | a > 5", "a=10", ("a=10", {"a": "10"})),
        ("| logfmt | a > 5", "a=3", None),
        ("| logfmt | a > 5", "b=3", None),
        ("| logfmt | a != 5", "b=3", None),
        ("| logfmt | a > 5", "a=x", ("a=x", {"a": "x", "__error__": "LabelFilterErr",
                                            "__error_details__": 'strconv.ParseFloat: parsing "x": invalid syntax'})),
        ("| logfmt | a >= 1.5s", "a=1500ms", ("a=1500ms", {"a": "1500ms"})),
        ("| logfmt | a < 1KB", "a=999", ("a=999", {"a": "999"})),
        ("| logfmt | a == 1KiB", "a=1024B", ("a=1024B", {"a": "1024B"})),
        ('| logfmt | a = ip("10.0.0.0/8")', "a=10.2.3.4", ("a=10.2.3.4", {"a": "10.2.3.4"})),
        ('| logfmt | a != ip("10.0.0.0/8")', "a=10.2.3.4", None),
        ('| logfmt | a="" or b="x"', "b=x", ("b=x", {"b": "x"})),
        ('| logfmt | a=~"1|2"', "a=12", None),
        ('| json | __error__=""', "x", None),
        ('|= ip("192.168.0.0/16")', "from 192.168.3.4:80", ("from 192.168.3.4:80", {})),
        ('!= ip("::1-::5")', "at ::3 now", None),
        ('|> "<_>b<_>"', "abc", ("abc", {})),
        ('|> "<_>b"', "b", None),
        ('!> "<_>b<_>"', "abc", None),
    ],
)  # fmt: skip
def test_stages_change_and_drop_lines_as_loki_does(stages, line, out):
    """Each stage gives the text and the labels that Loki gives, or drops the line."""
    found = pass_through(stages, line)
    if "div .a 0" in stages:
        assert found is not None
        assert found[0] == line
        assert found[1]["__error__"] == "TemplateFormatErr"
    else:
        assert found == out


@pytest.mark.parametrize(
    ("stages", "reason"),
    [
        ('| line_format "{{.a"', "unclosed action"),
        ('| line_format "{{ nope .a }}"', 'function "nope" not defined'),
        ('| label_format a="1",a="2"', "multiple label name 'a' not allowed"),
        ('| label_format __error__="1"', "__error__ cannot be formatted"),
        ('| json x="a..b"', "cannot parse expression [a..b]"),
    ],
)
def test_stages_that_can_not_be_are_refused_in_lokis_form(stages, reason):
    """The error names the stage, before a line is read."""
    with pytest.raises(LogQLError, match="parse error : stage '") as caught:
        plan(logql.parse('{app="a"} ' + stages))
    assert reason in caught.value.message


def test_line_filters_move_over_decolorize_as_in_loki():
    """Loki puts them first, so that they see the colours."""
    made = plan(logql.parse('{app="a"} | decolorize |= "x" | json | a="b" |= "y" | line_format "z" |= "w"'))
    assert [needle.text for one in made.line_filters for needle in one.needles] == ["x"]
    assert len(made.rest) == 6
