"""The REST API of logs: services, pages, totals, context, histogram, fields, LogQL."""

import asyncio
import time
from collections import Counter

import pytest

from pilothouse.core.times import format_instant

SECOND = 10**9
MINUTE = 60 * SECOND
LEVELLED = [
    "level=debug d",
    "level=info i",
    "level=warn w",
    "level=warning w2",
    "level=error e",
    "level=fatal f",
    "plain",
]
WORDED = {"DEBUG": ["d"], "INFO": ["i"], "WARN": ["w", "w2"], "ERROR": ["e", "f"], "UNKNOWN": ["plain"]}


def messages(answer):
    assert answer.status == 200, answer
    return [line["message"] for line in answer.body["logs"]]


async def collect(house, path, **params):
    """All pages by their cursors."""
    found, cursor, pages = [], {}, 0
    while True:
        answer = await house.get(path, **params, **cursor)
        found += messages(answer)
        pages += 1
        if not answer.body["has_more"]:
            assert answer.body["next_cursor"] is None
            return found, pages
        cursor = {"cursor": answer.body["next_cursor"]}


async def test_services_are_listed_with_what_they_log(house):
    """Each with project, hosts, containers, last line, counts by level and a rate."""
    at = await house.push("list-a", ["level=error x", "level=info y"], project="listing", host="h1", container="c1")
    await house.push("list-a", ["level=info z"], project="listing", host="h2", container="c1")
    await house.push("list-b", ["old"], at=at - 30 * MINUTE)
    answer = await house.get("services")
    found = {service["id"]: service for service in answer.body}
    a, b = found["list-a"], found["list-b"]
    assert (a["name"], a["project"], a["hosts"], a["containers"]) == ("list-a", "listing", ["h1", "h2"], ["c1"])
    assert (a["lines_24h"], a["levels"], a["status"]) == (3, {"ERROR": 1, "INFO": 2}, "active")
    assert len(a["rate"]) == 12
    assert sum(a["rate"]) == 3
    assert (b["lines_24h"], b["status"], sum(b["rate"])) == (1, "quiet", 0)
    assert b["last_seen"] == format_instant(at - 30 * MINUTE)
    order = [(service["project"], service["name"]) for service in answer.body]
    assert order == sorted(order)


async def test_a_page_has_all_that_is_promised(house):
    """Newest first, nanoseconds kept, labels and metadata together, the searched range, the query as it was asked."""
    at = await house.push("page", ["one", "two"], project="p", stream="stderr")
    start, end = at - SECOND, at + SECOND
    answer = await house.get("page", start_time=format_instant(start), end_time=str(end), limit=1)
    (line,) = answer.body["logs"]
    assert line["timestamp"] == format_instant(at + 1000)
    assert (line["message"], line["service"], line["level"]) == ("two", "page", "UNKNOWN")
    assert line["metadata"] == {
        "service_name": "page", "project": "p", "stream": "stderr", "detected_level": "unknown"
    }  # fmt: skip
    assert answer.body["searched"] == {"from": format_instant(start), "to": format_instant(end)}
    assert (answer.body["total"], answer.body["total_exact"], answer.body["has_more"]) == (2, True, True)
    assert answer.body["query"] == '{service_name="page"}'
    older = await house.get("page", start_time=start, end_time=end, limit=1, cursor=answer.body["next_cursor"])
    assert messages(older) == ["one"]
    assert (older.body["total"], older.body["has_more"], older.body["next_cursor"]) == (2, False, None)
    oldest = await house.get("page", start_time=start, end_time=end, limit=1, direction="forward")
    assert messages(oldest) == ["one"]


async def test_the_end_is_not_in_the_range_and_the_start_is(house):
    """Two ranges side by side share no line and miss none."""
    at = await house.push("ends", [f"line {n}" for n in range(4)])
    first = await house.get("ends", start_time=at, end_time=at + 2000)
    second = await house.get("ends", start_time=at + 2000, end_time=at + 4000)
    assert messages(first) == ["line 1", "line 0"]
    assert messages(second) == ["line 3", "line 2"]
    assert (first.body["total"], second.body["total"]) == (2, 2)


async def test_a_total_is_exact_to_the_nanosecond(house):
    """Whatever the ends of the range: Loki's own ranges are of whole milliseconds."""
    at = await house.push("exact", [f"line {n}" for n in range(3000)], at=time.time_ns() - MINUTE)
    for start, end in ((0, 3000), (1, 2999), (999, 1000), (500, 2999), (17, 2017)):
        answer = await house.get("exact", start_time=at + start * 1000 - 1, end_time=at + end * 1000 - 1, limit=1)
        assert (answer.body["total"], answer.body["total_exact"]) == (end - start, True)


@pytest.mark.parametrize("level", WORDED)
async def test_a_level_covers_its_words(house, level):
    """WARN covers warning; ERROR covers err, critical and fatal; lower case is taken too."""
    await house.push("levels", LEVELLED, at=time.time_ns() // MINUTE * MINUTE)
    wanted = {line for line in LEVELLED if line.split()[-1] in WORDED[level]}
    for asked in (level, level.lower()):
        answer = await house.get("levels", level=asked)
        assert set(messages(answer)) == wanted
        assert {line["level"] for line in answer.body["logs"]} == {level}


async def test_levels_are_joined(house):
    """Given twice or with commas."""
    await house.push("levels-2", LEVELLED)
    for asked in (["ERROR", "DEBUG"], "ERROR,DEBUG"):
        assert len(messages(await house.get("levels-2", level=asked))) == 3


@pytest.mark.parametrize("limit", [0, 10_001, -1, "many", "1e3", ""])
async def test_a_limit_out_of_bounds_is_refused(house, limit):
    """With the field's name."""
    answer = await house.get("any", limit=limit)
    assert (answer.status, answer.code) == (400, "INVALID_REQUEST")
    assert answer.body["error"]["details"]["problems"][0]["field"] == "limit"


async def test_ten_thousand_lines_in_one_page(house):
    """The largest page, and the rest behind it; `total` counts all."""
    at = time.time_ns() - 5 * MINUTE
    for part in range(3):
        await house.push("large", [f"line {part * 4000 + n}" for n in range(4000)], at=at + part * 4_000_000)
    span = {"start_time": at, "end_time": at + MINUTE}
    for direction in ("backward", "forward"):
        wanted = [f"line {n}" for n in range(12_000)]
        if direction == "backward":
            wanted.reverse()
        answer = await house.get("large", limit=10_000, direction=direction, **span)
        assert messages(answer) == wanted[:10_000]
        assert (answer.body["total"], answer.body["has_more"]) == (12_000, True)
        rest = await house.get("large", limit=10_000, direction=direction, cursor=answer.body["next_cursor"], **span)
        assert messages(rest) == wanted[10_000:]
        assert not rest.body["has_more"]
        far = await house.get("large", limit=5, offset=9_998, direction=direction, **span)
        assert messages(far) == wanted[9_998:10_003]


@pytest.mark.parametrize("direction", ["backward", "forward"])
async def test_cursors_while_lines_arrive(house, direction):
    """Paging through what was there gives each line once, though more arrives in and beside the range."""
    name = f"paging-{direction}"
    at = time.time_ns() - MINUTE
    await house.push(name, [f"line {n}" for n in range(700)], at=at, apart=1_000_000)
    going, late = True, 0

    async def pour():
        nonlocal late
        while going:
            await house.push(name, [f"late {late}"], at=at + late * 1_000_000 + 500)
            await house.push(name, [f"new {late}"])
            late += 1

    pouring = asyncio.create_task(pour())
    try:
        found, pages = await collect(
            house, name, limit=50, direction=direction, start_time=at, end_time=at + 700 * 1_000_000
        )
    finally:
        going = False
        await pouring
    assert pages >= 14
    counted = Counter(found)
    assert [message for message, count in counted.items() if count > 1] == []
    assert [m for m in found if m.startswith("line")] == [
        f"line {n}" for n in (range(700) if direction == "forward" else range(699, -1, -1))
    ]
    assert not [m for m in found if m.startswith("new")]


async def test_offsets_in_a_closed_range_while_lines_arrive_beside_it(house):
    """No line twice, none lost."""
    at = await house.push("offsets", [f"line {n}" for n in range(300)], at=time.time_ns() - MINUTE)
    found = []
    for offset in range(0, 350, 50):
        await house.push("offsets", [f"new {offset}"])
        answer = await house.get("offsets", start_time=at, end_time=at + SECOND, limit=50, offset=offset)
        assert answer.body["total"] == 300
        assert answer.body["has_more"] is (offset + 50 < 300)
        found += messages(answer)
    assert found == [f"line {n}" for n in range(299, -1, -1)]


@pytest.mark.parametrize("direction", ["backward", "forward"])
@pytest.mark.parametrize("limit", [1, 7, 100])
async def test_lines_of_equal_time(house, direction, limit):
    """Many lines of one nanosecond in several streams, cut by pages anywhere: each once, in one order."""
    name = f"equal-{direction}-{limit}"
    at = time.time_ns() - MINUTE
    for stream in ("a", "b", "c"):
        await house.push(name, [f"{stream}{n}" for n in range(12)], at=at, apart=0, stream=stream)
    await house.push(name, ["before"], at=at - 1)
    await house.push(name, ["after"], at=at + 1)
    found, _ = await collect(house, name, limit=limit, direction=direction, start_time=at - 1, end_time=at + 2)
    wanted = ["before", *(f"{s}{n}" for s in "abc" for n in range(12)), "after"]
    assert sorted(found) == sorted(wanted)
    whole = messages(await house.get(name, direction="forward", start_time=at - 1, end_time=at + 2))
    assert found == (whole if direction == "forward" else whole[::-1])


async def test_a_cursor_outlives_its_line_and_its_range_does_not(house):
    """A cursor of a line that a filter leaves out still names a place; one out of the range is refused."""
    at = await house.push("places", ["keep a", "other", "keep b"])
    span = {"start_time": at, "end_time": at + SECOND}
    other = (await house.get("places", search="other", **span)).body["logs"][0]["cursor"]
    assert messages(await house.get("places", search="keep", cursor=other, **span)) == ["keep a"]
    assert messages(await house.get("places", search="keep", cursor=other, direction="forward", **span)) == ["keep b"]
    answer = await house.get("places", cursor=other, start_time=at + 2000, end_time=at + SECOND)
    assert (answer.status, answer.code) == (400, "INVALID_CURSOR")


async def test_the_lines_around_one(house):
    """Whatever filter found it, from both sides, across equal times, as far as asked."""
    at = time.time_ns() - 10 * MINUTE
    await house.push("around", [f"line {n}" for n in range(50)], at=at, apart=SECOND)
    await house.push("around", ["twin a", "twin b", "twin c"], at=at + 25 * SECOND, apart=0)
    cursor = (await house.get("around", search="twin b")).body["logs"][0]["cursor"]
    answer = await house.get("around/context", cursor=cursor, before=3, after=3)
    shown = {part: [line["message"] for line in answer.body[part]] for part in ("before", "after")}
    assert answer.body["line"]["message"] == "twin b"
    assert shown == {"before": ["line 24", "line 25", "twin a"], "after": ["twin c", "line 26", "line 27"]}
    wide = await house.get("around/context", cursor=cursor, before=1000, after=0)
    assert [line["message"] for line in wide.body["before"]] == [*(f"line {n}" for n in range(26)), "twin a"]
    assert wide.body["after"] == []
    narrow = await house.get("query/context", query='{service_name="around"} |= "line"', cursor=cursor)
    assert (narrow.status, narrow.code) == (404, "LINE_NOT_FOUND")


async def test_histogram_sums_are_the_totals(house):
    """By level and in all, whatever the number of buckets, empty buckets included."""
    at = time.time_ns() // MINUTE * MINUTE - 10 * MINUTE
    lines = [LEVELLED[n % len(LEVELLED)] + f" {n}" for n in range(350)]
    await house.push("histogram", lines, at=at, apart=SECOND)
    span = {"start_time": at, "end_time": at + 350 * SECOND}
    total = (await house.get("histogram", **span)).body["total"]
    assert total == 350
    for buckets in (1, 7, 60, 500):
        answer = await house.get("histogram/histogram", buckets=buckets, **span)
        sums = Counter()
        for bucket in answer.body["buckets"]:
            sums.update(bucket["levels"])
        assert sums == {"DEBUG": 50, "INFO": 50, "WARN": 100, "ERROR": 100, "UNKNOWN": 50}
        assert 1 <= len(answer.body["buckets"]) <= buckets + 1
        starts = [bucket["at"] for bucket in answer.body["buckets"]]
        assert starts == sorted(set(starts))
        assert answer.body["searched"]["from"] == starts[0]
    one = await house.get("histogram/histogram", buckets=60, level="ERROR", search="e", **span)
    count = (await house.get("histogram", level="ERROR", search="e", **span)).body["total"]
    assert sum(b["levels"].get("ERROR", 0) for b in one.body["buckets"]) == count
    by_query = await house.get(
        "query/histogram", query='{service_name="histogram"}', start=at, end=at + 350 * SECOND, buckets=7
    )
    assert sum(sum(b["levels"].values()) for b in by_query.body["buckets"]) == 350


async def test_a_bucket_holds_the_lines_from_its_start_on(house):
    """A line at a bucket's very start is in it, one a nanosecond earlier in the bucket before."""
    at = time.time_ns() // MINUTE * MINUTE - 10 * MINUTE
    await house.push("edges", ["last", "first"], at=at + MINUTE - 1, apart=1)
    answer = await house.get("edges/histogram", start_time=at, end_time=at + 2 * MINUTE, buckets=2)
    assert answer.body["step_ms"] == 60_000
    assert [bucket["levels"] for bucket in answer.body["buckets"]] == [{"UNKNOWN": 1}, {"UNKNOWN": 1}]


async def test_the_fields_of_lines(house):
    """Labels, structured metadata and JSON fields, each with its kind; a filter made of them finds those lines."""
    at = await house.push("fields", ['{"user":"ann","code":200}', '{"user":"bob","code":500}', "plain"], project="shop")
    answer = await house.get("fields/fields", start_time=at)
    assert answer.body["lines"] == 3
    found = {(field["where"], field["name"]): field for field in answer.body["fields"]}
    assert found["field", "user"]["values"] == [{"value": "bob", "count": 1}, {"value": "ann", "count": 1}]
    assert found["label", "project"]["count"] == 3
    for given, wanted in (
        ("field:is:user=ann", ['{"user":"ann","code":200}']),
        ("field:not:user=ann", ["plain", '{"user":"bob","code":500}']),
        ("field:is:code=500", ['{"user":"bob","code":500}']),
        ("label:is:project=shop", ["plain", '{"user":"bob","code":500}', '{"user":"ann","code":200}']),
        ("label:not:project=shop", []),
        ("metadata:is:detected_level=unknown", ["plain", '{"user":"bob","code":500}', '{"user":"ann","code":200}']),
    ):
        assert messages(await house.get("fields", filter=given, start_time=at)) == wanted
    two = await house.get("fields", filter=["field:is:user=ann", "field:is:code=500"], start_time=at)
    assert messages(two) == []


async def test_labels_and_their_values(house):
    """Of the streams within the range."""
    await house.push("labelled", ["x"], project="label-project", host="label-host")
    answer = await house.get("labels")
    assert "labelled" in answer.body["service_name"]
    assert "label-project" in answer.body["project"]
    assert "label-host" in answer.body["host"]
    old = await house.get("labels", start="2020-01-01T00:00:00Z", end="2020-01-02T00:00:00Z")
    assert old.body == {}


async def test_logql_that_gives_lines(house):
    """A page like any other, with cursors."""
    await house.push("asked-a", [f"line {n}" for n in range(10)])
    await house.push("asked-b", [f"line {n}" for n in range(10)])
    query = '{service_name=~"asked-.*"} |= "line" != "line 9"'
    answer = await house.get("query", query=query, limit=5)
    assert answer.body["resultType"] == "streams"
    assert (answer.body["total"], answer.body["has_more"], len(answer.body["logs"])) == (18, True, 5)
    assert answer.body["query"] == query
    found, pages = await collect(house, "query", query=query, limit=5)
    assert pages == 4
    assert Counter(found) == {f"line {n}": 2 for n in range(9)}


async def test_logql_that_gives_numbers(house):
    """A matrix, with a step by choice or by range; numbers alone too."""
    at = await house.push("counted", ["a", "b", "c"], at=time.time_ns() - MINUTE)
    query = 'sum by (service_name) (count_over_time({service_name="counted"}[10m]))'
    answer = await house.get("query", query=query, start=at, end=at + 2 * MINUTE, step="30s")
    assert answer.body["resultType"] == "matrix"
    (series,) = answer.body["result"]
    assert series["metric"] == {"service_name": "counted"}
    assert [value for _, value in series["values"]][-1] == "3"
    for text in ("1 + 1", "vector(2)", "2 * 1 + vector(0)"):
        answer = await house.get("query", query=text, start=at, end=at + MINUTE, step=30)
        assert answer.status == 200, answer
        assert {value for series in answer.body["result"] for _, value in series["values"]} == {"2"}
    empty = await house.get("query", query='rate({service_name="nobody"}[1m])')
    assert (empty.status, empty.body["result"]) == (200, [])


@pytest.mark.parametrize(
    ("query", "line", "column"),
    [
        ('{service_name="a"', 1, 18),
        ('{service_name="a"} |= unquoted', 1, 23),
        ('{service_name="a"}\n  | jsn', 2, 8),
        ("sum(rate({a='b'}[5m]))", 1, 13),
        ('{service_name="a"} }', 1, 20),
        ("", None, None),
        ("{}", None, None),
        ('{service_name=~".*"}', None, None),
        ('{service_name=~"("}', None, None),
        ('rate({service_name="a"}[5x])', None, None),
        ('sum by (a) ({service_name="a"})', None, None),
        ("x" * 17_000, None, None),
    ],
)
async def test_a_fault_in_logql_is_placed(house, query, line, column):
    """400 with Loki's words; line and column where the text is at fault."""
    for path in ("query", "query/histogram", "query/fields", "query/export"):
        answer = await house.get(path, query=query)
        assert answer.status == 400, answer
        error = answer.body["error"]
        assert set(error) == {"code", "message", "details"}
        if line:
            assert error["code"] == "INVALID_QUERY"
            assert (error["details"]["line"], error["details"]["column"]) == (line, column), error
            assert f"line {line}, col {column}" in error["message"]


@pytest.mark.parametrize("path", ["query/histogram", "query/fields", "query/export", "query/context"])
async def test_lines_are_wanted_where_numbers_make_no_sense(house, path):
    """A metric query is refused in words."""
    query = 'rate({service_name="a"}[5m])'
    answer = await house.get(path, query=query, cursor="0" * 32)
    assert answer.status == 400
    assert answer.code in {"INVALID_QUERY", "NOT_A_LOG_QUERY"}
