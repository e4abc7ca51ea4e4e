"""Exports: the whole range, streamed, in each format."""

import csv
import io
import json
import time

import aiohttp
import pytest

from pilothouse.core.times import format_instant

MINUTE = 60 * 10**9
ODD = ['=cmd|"/c calc"', "+1", "-1", "@x", 'comma, quote" and\nnew line', "ünï 🚢", "\ttab", "plain"]


@pytest.mark.parametrize(
    ("kind", "media_type", "suffix"),
    [("ndjson", "application/x-ndjson", "ndjson"), ("csv", "text/csv; charset=utf-8", "csv"),
     ("text", "text/plain; charset=utf-8", "log")],
)  # fmt: skip
async def test_a_file_of_each_kind(house, kind, media_type, suffix):
    """With a name that says what it is; never kept by a cache, never taken for a page."""
    at = await house.push("kinds", ["one", "two"])
    answer = await house.get("kinds/export", format=kind, start_time=at)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == media_type
    day = format_instant(at)[:10]
    assert answer.headers["Content-Disposition"].startswith(f'attachment; filename="kinds-{day}T')
    assert answer.headers["Content-Disposition"].endswith(f'.{suffix}"')
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_ndjson_holds_what_pages_hold(house):
    """The oldest first; each line as the API shows it, whatever is in it."""
    at = await house.push("nd", ODD, project="p")
    answer = await house.get("nd/export", start_time=at)
    lines = [json.loads(line) for line in answer.body.decode().split("\n")[:-1]]
    assert [line["message"] for line in lines] == ODD
    assert lines == (await house.get("nd", start_time=at, direction="forward")).body["logs"]


async def test_csv_is_safe_in_a_spreadsheet(house):
    """RFC 4180; what a spreadsheet would run has an apostrophe before it."""
    at = await house.push("cs", ODD)
    answer = await house.get("cs/export", format="csv", start_time=at)
    head, *rows = csv.reader(io.StringIO(answer.body.decode(), newline=""))
    assert head == ["timestamp", "level", "service", "message", "metadata"]
    assert [row[3] for row in rows] == [f"'{line}" if line[0] in "=+-@\t" else line for line in ODD]
    assert json.loads(rows[0][4])["service_name"] == "cs"


async def test_text_is_a_line_each(house):
    """Time, level, service, message."""
    at = await house.push("tx", ["level=warn careful"])
    answer = await house.get("tx/export", format="text", start_time=at)
    assert answer.body.decode() == f"{format_instant(at)} WARN    tx level=warn careful\n"


async def test_a_large_export_is_complete(house):
    """More than one page of the backend, lines of equal time across the pages' ends, nothing twice; filters hold."""
    at = time.time_ns() - 10 * MINUTE
    for part in range(6):
        await house.push(
            "whole", [f"line {n:05}" for n in range(part * 2500, part * 2500 + 2500)], at=at + part * 10**6, apart=0
        )
    span = {"start_time": at, "end_time": at + 10**9}
    answer = await house.get("whole/export", format="text", **span)
    assert [line.split()[-1] for line in answer.body.decode().splitlines()] == [f"{n:05}" for n in range(15_000)]
    some = await house.get("whole/export", search="7777", **span)
    assert [json.loads(line)["message"] for line in some.body.splitlines()] == ["line 07777"]
    asked = await house.get(
        "query/export", query='{service_name="whole"} |= "line 1"', format="text", start=at, end=at + 10**9
    )
    assert asked.body.count(b"\n") == 5000


async def test_an_export_streams(house):
    """Its first lines are here before its last are asked for; a client that leaves costs nothing more."""
    at = time.time_ns() - 20 * MINUTE
    for part in range(4):
        await house.push("stream", [f"{n} " + "x" * 900 for n in range(5000)], at=at + part * 10**8)
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {house.token}"}) as session,
        session.get(f"{house.url}/api/v1/logs/stream/export?start_time={at}") as response,
    ):
        assert response.status == 200
        assert response.headers["Transfer-Encoding"] == "chunked"
        first = await response.content.readline()
        assert json.loads(first)["message"].startswith("0 ")
        # Left in the middle.
    assert (await house.get("stream", start_time=at, end_time=at + MINUTE)).body["total"] == 20_000


async def test_an_unknown_service_is_no_empty_file(house):
    """404 in the envelope, before anything is sent; a known one that was quiet is an empty file."""
    await house.push("known", ["x"])
    for path in ("never-there/export", "never-there/histogram", "never-there/fields", "never-there"):
        answer = await house.get(path)
        assert (answer.status, answer.code) == (404, "UNKNOWN_SERVICE"), answer
    quiet = {"start_time": "2026-01-01T00:00:00Z", "end_time": "2026-01-01T01:00:00Z"}
    assert ((await house.get("known/export", **quiet)).status, (await house.get("known", **quiet)).status) == (200, 200)


async def test_an_unknown_format_is_refused(house):
    """With those that are known."""
    answer = await house.get("any/export", format="xlsx")
    assert (answer.status, answer.code) == (400, "INVALID_REQUEST")
    assert "csv" in answer.body["error"]["message"]
