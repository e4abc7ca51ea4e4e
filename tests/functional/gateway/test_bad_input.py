"""What is wrong is said precisely, in the envelope or in Loki's own form; the house stays up, and keeps what is good."""

import asyncio
import contextlib
import gzip
import json
import time

import pytest

SECOND, HOUR, DAY = 10**9, 3600 * 10**9, 24 * 3600 * 10**9
TRACES = ("Traceback", 'File "', ".py", "0x7f", "pydantic", "starlette", "duckdb")


@pytest.fixture(autouse=True)
async def still_up(house):
    """After each test the gateway and the store are the same processes, well, and wrote no failure into their log."""
    before = house.said("gateway").count('"a request failed"')
    yield
    assert [process.poll() for process in house.processes.values()] == [None, None]
    assert (await house.call("GET", "/health")).status == 200
    assert house.said("gateway").count('"a request failed"') == before, house.said("gateway")[-3000:]


def refused(answer, status=400):
    """A whole envelope, with nothing of the inside."""
    assert answer.status == status, answer
    assert set(answer.body) == {"error"}
    error = answer.body["error"]
    assert set(error) == {"code", "message", "details"}
    assert error["code"] == error["code"].upper()
    assert len(error["message"]) < 1200
    assert not [trace for trace in TRACES if trace in json.dumps(error)], error
    return error


TIMES = [
    ({"start_time": "2026-05-01T00:00:00Z", "end_time": "2026-04-01T00:00:00Z"}, "INVALID_RANGE", "start_time"),
    ({"start_time": "2026-05-01T00:00:00Z", "end_time": "2026-05-01T00:00:00Z"}, "INVALID_RANGE", "start_time"),
    ({"start_time": "2099-05-01T00:00:00Z"}, "INVALID_RANGE", "start_time"),
    ({"start_time": "2020-05-01T00:00:00Z"}, "INVALID_RANGE", "start_time"),
    ({"start_time": "0", "end_time": "9223372036854775807"}, "INVALID_RANGE", "start_time"),
    ({"start_time": "yesterday"}, "INVALID_TIME", "start_time"),
    ({"end_time": "now"}, "INVALID_TIME", "end_time"),
    ({"end_time": "-1"}, "INVALID_TIME", "end_time"),
    ({"end_time": "1e18"}, "INVALID_TIME", "end_time"),
    ({"end_time": "99999999999999999999"}, "INVALID_TIME", "end_time"),
    ({"end_time": "9999-12-31T23:59:59Z"}, "INVALID_TIME", "end_time"),
    ({"end_time": "1066-10-14T00:00:00Z"}, "INVALID_TIME", "end_time"),
    ({"end_time": "2026-02-30T00:00:00Z"}, "INVALID_TIME", "end_time"),
    ({"end_time": "2026-02-01T25:00:00Z"}, "INVALID_TIME", "end_time"),
    ({"end_time": "2026-02-01"}, "INVALID_TIME", "end_time"),
    ({"end_time": "٢٠٢٦"}, "INVALID_TIME", "end_time"),
    ({"end_time": "x" * 5000}, "INVALID_TIME", "end_time"),
]


@pytest.mark.parametrize(("params", "code", "field"), TIMES)
async def test_times_that_are_none(house, params, code, field):
    """By every route with a range."""
    for path in ("any", "any/histogram", "any/fields", "any/export"):
        error = refused(await house.get(path, **params))
        assert (error["code"], error["details"]["field"]) == (code, field)
    named = {name.removesuffix("_time"): value for name, value in params.items()}
    for path in ("query", "query/histogram", "query/fields", "query/export"):
        assert refused(await house.get(path, query='{service_name="any"}', **named))["code"] == code


@pytest.mark.parametrize("end", ["9223372036854775807", "1", "2262-04-11T00:00:00Z", "1970-01-01T00:00:01Z"])
async def test_times_at_the_ends_of_time(house, end):
    """An odd range that is a range is searched, and is empty."""
    await house.push("ends-of-time", ["x"])
    for path in ("ends-of-time", "ends-of-time/histogram", "ends-of-time/fields", "ends-of-time/export"):
        answer = await house.get(path, end_time=end)
        assert answer.status == 200, answer


@pytest.mark.parametrize(
    "params",
    [
        {"limit": "abc"}, {"offset": "-1"}, {"offset": "10001"}, {"offset": "x"}, {"direction": "sideways"},
        {"regex": "perhaps"}, {"case": "perhaps"}, {"level": "LOUD"}, {"level": ["INFO", "LOUD"]}, {"level": ""},
        {"cursor": "x"}, {"cursor": "g" * 32}, {"cursor": "0" * 31}, {"cursor": "0" * 32}, {"cursor": "F" * 32},
        {"search": "x" * 4097},
    ],
    ids=str,
)  # fmt: skip
async def test_wrong_types_and_values(house, params):
    """Each is named."""
    await house.push("typed", ["x"])
    error = refused(await house.get("typed", **params))
    (name,) = params
    assert name in json.dumps(error)


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("any/histogram", {"buckets": 0}), ("any/histogram", {"buckets": 501}), ("any/context", {}),
        ("any/context", {"cursor": "zz"}), ("any/context", {"cursor": "0" * 32, "before": 1001}),
        ("any/context", {"cursor": "0" * 32, "after": -1}), ("query", {}), ("query", {"query": ""}),
        ("query", {"query": "1", "step": "0"}), ("query", {"query": "1", "step": "-5"}), ("query", {"query": "1", "step": "x"}),
        ("query", {"query": "1", "step": "1ms"}), ("query", {"query": "1", "step": "9" * 30}),
        ("query", {"query": "1", "step": "1ns"}), ("query/context", {"query": '{a="b"}'}),
        ("query", {"query": '{a="b"}', "limit": 0}), ("query", {"query": '{a="b"}', "limit": 10_001}),
        ("query", {"query": "(" * 3000 + "1" + ")" * 3000}), ("query", {"query": '{a="b"}' + " | json" * 2000 + " |"}),
        ("query", {"query": "\x00"}), ("query", {"query": '{a="\xff'}), ("query", {"query": "1 +" * 4000 + "1"}),
        ("query", {"query": "-" * 8000 + "1"}),
    ],
    ids=lambda v: str(v)[:60],
)  # fmt: skip
async def test_other_parameters(house, path, params):
    """Out of bounds, missing, nonsense, nested beyond reason."""
    refused(await house.get(path, **params))


async def test_a_line_that_is_gone(house):
    """404, with a code of its own."""
    await house.push("gone", ["x"])
    error = refused(await house.get("gone/context", cursor=f"{time.time_ns():016x}{0:08x}{0:08x}"), 404)
    assert error["code"] == "LINE_NOT_FOUND"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_other_methods(house, method):
    """405 with those that are allowed."""
    answer = await house.call(method, "/api/v1/logs/any", json={})
    assert refused(answer, 405)["code"] == "METHOD_NOT_ALLOWED"
    assert answer.headers["Allow"] == "GET"


@pytest.mark.parametrize("path", ["/api/v1/logs/a/b/c", "/api/v1/logs/", "/api/v1/nothing", "/api/v2/logs/x", "/api/"])
async def test_addresses_that_are_none(house, path):
    """404 in the envelope, not a page."""
    refused(await house.call("GET", path), 404)


def stream(labels, *values):
    return {"streams": [{"stream": labels, "values": [list(value) for value in values]}]}


NOW = str(time.time_ns())
GOOD = {"service_name": "bad-push"}
PUSHES = [
    b"", b"{", b"null", b"[]", b"1", b'"x"', b"\xff\xfe", b"{}x", {"streams": None}, {"streams": {}}, {"streams": [1]},
    {"streams": [{"stream": "x", "values": []}]}, {"streams": [{"stream": GOOD, "values": "x"}]},
    stream(GOOD, ["x", "line"]), stream(GOOD, [1, "line"]), stream(GOOD, [NOW]), stream(GOOD, [NOW, 5]), stream(GOOD, [NOW, None]),
    stream(GOOD, [NOW, "line", "meta"]), stream(GOOD, [NOW, "line", {"a": 1}]), stream(GOOD, [None, "line"]),
    stream({}, [NOW, "line"]), stream({"1a": "x"}, [NOW, "line"]), stream({"a-b": "x"}, [NOW, "line"]),
    stream({"a b": "x"}, [NOW, "line"]), stream({"ä": "x"}, [NOW, "line"]), stream({"a": 1}, [NOW, "line"]),
    stream({"a": None}, [NOW, "line"]), stream({"a": ["x"]}, [NOW, "line"]), stream({"a": "x" * 3000}, [NOW, "line"]),
    stream({f"l{n}": "x" for n in range(31)}, [NOW, "line"]),
    stream(GOOD, [str(int(NOW) - 400 * DAY), "ancient"]), stream(GOOD, [str(int(NOW) + DAY), "future"]),
    stream(GOOD, ["0", "zero"]), stream(GOOD, ["-5", "minus"]), stream(GOOD, ["9" * 30, "far"]), stream(GOOD, ["1e18", "x"]),
    json.dumps({"streams": []}).encode()[:-1] + b"," * 1000, b'{"streams":' + b"[" * 100_000,
]  # fmt: skip


@pytest.mark.parametrize("body", PUSHES, ids=[str(n) for n in range(len(PUSHES))])
async def test_pushes_that_are_wrong(house, body):
    """400 as Loki says it, one line of plain text; nothing of it is kept."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = await house.call("POST", "/loki/api/v1/push", data=data, headers={"Content-Type": "application/json"})
    assert answer.status == 400, answer
    assert answer.headers["Content-Type"].startswith("text/plain")
    text = answer.body.decode()
    assert text.strip()
    assert len(text) < 3000
    assert not [trace for trace in TRACES if trace in text], text
    kept = await house.get("bad-push")
    assert kept.status == 404, kept


@pytest.mark.parametrize(
    ("headers", "data"),
    [
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, b"not gzip"),
        ({"Content-Type": "application/json", "Content-Encoding": "gzip"}, gzip.compress(b"{" * 1000, mtime=0)[:-10]),
        ({"Content-Type": "application/json", "Content-Encoding": "br"}, b"\x0b\x01\x80{}\x03"),
        ({"Content-Type": "application/x-protobuf"}, b"\xff" * 100),
        ({"Content-Type": "application/x-protobuf"}, b""),
        ({"Content-Type": "text/html"}, b"<p>"),
        ({"Content-Type": ""}, b"x"),
        ({}, b"x"),
    ],
    ids=lambda v: str(v)[:60],
)
async def test_bodies_that_are_not_what_they_say(house, headers, data):
    """Refused in words."""
    for path in ("/loki/api/v1/push", "/otlp/v1/logs"):
        answer = await house.call("POST", path, data=data, headers=headers, skip_auto_headers=["Content-Type"])
        if not data and path.startswith("/otlp"):
            continue  # an empty protobuf is a message without logs
        assert 400 <= answer.status < 500, (path, answer)
        assert answer.body
        assert not [trace for trace in TRACES if trace in str(answer.body)]


async def test_a_push_with_one_bad_line_keeps_the_others(house):
    """400 names the bad one; the good ones are there, as in Loki."""
    now = time.time_ns()
    body = stream({"service_name": "mixed"}, [str(now - 400 * DAY), "ancient"], [str(now), "good"])
    answer = await house.call("POST", "/loki/api/v1/push", json=body)
    assert answer.status == 400
    assert b"too old" in answer.body
    assert [line["message"] for line in (await house.get("mixed")).body["logs"]] == ["good"]


async def test_a_line_over_the_limit_is_kept_cut_and_marked(house):
    """256 kB of it, with its true size beside it."""
    at = await house.push("long-lines", ["é" * 200_000, "x" * (256 * 1024), "short"])
    page = (await house.get("long-lines", start_time=at, direction="forward")).body["logs"]
    assert [len(line["message"].encode()) for line in page] == [256 * 1024, 256 * 1024, 5]
    assert [line["metadata"].get("truncated") for line in page] == ["400000", None, None]


async def test_a_body_over_the_limit_is_413(house):
    """Told beforehand, or found out on the way: in Loki's form on /loki, in the envelope elsewhere."""

    for path, limit in (("/loki/api/v1/push", 16 << 20), ("/otlp/v1/logs", 16 << 20), ("/api/v1/auth/login", 1 << 20)):
        status, body = await house.raw("POST", path, token=house.token, Content_Length=str(limit + 1))
        assert (status, f"{limit:,}".encode() in body) == (413, True), body

    async def chunks():
        for _ in range(17):
            yield b"x" * (1 << 20)

    with contextlib.suppress(OSError):  # closed while it was still sending
        answer = await house.call(
            "POST", "/loki/api/v1/push", data=chunks(), headers={"Content-Type": "application/json"}
        )
        assert answer.status == 413, answer
        assert b"limit" in answer.body


async def test_lokis_own_form_of_errors(house):
    """Plain text with Loki's words, line and column included, on all of /loki."""
    for params, words in (
        ({"query": '{a="b"'}, b"parse error at line 1, col 7"),
        ({"query": '{a="b"}', "limit": "x"}, b"strconv"),
        ({"query": '{a="b"}', "limit": "0"}, b"limit must be a positive value"),
        ({"query": '{a="b"}', "limit": "10001"}, b"max entries limit"),
        ({"query": '{a="b"}', "start": "10", "end": "5"}, b"end timestamp must not be before"),
        ({"query": '{a="b"}', "direction": "up"}, b"invalid direction"),
        ({"query": '{a=~"("}'}, b"missing closing )"),
        ({}, b"query"),
    ):
        answer = await house.call("GET", "/loki/api/v1/query_range", params=params)
        assert answer.status == 400, answer
        assert words in answer.body
        assert answer.headers["Content-Type"].startswith("text/plain")
    nobody = await house.call("GET", "/loki/api/v1/labels", token="ph_wrong")
    assert (nobody.status, nobody.headers["WWW-Authenticate"]) == (401, 'Basic realm="Pilothouse"')


async def test_a_store_that_is_away_is_502(own_house):
    """By every way, at once, in the right form; and all is well again when it is back."""
    house = own_house
    await house.push("away", ["before"])
    house.kill("store")
    for path in ("services", "labels", "away", "away/histogram", "away/fields", "away/export",
                 "away/context?cursor=" + "0" * 32, "query?query=%7Ba%3D%22b%22%7D"):  # fmt: skip
        answer = await house.call("GET", f"/api/v1/logs/{path}")
        assert (refused(answer, 502)["code"], path) == ("UPSTREAM_FAILED", path)
    body = stream({"service_name": "away"}, [str(time.time_ns()), "lost"])
    for method, path, more in (("GET", "labels", {}), ("POST", "push", {"json": body})):
        answer = await house.call(method, f"/loki/api/v1/{path}", **more)
        assert answer.status == 502
        assert answer.body == b"the log backend can't be reached\n"
    assert (await house.call("GET", "/ready")).status == 503
    assert (await house.call("GET", "/health")).status == 200
    await asyncio.to_thread(house.start, "store")
    assert [line["message"] for line in (await house.get("away")).body["logs"]] == ["before"]


async def test_many_wrong_things_at_once(house):
    """Fifty bad requests together are fifty errors, and a good one among them is served."""
    await house.push("among", ["x"])
    bad = [house.get("among", limit=0), house.get("query", query="{"), house.get("among", search="(", regex="true"),
           house.call("POST", "/loki/api/v1/push", data=b"{"), house.get("nobody-there")]  # fmt: skip
    more = [house.get("among", level="LOUD") for _ in range(45)]
    answers = await asyncio.gather(*bad, *more, house.get("among"))
    assert [answer.status for answer in answers] == [400] * 4 + [404] + [400] * 45 + [200]
