"""What collectors send to the one port, and read back over the API and over /loki, as Promtail and Grafana do."""

import base64
import gzip
import json
import time

import cramjam
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from pilothouse.store.api.pb.push_pb2 import PushRequest

PROTOBUF, JSON = "application/x-protobuf", "application/json"


def promtail(labels: str, entries: list[tuple[int, str, dict[str, str]]]) -> bytes:
    """A push as Promtail makes it: logproto, in a snappy block."""
    request = PushRequest()
    stream = request.streams.add(labels=labels.encode())
    for ts, line, metadata in entries:
        entry = stream.entries.add(line=line.encode())
        entry.timestamp.seconds, entry.timestamp.nanos = divmod(ts, 10**9)
        for name, value in metadata.items():
            entry.structured_metadata.add(name=name.encode(), value=value.encode())
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


def basic(key: str, user: str = "promtail") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{key}".encode()).decode()}


async def over_loki(house, key, query, **params):
    """The lines as Grafana would get them: GET and POST agree."""
    given = {"query": query, "limit": "1000", "direction": "forward", **params}
    got = await house.call("GET", "/loki/api/v1/query_range", token="", headers=basic(key, "grafana"), params=given)
    posted = await house.call("POST", "/loki/api/v1/query_range", token="", headers=basic(key), data=given)
    assert (got.status, posted.status) == (200, 200), got
    assert got.body["data"]["result"] == posted.body["data"]["result"]
    assert got.body["status"] == "success"
    return [(int(ts), line) for stream in got.body["data"]["result"] for ts, line in stream["values"]]


@pytest.mark.parametrize("way", ["bearer", "basic"])
async def test_snappy_protobuf_by_an_api_key(house, way):
    """A key with logs:write alone pushes as Promtail does; another with logs:read reads it back, both ways."""
    name, now = f"promtail-{way}", time.time_ns()
    writer, reader = await house.key("logs:write"), await house.key("logs:read")
    sent = promtail(
        f'{{service_name="{name}", job="varlogs", filename="/var/log/a \\"b\\".log"}}',
        [(now, "level=error one", {"trace_id": "ab"}), (now + 1, "two", {}), (now + 1, "drei 🚢", {})],
    )
    headers = basic(writer) if way == "basic" else {"Authorization": f"Bearer {writer}"}
    answer = await house.call(
        "POST", "/loki/api/v1/push", token="", data=sent, headers={**headers, "Content-Type": PROTOBUF}
    )
    assert (answer.status, answer.body) == (204, b"")
    page = await house.get(name, token=reader, direction="forward")
    assert [line["message"] for line in page.body["logs"]] == ["level=error one", "two", "drei 🚢"]
    first = page.body["logs"][0]
    assert first["level"] == "ERROR"
    assert first["metadata"]["filename"] == '/var/log/a "b".log'
    assert first["metadata"]["trace_id"] == "ab"
    assert await over_loki(house, reader, f'{{service_name="{name}"}} | trace_id=""') == [
        (now + 1, "two"), (now + 1, "drei 🚢")
    ]  # fmt: skip
    sent_again = await house.call(
        "POST", "/loki/api/v1/push", token="", data=sent, headers={**headers, "Content-Type": PROTOBUF}
    )
    assert sent_again.status == 204
    assert (await house.get(name, token=reader)).body["total"] == 3
    # Neither key does the other's work.
    denied = await house.call(
        "POST", "/loki/api/v1/push", token="", data=sent, headers={**basic(reader), "Content-Type": PROTOBUF}
    )
    assert (denied.status, denied.body) == (403, b"this needs logs:write\n")
    assert (await house.get(name, token=writer)).code == "FORBIDDEN"


async def test_gzipped_json(house):
    """As Fluent Bit and Alloy may send it."""
    key, now = await house.key("logs:write", "logs:read"), time.time_ns()
    body = {"streams": [{"stream": {"service_name": "fluent"}, "values": [[str(now), "packed", {"user": "ann"}]]}]}
    answer = await house.call(
        "POST", "/loki/api/v1/push", token="", data=gzip.compress(json.dumps(body).encode()),
        headers={**basic(key), "Content-Type": JSON, "Content-Encoding": "gzip"},
    )  # fmt: skip
    assert answer.status == 204, answer
    (line,) = (await house.get("fluent", token=key)).body["logs"]
    assert (line["message"], line["metadata"]["user"]) == ("packed", "ann")
    assert await over_loki(house, key, '{service_name="fluent"}') == [(now, "packed")]


@pytest.mark.parametrize("encoding", ["json", "protobuf", "gzipped protobuf"])
async def test_otlp(house, encoding):
    """As an OpenTelemetry collector sends logs over HTTP."""
    key, now = await house.key("logs:write", "logs:read"), time.time_ns()
    name = "otlp-" + encoding.replace(" ", "-")
    if encoding == "json":
        sent, headers = json.dumps({"resourceLogs": [{
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": name}}]},
            "scopeLogs": [{"logRecords": [
                {"timeUnixNano": str(now), "severityNumber": 17, "body": {"stringValue": "declined"},
                 "traceId": "5b8efff798038103d269b633813fc60c"},
            ]}],
        }]}).encode(), {"Content-Type": JSON}  # fmt: skip
    else:
        request = ExportLogsServiceRequest()
        resource = request.resource_logs.add()
        resource.resource.attributes.add(key="service.name").value.string_value = name
        record = resource.scope_logs.add().log_records.add(time_unix_nano=now, severity_number=17)
        record.body.string_value = "declined"
        record.trace_id = bytes.fromhex("5b8efff798038103d269b633813fc60c")
        sent, headers = request.SerializeToString(), {"Content-Type": PROTOBUF}
        if encoding.startswith("gzip"):
            sent, headers = gzip.compress(sent), {**headers, "Content-Encoding": "gzip"}
    answer = await house.call("POST", "/otlp/v1/logs", token="", data=sent, headers={**basic(key), **headers})
    assert answer.status == 200, answer
    (line,) = (await house.get(name, token=key)).body["logs"]
    assert (line["message"], line["level"]) == ("declined", "ERROR")
    assert line["metadata"]["trace_id"] == "5b8efff798038103d269b633813fc60c"
    assert await over_loki(house, key, f'{{service_name="{name}"}}') == [(now, "declined")]


async def test_what_grafana_asks(house):
    """Its explorer's questions by basic auth, compressed or not, each in Loki's own shape."""
    key = await house.key("logs:read")
    at = await house.push("explore", ['{"level":"info","n":1}', '{"level":"error","n":2}'], project="graf")
    span = {"start": str(at - 10**9), "end": str(at + 10**9)}
    selector = {"query": '{service_name="explore"}'}

    async def ask(path, **params):
        answer = await house.call(
            "GET", f"/loki/api/v1/{path}", token="", params={**span, **params},
            headers={**basic(key), "Accept-Encoding": "gzip, deflate"},
        )  # fmt: skip
        assert answer.status == 200, (path, answer)
        assert answer.headers["Content-Type"].startswith("application/json")
        return answer.body

    assert "service_name" in (await ask("labels"))["data"]
    assert "explore" in (await ask("label/service_name/values"))["data"]
    assert (await ask("series", **{"match[]": '{service_name="explore"}'}))["data"] == [
        {"service_name": "explore", "project": "graf"}
    ]
    assert (await ask("index/stats", **selector))["entries"] == 2
    volume = (await ask("index/volume", **selector))["data"]["result"]
    assert volume[0]["metric"] == {"service_name": "explore"}
    assert (await ask("format_query", query='{a="b"}|="c"'))["data"] == '{a="b"} |= "c"'
    fields = {field["label"] for field in (await ask("detected_fields", **selector))["fields"]}
    assert "n" in fields
    assert (await ask("detected_field/n/values", **selector))["values"]
    assert (await ask("detected_labels"))["detectedLabels"]
    counted = await ask("query_range", query='sum(count_over_time({service_name="explore"}[5m]))', step="1")
    assert counted["data"]["resultType"] == "matrix"
    moment = await house.call(
        "GET", "/loki/api/v1/query", token="", headers=basic(key),
        params={"query": 'sum(count_over_time({service_name="explore"}[5m]))'},
    )  # fmt: skip
    assert moment.body["data"]["result"][0]["value"][1] == "2"


async def test_who_may_not(house):
    """Wrong, missing or unfit proof: 401 that asks for basic, or 403; nothing is kept."""
    sent = promtail('{service_name="unproven"}', [(time.time_ns(), "x", {})])
    viewer = await house.user("push-viewer", roles=("developer",))
    for headers, status in (
        ({}, 401), (basic("ph_wrong"), 401), (basic("not a key"), 401), ({"Authorization": "Basic !!!"}, 401),
        ({"Authorization": "Digest x"}, 401), ({"Authorization": "Bearer ph_x"}, 401), (basic(viewer), 401),
        ({"Authorization": f"Bearer {viewer}"}, 403),
    ):  # fmt: skip
        for path in ("/loki/api/v1/push", "/otlp/v1/logs"):
            answer = await house.call("POST", path, token="", data=sent, headers={**headers, "Content-Type": PROTOBUF})
            assert answer.status == status, (headers, answer)
            assert ("WWW-Authenticate" in answer.headers) is (status == 401)
    assert (await house.get("unproven")).status == 404
    # Basic is for collectors: the product's own API wants a bearer.
    key = await house.key("logs:read")
    assert (await house.call("GET", "/api/v1/logs/services", token="", headers=basic(key))).status == 401


async def test_each_push_is_in_the_trail(house):
    """Who, what, how it came out."""
    key = await house.key("logs:write")
    sent = promtail('{service_name="trailed"}', [(time.time_ns(), "x", {})])
    await house.call("POST", "/loki/api/v1/push", token="", data=sent, headers={**basic(key), "Content-Type": PROTOBUF})
    entries = (await house.call("GET", "/api/v1/audit", params={"action": "logs.push", "limit": 2})).body["entries"]
    assert [entry["outcome"] for entry in entries] == ["ok", "started"]
    assert {entry["kind"] for entry in entries} == {"api_key"}
