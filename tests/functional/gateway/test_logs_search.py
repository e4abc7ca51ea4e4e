"""What a user types is looked for as it is: no text can become query, and none finds more than it says."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

AWKWARD = [
    'say "hello"', "it's", "C:\\temp\\new", "{json: true}", "`backticks`", "a.c", "a+b=c?", "(group)", "[0-9]", "x|y",
    "^start", "end$", "two\nlines", "tab\there", '"} | line_format "', '"} or {service_name="x', "\\", "\\\\", "\\n",
    "\\x41", '\\"', "$1", "%d %s", "{{.message}}", "*", ".*", "(?i)", "\\Q", "\\E", "#", "//", "--", "/* */", "é", "漢字",
    "🚢", "\u200b", "\x00", "\x1b[31m", " ", "  ", "ǅ", "a\u0301", "|=", "!~", "\r\n", "<_>", "&amp;", "+", "%2B", "&a=b",
]  # fmt: skip
_numbers = itertools.count()
texts = st.lists(
    st.one_of(
        st.sampled_from(AWKWARD),
        st.text(alphabet="ab\"'`\\{}[]()|.*+?^$\n\t <>=~!,#", min_size=1, max_size=12),
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    ),
    min_size=1, max_size=6, unique=True,
)  # fmt: skip


async def found(house, service, **params):
    answer = await house.get(service, limit=10_000, **params)
    assert answer.status == 200, answer
    lines = sorted(line["message"] for line in answer.body["logs"])
    assert answer.body["total"] == len(lines)
    return lines


@settings(
    max_examples=40, deadline=None, derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
@given(texts=texts)
async def test_a_text_finds_exactly_the_lines_that_hold_it(house, texts):
    """By case; without, all of those and none that Unicode's own folding does not explain."""
    service = f"search-{next(_numbers)}"
    lines = [f"<{n}>{text}</{n}>" for n, text in enumerate(texts)] + ["decoy", "DECOY x"]
    await house.push(service, lines)
    await house.push(f"{service}-other", lines)
    for text in texts:
        exact = sorted(line for line in lines if text in line)
        assert await found(house, service, search=text, case="true") == exact
        loose = await found(house, service, search=text)
        assert set(exact) <= set(loose)
        assert all(text.casefold() in line.casefold() or not text.isascii() for line in loose)


@pytest.mark.parametrize("text", AWKWARD)
async def test_awkward_texts_find_themselves(house, text):
    """Each finds its own line among all the others, and no line of another service."""
    lines = [f"{n}:{one};" for n, one in enumerate(AWKWARD)]
    if not (await house.get("awkward")).body.get("logs"):
        await house.push("awkward", lines)
        await house.push("awkward-other", lines)
    for params in ({"case": "true"}, {}):
        got = await found(house, "awkward", search=text, **params)
        wanted = [one for one in lines if (text in one if params else text.lower() in one.lower())]
        assert got == sorted(wanted)


@pytest.mark.parametrize(
    "service", ['x"} or {service_name=~".+', "a|b", ".*", "awkward-.*", "*x", "%", "a/b", "..", "?"]
)
async def test_a_service_id_is_no_pattern(house, service):
    """What names no service finds none, and says so."""
    await house.push("awkward-id", ["x"])
    answer = await house.get(service.replace("%", "%25").replace("/", "%2F").replace("?", "%3F").replace("|", "%7C"))
    assert answer.status in {404, 400}, answer
    assert "logs" not in answer.body


async def test_an_odd_service_id_is_found(house):
    """Quotes, slashes, spaces and signs are part of a name like any letter."""
    for name in ('quo"ted', "back\\slash", "with space", "per%cent", "pl+us", "brace{}", "ünï", "a,b", "query2"):
        await house.push(name, [f"of {name}"])
        answer = await house.call("GET", "/api/v1/logs/" + "".join(f"%{b:02X}" for b in name.encode()))
        # aiohttp keeps a path that is quoted already.
        assert [line["message"] for line in answer.body["logs"]] == [f"of {name}"], answer


async def test_a_regular_expression_only_where_asked(house):
    """regex=true takes RE2, by case or not; anchors are the line's own."""
    await house.push("regex", ["abc", "a.c", "ABC", "xabc"])
    assert await found(house, "regex", search="a.c") == ["a.c"]
    assert await found(house, "regex", search="a.c", regex="true", case="true") == ["a.c", "abc", "xabc"]
    assert await found(house, "regex", search="^a.c$", regex="true") == ["ABC", "a.c", "abc"]
    assert await found(house, "regex", search="(?i)^X", regex="true", case="true") == ["xabc"]


@pytest.mark.parametrize("pattern", ["(", "[", "a**", "(?<name>x", "\\", "(?=x)", "\\1", "x{2000}", "(?P<a>"])
async def test_a_bad_regular_expression_is_said(house, pattern):
    """400 with RE2's reason, whatever the path."""
    for path in ("any", "any/histogram", "any/fields", "any/export"):
        answer = await house.get(path, search=pattern, regex="true")
        assert (answer.status, answer.code) == (400, "INVALID_REGEX"), answer
        assert answer.body["error"]["details"] == {"field": "search"}


@pytest.mark.parametrize(
    "given",
    ["", "x", "label:is:a", "label:like:a=b", "thing:is:a=b", "label:is:1a=b", "label:is:a-b=c", "label:is:=b",
     'label:is:a="} or {b=c', "label:is:a b=c", "label::a=b"],
)  # fmt: skip
async def test_a_filter_that_is_none_is_refused(house, given):
    """With what a filter looks like; the one that is a filter with an odd value finds nothing."""
    await house.push("filtered", ["x"])
    answer = await house.get("filtered", filter=given)
    if given.startswith('label:is:a="'):
        assert (answer.status, answer.body["logs"]) == (200, [])
        return
    assert (answer.status, answer.code) == (400, "INVALID_FILTER"), answer


async def test_no_filter_is_left_out(house):
    """Too many are refused: a filter that is dropped in silence widens the query."""
    await house.push("many-filters", ["x"])
    for count, status in ((20, 200), (21, 400)):
        filters = ["label:not:project=a"] * (count - 1) + ["label:is:project=b"]
        answer = await house.get("many-filters", filter=filters)
        assert (answer.status, answer.body.get("logs", [])) == (status, [])


async def test_a_search_that_is_too_long(house):
    """4096 characters are looked for, one more is refused."""
    text = "needle " * 585 + "x"
    await house.push("long-search", [f"before {text} after"])
    assert len(text) == 4096
    assert await found(house, "long-search", search=text) == [f"before {text} after"]
    answer = await house.get("long-search", search=text + "y")
    assert (answer.status, answer.code) == (400, "INVALID_REQUEST")
