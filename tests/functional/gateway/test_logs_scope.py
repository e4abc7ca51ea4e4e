"""A scoped reader, by every way that gives something of logs: no line, name, value or count from outside."""

import json
import re
import time
from urllib.parse import quote

import aiohttp
import pytest

from pilothouse.access import Permission
from pilothouse.gateway.routes import ROUTES
from pilothouse.gateway.table import Kind

MINE, THEIRS, SHARED = 7, 23, 11
"""Lines inside, outside, and outside in a service of which another part is inside."""
SECRET = re.compile("zebra", re.IGNORECASE)
"""All that lies outside has it: in lines, label names and values, metadata and fields."""
SCOPES = {
    "by project": ('logs:read{project="quay"}',),
    "by service": ('logs:read{service_name=~"scope-api|scope-web", project!="zebra-bank"}',),
    "by two": ('logs:read{service_name="scope-api", project="quay"}', 'logs:read{service_name="scope-web"}'),
}
REACH = [
    '{service_name=~".+"}', '{service_name!=""}', '{project=~".+"}', '{project=~"quay|zebra-bank"}', '{project!="quay"}',
    '{project="zebra-bank"}', '{service_name="zebra-svc"}', '{service_name="scope-web"}', '{zebra_label=~".+"}',
    '{service_name=~"scope-.*|zebra.*"}', '{service_name=~".+", project=~"quay|.*"}', '{host!~"nope"}|json',
    '{service_name=~".+"} |= "line" or "e"', '{service_name=~".+"} | project="zebra-bank" or project="quay"',
    '{service_name=~".+"} | label_format project="quay"', '{service_name=~".+"} # } or {project="zebra-bank"}',
    '{service_name=~".+"} | line_format "{{.project}} {{.service_name}}"', "{service_name=~`.+`} | keep project",
    '{service_name=~".+"} |= `"} or {project="zebra-bank"}` or "e"',
]  # fmt: skip
COUNTS = [
    "sum(count_over_time({q}[1h]))", "sum by (project) (count_over_time({q}[1h]))",
    "sum without (project) (count_over_time({q}[1h]))", "count_over_time({q}[1h])",
    'sum(count_over_time({q}[1h])) or sum(count_over_time({{project="zebra-bank"}}[1h]))',
    'sum by (project) (count_over_time({{project="quay"}}[1h])) or sum by (project) (count_over_time({q}[1h]))',
    "sum(count_over_time({q}[1h])) + 0 * sum(count_over_time({q}[1h]))", "max(count_over_time({q}[1h]))",
    "topk(10, sum by (service_name) (count_over_time({q}[1h])))", "sum(count_over_time({q}[1h])) > 0",
    "vector(0) or sum(count_over_time({q}[1h]))", "sum(count_over_time({q}[1h]) unless vector(1))",
    'label_replace(sum by (service_name) (count_over_time({q}[1h])), "x", "$1", "service_name", "(.*)")',
    "sum(count_over_time({q}[30m] offset 1ms))", "count(count_over_time({q}[1h]))",
    "sum by (zebra_label) (count_over_time({q}[1h]))",
]  # fmt: skip


@pytest.fixture(scope="module")
def readers():
    """Filled by the first test; the tokens of the scoped readers."""
    return {}


@pytest.fixture(params=SCOPES)
async def reader(house, readers, request):
    """A scoped reader's token, with lines inside and outside."""
    if not readers:
        await house.push(
            "scope-api", [f'{{"level":"info","n":{n}}}' for n in range(MINE - 2)], project="quay", host="h1"
        )
        await house.push("scope-web", ["level=warn mine", "plain"], project="quay", container="c1")
        body = {"streams": [{
            "stream": {"service_name": "zebra-svc", "project": "zebra-bank", "zebra_label": "zebra", "host": "zebra-host"},
            "values": [[str(time.time_ns() + n), f'{{"level":"error","zebra_field":"zebra {n}"}} line', {"zebra_id": f"{n}"}]
                       for n in range(THEIRS)],
        }]}  # fmt: skip
        assert (await house.call("POST", "/loki/api/v1/push", json=body)).status == 204
        await house.push("scope-api", ["level=fatal zebra line"] * SHARED, project="zebra-bank", container="zebra-box")
        for name, permissions in SCOPES.items():
            readers[name] = await house.user("scope-" + name.replace(" ", "-"), permissions=permissions)
    return readers[request.param]


def check(answer, *asked):
    """Nothing from outside in it, but for what the question itself said."""
    text = answer.body.decode("utf-8", "replace") if isinstance(answer.body, bytes) else json.dumps(answer.body)
    for one in asked:
        for form in (one, json.dumps(one)[1:-1], json.dumps(json.dumps(one)[1:-1])[1:-1]):
            text = text.replace(form, "")
    # A query is echoed as it was read: its matchers are the asker's own words.
    if isinstance(answer.body, dict) and "query" in answer.body:
        text = json.dumps({name: value for name, value in answer.body.items() if name != "query"})
    if isinstance(answer.body, dict) and "error" in answer.body:
        return
    assert not SECRET.search(text), (asked, text[:2000])


def numbers(answer):
    """The values of a metric answer of either shape."""
    result = answer.body.get("result") or answer.body.get("data", {}).get("result") or []
    for series in result:
        for _, value in [*series.get("values", []), *([series["value"]] if "value" in series else [])]:
            yield float(value)


async def test_services_and_labels(house, reader):
    """Names, hosts, containers, counts and levels of what is inside alone."""
    answer = await house.get("services", token=reader)
    assert answer.status == 200, answer
    check(answer)
    found = {service["id"]: service for service in answer.body}
    assert set(found) == {"scope-api", "scope-web"}
    assert found["scope-api"]["lines_24h"] == MINE - 2
    assert found["scope-api"]["levels"] == {"INFO": MINE - 2}
    assert sum(found["scope-api"]["rate"]) == MINE - 2
    labels = await house.get("labels", token=reader)
    assert labels.status == 200, labels
    check(labels)
    assert labels.body["project"] == ["quay"]


@pytest.mark.parametrize("service", ["*", "scope-api", "scope-web", "zebra-svc"])
async def test_a_services_own_ways(house, reader, service):
    """Lines, totals, histogram, fields and export; with filters that ask for more."""
    for more in ({}, {"level": "ERROR"}, {"search": "zebra"}, {"search": ".*", "regex": "true"},
                 {"filter": "label:is:project=zebra-bank"}, {"filter": "label:not:project=quay"},
                 {"filter": "metadata:not:zebra_id=0"}):  # fmt: skip
        for path in ("", "/histogram", "/fields", "/export"):
            answer = await house.get(f"{service}{path}", token=reader, **more)
            assert answer.status in {200, 404} or answer.code == "NARROW_THE_QUERY", answer
            if answer.code != "NARROW_THE_QUERY":
                check(answer, "zebra-svc")
            if service == "zebra-svc" and answer.status == 200:
                pytest.fail(f"{path} tells that it exists")
            if not path and answer.status == 200:
                assert answer.body["total"] == len(answer.body["logs"]) <= MINE
                assert {line["metadata"]["project"] for line in answer.body["logs"]} <= {"quay"}
            if path == "/histogram" and answer.status == 200:
                assert sum(sum(b["levels"].values()) for b in answer.body["buckets"]) <= MINE
            if path == "/fields" and answer.status == 200:
                assert answer.body["lines"] <= MINE
            if path == "/export" and answer.status == 200:
                assert answer.body.count(b"\n") <= MINE


async def test_what_is_there_and_what_is_not_are_not_told_apart(house, reader):
    """A service outside gives the very answer of one that never was."""
    for path in ("", "/histogram", "/fields", "/export"):
        outside = await house.get(f"zebra-svc{path}", token=reader)
        never = await house.get(f"never-svc{path}", token=reader)
        assert (outside.status, json.dumps(outside.body).replace("zebra-svc", "never-svc")) == (
            never.status, json.dumps(never.body)
        )  # fmt: skip


async def test_a_cursor_from_outside_opens_nothing(house, reader):
    """Neither the line nor its neighbours."""
    cursor = (await house.get("zebra-svc")).body["logs"][0]["cursor"]
    for path, more in (("scope-api/context", {}), ("zebra-svc/context", {}), ("*/context", {}),
                       ("query/context", {"query": REACH[0]})):  # fmt: skip
        answer = await house.get(path, token=reader, cursor=cursor, **more)
        assert answer.status in {404, 403}, answer
    for direction in ("forward", "backward"):
        check(await house.get("scope-api", token=reader, cursor=cursor, direction=direction))
    mine = (await house.get("scope-api", token=reader)).body["logs"][0]["cursor"]
    check(await house.get("scope-api/context", token=reader, cursor=mine, before=1000, after=1000))


@pytest.mark.parametrize("query", REACH)
async def test_logql_of_ones_own(house, reader, query):
    """A selector, filter, template or comment of any kind reaches no further."""
    now = time.time_ns()
    for path in ("query", "query/histogram", "query/fields", "query/export"):
        answer = await house.get(path, token=reader, query=query, start=now - 3600 * 10**9)
        assert answer.status == 200 or answer.code in {"NARROW_THE_QUERY", "INVALID_QUERY"}, answer
        check(answer, query)
    for path in ("query_range", "index/stats", "index/volume", "index/volume_range", "patterns", "detected_fields",
                 "series", "labels", "label", "detected_labels", "label/service_name/values", "label/project/values",
                 "label/zebra_label/values", "detected_field/zebra_field/values"):  # fmt: skip
        names = ("match[]", "match", "query") if path == "series" else ("query",)
        for number, name in enumerate(names):
            form = [
                (name, query),
                ("start", str(now - 3600 * 10**9)),
                ("aggregateBy", "labels"),
                ("targetLabels", "project"),
            ]
            as_form = (number + len(query)) % 2
            answer = await house.call(
                "POST" if as_form else "GET", f"/loki/api/v1/{path}", token=reader,
                **({"data": form} if as_form else {"params": form}),
            )  # fmt: skip
            assert answer.status < 500, (path, answer)
            if answer.status == 200:
                check(answer, query)
            if answer.status == 200 and path == "index/stats":
                assert answer.body["entries"] <= MINE


@pytest.mark.parametrize("template", COUNTS)
async def test_counts_of_ones_own(house, reader, template):
    """No number counts what is outside, however it is put together."""
    for query in (REACH[0], '{service_name="scope-api"}'):
        text = template.format(q=query)
        answer = await house.get("query", token=reader, query=text, step="60")
        assert answer.status == 200 or answer.code == "NARROW_THE_QUERY", answer
        check(answer, text)
        found = list(numbers(answer)) if answer.status == 200 else []
        for path in ("query", "query_range"):
            raw = await house.call("GET", f"/loki/api/v1/{path}", token=reader, params={"query": text})
            if raw.status == 200:
                check(raw, text)
                found += numbers(raw)
        assert all(value <= MINE for value in found), (text, found)


CROOKED = [
    "detected_field/../series", "detected_field/../query_range", "detected_field/..%2Fquery_range",
    "label/../query_range", "label/x/../../query_range", "query_range/../query_range", "./query_range", "/query_range",
    "detected_field/x%3Fquery%3D%7Bproject%3D%22zebra-bank%22%7D%26y%3D/values",
    "detected_field/..%2Fquery_range%3Fquery%3D%7Bproject%3D~%22.%2B%22%7D%26y%3D/values",
    "label/service_name%3Fquery%3D%7Bproject%3D~%22.%2B%22%7D%26y%3D/values", "label/a%2F..%2Fb/values",
    "delete", "rules", "admin/delete", "index/shards", "detected_field/../delete", "status/buildinfo", "cache/generation_numbers",
    "detected_field/../../../ready", "detected_field/../../../metrics", "../../metrics", "..%2f..%2fmetrics",
    "query_range%3Fquery=%7Bproject=~%22.%2B%22%7D%26", "query_range%23", "query_range;x", "query_range%00", "QUERY_RANGE",
    "detected_field/../values", "detected_field/%2e%2e/query_range",
]  # fmt: skip


@pytest.mark.parametrize("path", CROOKED)
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_no_path_leads_off_the_road(house, reader, method, path):
    """A path that is bent, split or unknown is closed, or answers as the straight one would: narrowed."""
    query = "query=" + quote('{service_name=~".+"}') + "&match%5B%5D=" + quote('{service_name=~".+"}')
    target = f"/loki/api/v1/{path}"
    if method == "GET":
        status, body = await house.raw("GET", target + ("&" if "?" in target else "?") + query, token=reader)
    else:
        form = "application/x-www-form-urlencoded"
        status, body = await house.raw("POST", target, query.encode(), token=reader, Content_Type=form)
    assert status in {400, 403, 404, 405} or (status == 200 and not SECRET.search(body.decode())), (status, body[:500])


async def test_a_query_given_twice_is_refused(house, reader):
    """In the address and in the form: which of them counts would be the backend's secret."""
    answer = await house.call(
        "POST", "/loki/api/v1/query_range", token=reader, params={"query": '{project="quay"}'},
        data={"query": '{project="zebra-bank"}'},
    )  # fmt: skip
    assert answer.status == 400
    answer = await house.call(
        "GET", "/loki/api/v1/query_range", token=reader,
        params=[("query", '{project="quay"}'), ("query", '{project="zebra-bank"}')],
    )  # fmt: skip
    assert answer.status == 400


@pytest.mark.parametrize("query", ['{service_name=~".+"}', '{project=~"quay|zebra-bank"}'])
async def test_lokis_own_tail(house, reader, query):
    """Stored and live, nothing from outside comes."""
    headers = {"Authorization": f"Bearer {reader}"}
    params = {"query": query, "start": str(time.time_ns() - 3600 * 10**9), "limit": "1000"}
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{house.url}/loki/api/v1/tail", params=params, headers=headers) as ws,
    ):
        said = ""
        while "live" not in said:
            await house.push("scope-tail", ["zebra live"], project="zebra-bank")
            # Ancient enough to be in nobody's counts.
            await house.push("scope-web", ["live"], project="quay", at=time.time_ns() - 7000 * 10**9)
            message = await ws.receive(timeout=20)
            if message.type is not aiohttp.WSMsgType.TEXT:
                assert "NARROW_THE_QUERY" in str(message.extra), message
                return
            said += message.data
        assert not SECRET.search(said)


def test_every_way_to_logs_is_tried_here():
    """A route added with logs:read must be added to this suite too."""
    tried = {
        "/api/v1/logs/services", "/api/v1/logs/labels", "/api/v1/logs/query", "/api/v1/logs/query/histogram",
        "/api/v1/logs/query/fields", "/api/v1/logs/query/context", "/api/v1/logs/query/export", "/api/v1/logs/{service_id}",
        "/api/v1/logs/{service_id}/histogram", "/api/v1/logs/{service_id}/fields", "/api/v1/logs/{service_id}/context",
        "/api/v1/logs/{service_id}/export", "/loki/api/v1/{path:path}", "/loki/api/v1/tail",
    }  # fmt: skip
    live = {"/ws/logs", "/ws/logs/{service_id}"}  # in test_tails.py
    reading = {route.path for route in ROUTES if route.needs is Permission.LOGS_READ}
    assert reading == tried | live
    assert {route.path for route in ROUTES if route.kind is Kind.WEBSOCKET} == live | {"/loki/api/v1/tail"}
