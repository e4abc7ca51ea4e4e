"""POST /otlp/v1/logs: OpenTelemetry's logs over HTTP, as protobuf or JSON, mapped to streams as Loki does."""

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsPartialSuccess,
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pilothouse.core.errors import InvalidRequest, PilothouseError
from pilothouse.core.times import now_ns
from pilothouse.settings import Settings
from pilothouse.store.api.body import gunzip, read_body
from pilothouse.store.api.push import keep
from pilothouse.store.logs.batch import StreamLines
from pilothouse.store.logs.store import LogStore

INDEXED = {
    "service.name": "service_name",
    "service.namespace": "project",
    "container.name": "container",
    "host.name": "host",
    "k8s.namespace.name": "k8s_namespace_name",
    "k8s.pod.name": "k8s_pod_name",
    "k8s.container.name": "k8s_container_name",
    "deployment.environment": "deployment_environment",
    "deployment.environment.name": "deployment_environment_name",
    "cloud.region": "cloud_region",
}
"""Resource attributes that become labels: few values, and what people select by. The rest is structured metadata."""
PROTOBUF, JSON = "application/x-protobuf", "application/json"
_NOT_NAME = re.compile(r"[^a-zA-Z0-9_]")


def routes(store: LogStore, settings: Settings) -> list[BaseRoute]:
    """The OTLP route."""

    async def export(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            body = await read_body(request)
            if request.headers.get("content-encoding", "").strip().lower() == "gzip":
                body = gunzip(body)
            if kind not in {PROTOBUF, JSON}:
                raise InvalidRequest(f"Content-Type must be {PROTOBUF} or {JSON}", code="INVALID_BODY")
            message = from_json(body) if kind == JSON else from_protobuf(body)
            offered = to_streams(message)
            count = sum(len(one.ts) for one in offered)
            refused = await keep(store, settings, offered)
            lost = count - sum(len(one.ts) for one in offered)
        except PilothouseError as error:
            return failure(error, kind)
        answer = ExportLogsServiceResponse()
        if refused:
            partial = ExportLogsPartialSuccess(rejected_log_records=lost, error_message="; ".join(refused))
            answer.partial_success.CopyFrom(partial)
        if kind == JSON:
            return Response(json_format.MessageToJson(answer), media_type=JSON)
        return Response(answer.SerializeToString(), media_type=PROTOBUF)

    return [Route("/otlp/v1/logs", export, methods=["POST"])]


def failure(error: PilothouseError, kind: str) -> Response:
    """google.rpc.Status, as the specification asks: code and message."""
    if kind == JSON:
        return Response(orjson.dumps({"code": 3, "message": error.message}), error.status, media_type=JSON)
    text = error.message.encode()
    # Field 1 is the code as a varint, field 2 the message: by hand, for there is nothing else of google.rpc in use.
    body = b"\x08\x03\x12" + _varint(len(text)) + text
    return Response(body, error.status, media_type=PROTOBUF)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def from_protobuf(body: bytes) -> Any:
    """An ExportLogsServiceRequest. Raises InvalidRequest."""
    try:
        return ExportLogsServiceRequest.FromString(body)
    except DecodeError as error:
        raise InvalidRequest(f"the body is not an OTLP logs request: {error}", code="INVALID_BODY") from None


def from_json(body: bytes) -> Any:
    """OTLP's JSON: ids are hexadecimal there, not base64 as elsewhere in protobuf's. Raises InvalidRequest."""
    try:
        document = json.loads(body.decode("utf-8", "replace"))
        for resource in document.get("resourceLogs", []):
            for scope in resource.get("scopeLogs", []):
                for record in scope.get("logRecords", []):
                    for name in ("traceId", "spanId"):
                        if record.get(name):
                            record[name] = base64.b64encode(bytes.fromhex(record[name])).decode()
        return json_format.ParseDict(document, ExportLogsServiceRequest(), ignore_unknown_fields=True)
    except (ValueError, AttributeError, TypeError, RecursionError, json_format.ParseError) as error:
        raise InvalidRequest(f"the body is not an OTLP logs request: {error}", code="INVALID_BODY") from None


def to_streams(message: Any) -> list[StreamLines]:
    """A stream for each resource; scope and record attributes go to structured metadata."""
    streams: dict[tuple[tuple[str, str], ...], StreamLines] = {}
    now = now_ns()
    for resource in message.resource_logs:
        labels, common = {}, {}
        for name, value in _attributes(resource.resource.attributes).items():
            if name in INDEXED:
                labels[INDEXED[name]] = value
            else:
                common[_name(name)] = value
        labels = {name: value for name, value in labels.items() if value}
        labels.setdefault("service_name", "unknown_service")
        stream = streams.setdefault(tuple(sorted(labels.items())), StreamLines(labels=labels))
        for scope in resource.scope_logs:
            of_scope = dict(common)
            if scope.scope.name:
                of_scope["scope_name"] = scope.scope.name
            if scope.scope.version:
                of_scope["scope_version"] = scope.scope.version
            of_scope |= {_name(name): value for name, value in _attributes(scope.scope.attributes).items()}
            for record in scope.log_records:
                stream.ts.append(record.time_unix_nano or record.observed_time_unix_nano or now)
                stream.lines.append(_value(record.body))
                stream.metadata.append(of_scope | _of_record(record))
    return list(streams.values())


def _of_record(record: Any) -> dict[str, str]:
    out = {_name(name): value for name, value in _attributes(record.attributes).items()}
    if record.severity_text:
        out["severity_text"] = record.severity_text
    if record.severity_number:
        out["severity_number"] = str(record.severity_number)
    if record.observed_time_unix_nano:
        out["observed_timestamp"] = str(record.observed_time_unix_nano)
    if record.flags:
        out["flags"] = str(record.flags)
    if record.trace_id:
        out["trace_id"] = record.trace_id.hex()
    if record.span_id:
        out["span_id"] = record.span_id.hex()
    return out


def _attributes(pairs: Iterable[Any]) -> Mapping[str, str]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> str:
    """An AnyValue as text: a string as it is, all else as JSON."""
    kind = value.WhichOneof("value")
    if kind is None:
        return ""
    if kind == "string_value":
        return str(value.string_value)
    return json.dumps(_plain(value), ensure_ascii=False)


def _plain(value: Any) -> Any:
    match value.WhichOneof("value"):
        case "array_value":
            return [_plain(one) for one in value.array_value.values]
        case "kvlist_value":
            return {pair.key: _plain(pair.value) for pair in value.kvlist_value.values}
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case None:
            return None
        case kind:
            return getattr(value, kind)


def _name(text: str) -> str:
    name = _NOT_NAME.sub("_", text) or "_"
    return f"_{name}" if name[0].isdigit() else name
