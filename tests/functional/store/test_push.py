"""What collectors send is kept and read back; what is wrong is refused in Loki's words, and costs nothing else."""

import gzip
import json
import time

import cramjam
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)

from pilothouse.store.api.pb.push_pb2 import PushRequest

PUSH, OTLP = "/loki/api/v1/push", "/otlp/v1/logs"
JSON, PROTOBUF = "application/json", "application/x-protobuf"
HOUR = 3600 * 10**9


def body(labels: dict[str, str], values: list[list[object]]) -> bytes:
    return json.dumps({"streams": [{"stream": labels, "values": values}]}).encode()


def promtail(labels: str, entries: list[tuple[int, bytes, dict[str, str]]]) -> bytes:
    """A push as Promtail makes it: logproto, in a snappy block."""
    request = PushRequest()
    stream = request.streams.add(labels=labels.encode())
    for ts, line, metadata in entries:
        entry = stream.entries.add(line=line)
        entry.timestamp.seconds, entry.timestamp.nanos = divmod(ts, 10**9)
        for name, value in metadata.items():
            entry.structured_metadata.add(name=name.encode(), value=value.encode())
    return bytes(cramjam.snappy.compress_raw(request.SerializeToString()))


async def test_json_with_metadata(store) -> None:
    """Labels, nanoseconds, text and metadata come back as they were sent."""
    now = time.time_ns()
    status, _ = await store.push({"job": "cron"}, [[str(now), 'hällo\n\t"wörld" \\ 🚢', {"trace_id": "ab12"}]])
    assert status == 204
    ((labels, ts, line),) = await store.lines('{job="cron"}')
    assert (ts, line) == (now, 'hällo\n\t"wörld" \\ 🚢')
    assert labels == {"job": "cron", "service_name": "cron", "trace_id": "ab12", "detected_level": "unknown"}


async def test_gzipped_json(store) -> None:
    """As Fluent Bit sends it."""
    sent = gzip.compress(body({"app": "web"}, [[str(time.time_ns()), "compressed"]]))
    assert (await store.post(PUSH, sent, JSON + "; charset=utf-8", Content_Encoding="gzip"))[0] == 204
    assert await store.count('{app="web"}') == {"compressed": 1}


async def test_snappy_protobuf_as_promtail_sends_it(store) -> None:
    """Label text with escapes, two lines, metadata, a line that is not UTF-8."""
    now = time.time_ns()
    sent = promtail(
        r'{container="a \"quoted\" name", service_name="web"}',
        [(now, b"first", {"user": "ann"}), (now + 1, b"bad \xff byte", {})],
    )
    assert await store.post(PUSH, sent, PROTOBUF) == (204, b"")
    first, second = await store.lines('{service_name="web"}')
    assert first == (
        {"container": 'a "quoted" name', "service_name": "web", "user": "ann", "detected_level": "unknown"}, now,
        "first",
    )  # fmt: skip
    assert second[1:] == (now + 1, "bad � byte")


async def test_invalid_utf_8_in_json_is_kept_readable(store) -> None:
    """One bad byte, or half a surrogate pair, does not spoil a push."""
    now = time.time_ns()
    raw = body({"app": "web"}, [[str(now), "A"], [str(now + 1), "fine"]]).replace(b'"A"', b'"A\xfe\\ud800B"')
    assert (await store.post(PUSH, raw, JSON))[0] == 204
    lines = [line for _, _, line in await store.lines('{app="web"}')]
    assert lines[1] == "fine"
    assert lines[0][0] == "A"
    assert lines[0][-1] == "B"


async def test_a_line_over_the_limit_is_cut_at_a_character_and_marked(store) -> None:
    """256 kB are kept; the mark says how many bytes there were."""
    line = "ü" * 200_000
    await store.push({"app": "web"}, [[str(time.time_ns()), line], [str(time.time_ns()), "short"]])
    (labels, _, kept), (_, _, short) = sorted(await store.lines('{app="web"}'), key=lambda one: -len(one[2]))
    assert kept == "ü" * 131_072
    assert labels["truncated"] == "400000"
    assert short == "short"
    assert "pilothouse_store_lines_cut_total 1.0" in await store.text("/metrics")


async def test_times_out_of_bounds_are_refused_one_by_one(store) -> None:
    """400 names stream and time of what was refused; the rest of the push is kept, as in Loki."""
    now = time.time_ns()
    status, text = await store.push(
        {"app": "web"},
        [[str(now - 8 * 24 * HOUR), "ancient"], [str(now), "fine"], [str(now + 2 * HOUR), "of the future"],
         [str(now + 60 * 10**9), "a fast clock"]],
    )  # fmt: skip
    assert status == 400
    assert 'entry for stream \'{app="web", service_name="web"}\' has timestamp too old: ' in text
    assert "has timestamp too new: " in text
    assert "oldest acceptable timestamp is: " in text
    assert await store.count('{app="web"}') == {"fine": 1, "a fast clock": 1}


NO_LABELS = [
    ({}, "at least one label pair is required"),
    ({"a": ""}, "at least one label pair is required"),
    ({"1a": "x"}, "invalid label name: '1a'"),
    ({"a-b": "x"}, "invalid label name: 'a-b'"),
    ({"a\nb": "x"}, "invalid label name"),
    ({f"l{n}": "x" for n in range(40)}, "label names; limit"),
    ({"a" * 1025: "x"}, "too long"),
    ({"a": "x" * 2049}, "too long"),
]


async def test_labels_that_are_none(store) -> None:
    """Refused with 400, and nothing of the push is kept."""
    for labels, says in NO_LABELS:
        now = str(time.time_ns())
        streams = [{"stream": {"app": "ok"}, "values": [[now, "x"]]}, {"stream": labels, "values": [[now, "x"]]}]
        status, answer = await store.post(PUSH, json.dumps({"streams": streams}).encode(), JSON)
        assert status == 400, labels
        assert says in answer.decode(), labels
    assert await store.count('{app="ok"}') == {}


NOW = str(time.time_ns())


NO_BODIES = [
    (b"", JSON, {}, 400),
    (b"nonsense", JSON, {}, 400),
    (b"[]", JSON, {}, 400),
    (b'{"streams": 1}', JSON, {}, 400),
    (b'{"streams": [{"values": []}]}', JSON, {}, 400),
    (body({"a": "b"}, [["yesterday", "x"]]), JSON, {}, 400),
    (body({"a": "b"}, [["-5", "x"]]), JSON, {}, 400),
    (body({"a": "b"}, [["9" * 30, "x"]]), JSON, {}, 400),
    (body({"a": "b"}, [[NOW, 5]]), JSON, {}, 400),
    (body({"a": "b"}, [[NOW]]), JSON, {}, 400),
    (body({"a": "b"}, [[NOW, "x", {"k": 1}]]), JSON, {}, 400),
    (body({"a": "b"}, [[NOW, "x", {"k": {"n": "m"}}]]), JSON, {}, 400),
    (b"[" * 100_000, JSON, {}, 400),
    (b"not gzip", JSON, {"Content_Encoding": "gzip"}, 400),
    (gzip.compress(b"{}")[:-6], JSON, {"Content_Encoding": "gzip"}, 400),
    (b"x", JSON, {"Content_Encoding": "br"}, 400),
    (b"not snappy", PROTOBUF, {}, 400),
    (b"", PROTOBUF, {}, 400),
    (bytes(cramjam.snappy.compress_raw(b"\xff\xff\xff")), PROTOBUF, {}, 400),
    (promtail("{", []), PROTOBUF, {}, 400),
    (promtail('{a=~"b"}', []), PROTOBUF, {}, 400),
    (b"<x/>", "text/xml", {}, 400),
    (b"\xff\xff\xff\xff\x0f", PROTOBUF, {}, 413),
    (gzip.compress(b" " * (65 << 20)), JSON, {"Content_Encoding": "gzip"}, 413),
    (b" " * (17 << 20), JSON, {}, 413),
]


async def test_bodies_that_are_none(store) -> None:
    """The right status, a text that says what is wrong, no trace of the code, and the store goes on."""
    for sent, kind, headers, status in NO_BODIES:
        got, text = await store.post(PUSH, sent, kind, **headers)
        assert got == status, (sent[:60], text)
        assert 5 < len(text) < 600, (sent[:60], text)
        assert b"Traceback" not in text
        assert b".py" not in text
    assert (await store.push({"app": "after"}, [[str(time.time_ns()), "fine"]]))[0] == 204


async def test_a_repeated_push_is_kept_once(store) -> None:
    """A client that lost its answer pushes again, before and after a flush."""
    values = [[str(time.time_ns() + n), f"line {n}"] for n in range(100)]
    for turn in range(3):
        assert (await store.push({"app": "web"}, values))[0] == 204
        if turn == 1:
            await store.post("/flush", b"", "text/plain")
    assert sum((await store.count('{app="web"}')).values()) == 100
    assert "pilothouse_store_duplicates_total 200.0" in await store.text("/metrics")


async def test_compact_leaves_one_file_and_every_line(store) -> None:
    """What an operator may ask for before a copy is taken."""
    for number in range(3):
        await store.push({"app": "web"}, [[str(time.time_ns()), f"{number}"]])
        await store.post("/flush", b"", "text/plain")
    assert (await store.post("/compact", b"", "text/plain"))[0] == 204
    assert (await store.get("/ready"))[1]["segments"] == 1
    assert await store.count('{app="web"}') == {"0": 1, "1": 1, "2": 1}


# OpenTelemetry


def otlp(ts: int) -> dict[str, object]:
    """A request with what matters of one, in OTLP's JSON."""
    return {"resourceLogs": [{
        "resource": {"attributes": [
            {"key": "service.name", "value": {"stringValue": "shop"}},
            {"key": "process.pid", "value": {"intValue": "42"}},
        ]},
        "scopeLogs": [{
            "scope": {"name": "checkout", "version": "1.2"},
            "logRecords": [
                {"timeUnixNano": str(ts), "severityNumber": 17, "severityText": "Error",
                 "body": {"stringValue": "card declined"}, "traceId": "5b8efff798038103d269b633813fc60c",
                 "spanId": "eee19b7ec3c1b174", "attributes": [{"key": "http.route", "value": {"stringValue": "/pay"}}]},
                {"observedTimeUnixNano": str(ts + 1), "severityNumber": 5,
                 "body": {"kvlistValue": {"values": [{"key": "n", "value": {"intValue": "1"}}]}}},
            ],
        }],
    }], "unknownField": True}  # fmt: skip


@pytest.mark.parametrize("encoding", ["json", "protobuf", "gzipped protobuf"])
async def test_otlp_is_mapped_as_loki_does(store, encoding: str) -> None:
    """service.name is a label, ids are hexadecimal, severity gives the level, a structure is JSON."""
    now = time.time_ns()
    if encoding == "json":
        status, answer = await store.post(OTLP, json.dumps(otlp(now)).encode(), JSON)
        assert (status, json.loads(answer)) == (200, {})
    else:
        sent = _as_protobuf(now)
        headers = {"Content_Encoding": "gzip"} if encoding.startswith("gzip") else {}
        status, answer = await store.post(OTLP, gzip.compress(sent) if headers else sent, PROTOBUF, **headers)
        assert (status, ExportLogsServiceResponse.FromString(answer)) == (200, ExportLogsServiceResponse())
    (first, ts, line), (second, later, other) = await store.lines('{service_name="shop"}')
    assert (ts, line) == (now, "card declined")
    assert first == {
        "service_name": "shop", "process_pid": "42", "scope_name": "checkout", "scope_version": "1.2",
        "severity_text": "Error", "severity_number": "17", "trace_id": "5b8efff798038103d269b633813fc60c",
        "span_id": "eee19b7ec3c1b174", "http_route": "/pay", "detected_level": "error",
    }  # fmt: skip
    assert (later, json.loads(other), second["detected_level"]) == (now + 1, {"n": 1}, "debug")


def _as_protobuf(ts: int) -> bytes:
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    resource.resource.attributes.add(key="service.name").value.string_value = "shop"
    resource.resource.attributes.add(key="process.pid").value.int_value = 42
    scope = resource.scope_logs.add()
    scope.scope.name, scope.scope.version = "checkout", "1.2"
    one = scope.log_records.add(time_unix_nano=ts, severity_number=17, severity_text="Error")
    one.body.string_value = "card declined"
    one.trace_id, one.span_id = bytes.fromhex("5b8efff798038103d269b633813fc60c"), bytes.fromhex("eee19b7ec3c1b174")
    one.attributes.add(key="http.route").value.string_value = "/pay"
    two = scope.log_records.add(observed_time_unix_nano=ts + 1, severity_number=5)
    two.body.kvlist_value.values.add(key="n").value.int_value = 1
    return request.SerializeToString()


async def test_otlp_says_how_many_records_it_refused(store) -> None:
    """Partial success, as the specification asks: the number and the reason; the others are kept."""
    now = time.time_ns()
    sent = otlp(now)
    sent["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]["timeUnixNano"] = str(now + 5 * HOUR)
    status, answer = await store.post(OTLP, json.dumps(sent).encode(), JSON)
    partial = json.loads(answer)["partialSuccess"]
    assert (status, partial["rejectedLogRecords"]) == (200, "1")
    assert "timestamp too new" in partial["errorMessage"]
    assert len(await store.lines('{service_name="shop"}')) == 1


NO_OTLP = [
    (b"{", JSON),
    (b"[1]", JSON),
    (b'{"resourceLogs": 5}', JSON),
    (b'{"resourceLogs": [5]}', JSON),
    (b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"zz"}]}]}]}', JSON),
    (b"\xff\xff", PROTOBUF),
    (b"x", "text/plain"),
]


async def test_otlp_refuses_what_it_cannot_read(store) -> None:
    """400 with a Status in the request's own encoding."""
    for sent, kind in NO_OTLP:
        status, answer = await store.post(OTLP, sent, kind)
        assert status == 400, sent
        if kind == JSON:
            assert json.loads(answer)["message"]
        else:
            assert answer[:3] == b"\x08\x03\x12"
