"""POST /loki/api/v1/push: JSON, gzip'd JSON and snappy-compressed protobuf."""

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec
from google.protobuf.message import DecodeError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from pilothouse.core.errors import InvalidRequest, PilothouseError, RateLimited
from pilothouse.core.labels import MatchOp
from pilothouse.core.times import MAX_NS, SECOND, now_ns
from pilothouse.query.logql import LogQLError, parse_selector
from pilothouse.settings import Settings
from pilothouse.store.api.body import gunzip, read_body, unsnappy
from pilothouse.store.api.pb.push_pb2 import PushRequest
from pilothouse.store.logs import limits
from pilothouse.store.logs.batch import StreamLines
from pilothouse.store.logs.store import LogStore

SERVICE = "service_name"
NAMING = ("service", "app", "application", "app_name", "name", "app_kubernetes_io_name", "container", "container_name",
          "k8s_container_name", "component", "workload", "job", "k8s_job_name")  # fmt: skip
"""The labels that name a service, in the order in which Loki looks for them."""


class _JsonEntry(msgspec.Struct, array_like=True):
    ts: str
    line: str
    metadata: dict[str, str] | None = None


class _JsonStream(msgspec.Struct):
    stream: dict[str, str]
    values: list[_JsonEntry] = []


class _JsonPush(msgspec.Struct):
    streams: list[_JsonStream]


_decoder = msgspec.json.Decoder(_JsonPush)


def routes(store: LogStore, settings: Settings) -> list[BaseRoute]:
    """The push route."""

    async def push(request: Request) -> Response:
        try:
            body = await read_body(request)
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            encoding = request.headers.get("content-encoding", "").strip().lower()
            if encoding not in {"", "identity", "gzip", "snappy"}:
                raise InvalidRequest(f"Content-Encoding {encoding!r:.40} not supported", code="INVALID_BODY")
            if encoding == "gzip":
                body = gunzip(body)
            if kind == "application/json":
                streams = from_json(body)
            elif kind in {"application/x-protobuf", ""}:
                streams = from_protobuf(unsnappy(body))
            else:
                raise InvalidRequest(f"Content-Type {kind!r:.80} not supported", code="INVALID_BODY")
            refused = await keep(store, settings, streams)
        except PilothouseError as error:
            return refusal(error)
        if refused:
            return PlainTextResponse("\n".join(refused) + "\n", 400)
        return Response(status_code=204)

    return [Route("/loki/api/v1/push", push, methods=["POST"])]


def refusal(error: PilothouseError) -> Response:
    """An error in Loki's form: its text, and the status that makes a client keep or drop the push."""
    return PlainTextResponse(error.message + "\n", error.status)


async def keep(store: LogStore, settings: Settings, streams: Sequence[StreamLines]) -> list[str]:
    """Check and keep a push; what was refused of it, in Loki's words, while the rest was kept.

    Raises InvalidRequest where labels are wrong, and then nothing was kept.
    """
    fresh = 0
    for stream in streams:
        if SERVICE not in stream.labels and stream.labels:
            stream.labels = {**stream.labels, SERVICE: service_of(stream.labels)}
        if store.streams.find(stream.labels) is None:
            limits.check_labels(stream.labels)
            fresh += 1
        store.lines_cut += limits.cut_long_lines(stream)
    if fresh and len(store.streams) + fresh > limits.MOST_STREAMS:
        raise RateLimited(
            f"maximum active stream limit exceeded: {limits.MOST_STREAMS}; reduce the number of active streams "
            "(labels with fewer values, not ids or addresses)",
            code="TOO_MANY_STREAMS",
        )
    refused = limits.drop_out_of_time(streams, now=now_ns(), retention=settings.retention)
    await store.append(streams)
    return refused


def service_of(labels: Mapping[str, str]) -> str:
    """What Loki puts into `service_name` where a client does not."""
    return next((labels[name] for name in NAMING if labels.get(name)), "unknown_service")


def from_json(body: bytes) -> list[StreamLines]:
    """Streams of a JSON push. What is no UTF-8 is replaced, not refused. Raises InvalidRequest."""
    try:
        push = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        push = _decode_leniently(body)
    return [_from_entries(one.stream, one.values) for one in push.streams]


def _decode_leniently(body: bytes) -> _JsonPush:
    try:
        return msgspec.convert(_mended(json.loads(body.decode("utf-8", "replace"))), _JsonPush)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise InvalidRequest(f"the body is not a push of streams: {error}", code="INVALID_BODY") from None


def _mended(value: Any) -> Any:
    """`value` with lone surrogates replaced in all its texts."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [_mended(one) for one in value]
    if isinstance(value, dict):
        return {_mended(name): _mended(one) for name, one in value.items()}
    return value


def _from_entries(labels: dict[str, str], entries: Sequence[_JsonEntry]) -> StreamLines:
    try:
        ts = [int(entry.ts) for entry in entries]
    except ValueError:
        raise InvalidRequest("a timestamp must be a string of integer nanoseconds", code="INVALID_TIME") from None
    if ts and not 0 <= min(ts) <= max(ts) <= MAX_NS:
        raise InvalidRequest("a timestamp must be between 1970 and 2262, in nanoseconds", code="INVALID_TIME")
    metadata: list[Mapping[str, str] | None] = [entry.metadata for entry in entries]
    return StreamLines(
        labels=labels if all(labels.values()) else {name: value for name, value in labels.items() if value},
        ts=ts,
        lines=[entry.line for entry in entries],
        metadata=metadata if any(metadata) else [],
    )


def from_protobuf(body: bytes) -> list[StreamLines]:
    """Streams of a protobuf push, inflated. What is no UTF-8 is replaced, not refused. Raises InvalidRequest."""
    try:
        push = PushRequest.FromString(body)
    except DecodeError as error:
        raise InvalidRequest(f"the body is not a push of streams: {error}", code="INVALID_BODY") from None
    out = []
    for stream in push.streams:
        entries = stream.entries
        ts = [entry.timestamp.seconds * SECOND + entry.timestamp.nanos for entry in entries]
        if ts and not 0 <= min(ts) <= max(ts) <= MAX_NS:
            raise InvalidRequest("a timestamp must be between 1970 and 2262", code="INVALID_TIME")
        metadata: list[Mapping[str, str] | None] = [
            {_text(pair.name): _text(pair.value) for pair in pairs} if (pairs := entry.structured_metadata) else None
            for entry in entries
        ]
        out.append(
            StreamLines(
                labels=_labels_of(_text(stream.labels)),
                ts=ts,
                lines=[entry.line.decode("utf-8", "replace") for entry in entries],
                metadata=metadata if any(metadata) else [],
            )
        )
    return out


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


@lru_cache(maxsize=4096)
def _labels_of(text: str) -> dict[str, str]:
    try:
        matchers = parse_selector(text)
    except LogQLError as error:
        raise InvalidRequest(f"error parsing labels {text!r:.200}: {error}", code="INVALID_LABELS") from None
    if any(matcher.op is not MatchOp.EQUAL for matcher in matchers):
        raise InvalidRequest(f"error parsing labels {text!r:.200}: only = is a label", code="INVALID_LABELS")
    return {matcher.name: matcher.value for matcher in matchers if matcher.value}
