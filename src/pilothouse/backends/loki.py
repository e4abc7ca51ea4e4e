"""The log backend: a real Loki, or the embedded store, by the same HTTP API. Nothing here knows which."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import aiohttp
import msgspec

from pilothouse.core.errors import (
    InvalidRequest,
    PilothouseError,
    QueryTimeout,
    RateLimited,
    StorageFull,
    TooLarge,
    Unavailable,
    UpstreamFailed,
)

CATEGORIZE = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
"""Keeps the stream's own labels apart from structured metadata and parsed fields."""
MOST_SOCKETS = 64
"""Connections to the backend; more requests wait."""
CONNECT_SECONDS, READ_SECONDS = 5.0, 60.0
MOST_ANSWER = 128 << 20
"""Bytes of an answer: 10,000 lines of 12 kB. A longer one is a backend out of hand."""
HEARTBEAT_SECONDS = 20.0
Params = Mapping[str, str] | Sequence[tuple[str, str]]


class Categories(msgspec.Struct, rename="camel", frozen=True):
    """What belongs to a line and not to its stream."""

    structured_metadata: dict[str, str] = {}
    parsed: dict[str, str] = {}


class Entry(msgspec.Struct, array_like=True, frozen=True):
    """One line; `ts` is nanoseconds as a text."""

    ts: str
    line: str
    categories: Categories = Categories()


class Stream(msgspec.Struct, frozen=True):
    """Lines of one stream, in the direction asked."""

    stream: dict[str, str]
    values: list[Entry]


class Series(msgspec.Struct, frozen=True):
    """Points of one series: [seconds, value as a text]. A vector has `value`, a matrix `values`."""

    metric: dict[str, str]
    values: list[tuple[float, str]] = []
    value: tuple[float, str] | None = None


class Result(msgspec.Struct, frozen=True, rename={"result_type": "resultType"}):
    """The data of an answer; `result` is decoded by its type."""

    result_type: str
    result: msgspec.Raw


class _Answer(msgspec.Struct):
    data: Result


class _TailFrame(msgspec.Struct):
    streams: list[Stream] = []
    dropped_entries: list[Any] | None = None


_answers = msgspec.json.Decoder(_Answer)
_streams = msgspec.json.Decoder(list[Stream])
_series = msgspec.json.Decoder(list[Series])
_frames = msgspec.json.Decoder(_TailFrame)


class LokiClient:
    """One backend, for one event loop. `url` is `http(s)://host[/path]`, or `unix:///path` of a socket."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._base = "http://loki" if url.startswith("unix://") else url.rstrip("/")
        self._opened: aiohttp.ClientSession | None = None

    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            connector: aiohttp.BaseConnector = (
                aiohttp.UnixConnector(self._url.removeprefix("unix://"), limit=MOST_SOCKETS)
                if self._url.startswith("unix://")
                else aiohttp.TCPConnector(limit=MOST_SOCKETS)
            )
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS)
            self._opened = aiohttp.ClientSession(
                connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._opened

    async def close(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    @contextlib.asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer as it comes, whatever its status. Raises UpstreamFailed or QueryTimeout."""
        try:
            async with self._session().request(
                method, self._base + path, params=params, data=data, headers=headers, allow_redirects=False
            ) as response:
                yield response
        except (aiohttp.ServerTimeoutError, TimeoutError) as error:
            raise QueryTimeout("the log backend did not answer in time") from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamFailed(
                "the log backend can't be reached", details={"reason": type(error).__name__}
            ) from error

    async def _ask(
        self, path: str, params: Mapping[str, str] | Sequence[tuple[str, str]], *, post: bool = True
    ) -> bytes:
        """The body of a good answer. Raises what `failure` makes of a bad one."""
        given = {"data": params} if post else {"params": params}
        async with self.request("POST" if post else "GET", path, headers=CATEGORIZE, **given) as response:
            body = await read_bounded(response)
            if response.status >= 400:
                raise failure(response.status, body.decode("utf-8", "replace"))
            return body

    async def query_range(
        self, query: str, *, start: int, end: int, limit: int = 100, forward: bool = False, step_ms: int | None = None
    ) -> Result:
        """Lines or points from `start` up to but not at `end` (ns). Raises InvalidRequest with the backend's words."""
        params = {
            "query": query, "start": nanoseconds(start), "end": nanoseconds(end), "limit": str(limit),
            "direction": "forward" if forward else "backward",
        }  # fmt: skip
        if step_ms is not None:
            params["step"] = f"{step_ms}ms"
        answer: _Answer = decode(_answers, await self._ask("/loki/api/v1/query_range", params))
        return answer.data

    async def query(self, query: str, *, at: int, limit: int = 100) -> Result:
        """The answer of a moment (ns)."""
        params = {"query": query, "time": nanoseconds(at), "limit": str(limit)}
        answer: _Answer = decode(_answers, await self._ask("/loki/api/v1/query", params))
        return answer.data

    async def streams(self, query: str, *, start: int, end: int, limit: int, forward: bool) -> list[Stream]:
        """The lines of a log query."""
        return streams_of(await self.query_range(query, start=start, end=end, limit=limit, forward=forward))

    async def label_values(self, name: str, *, start: int, end: int, query: str = "") -> list[str]:
        """Sorted values of a label."""
        params = {"start": nanoseconds(start), "end": nanoseconds(end)} | ({"query": query} if query else {})
        body = await self._ask(f"/loki/api/v1/label/{name}/values", params, post=False)
        return [str(value) for value in json.loads(body).get("data") or []]

    async def series(self, matchers: Sequence[str], *, start: int, end: int) -> list[dict[str, str]]:
        """The label sets that any of the selectors match."""
        params = [("match[]", one) for one in matchers] + [("start", nanoseconds(start)), ("end", nanoseconds(end))]
        return list(json.loads(await self._ask("/loki/api/v1/series", params)).get("data") or [])

    async def push(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Hand lines over; returns when they are acknowledged. Raises by the backend's status."""
        async with self.request("POST", "/loki/api/v1/push", data=body, headers=headers) as response:
            text = (await read_bounded(response)).decode("utf-8", "replace")
            if response.status >= 300:
                raise failure(response.status, text)

    async def ready(self) -> None:
        """Raises where the backend does not answer, or says that it is not ready."""
        async with self.request("GET", "/ready") as response:
            await read_bounded(response)
            if response.status != 200:
                raise Unavailable("the log backend is not ready")

    async def tail(
        self, query: str, *, start: int, limit: int = 100, opened: asyncio.Event | None = None
    ) -> AsyncIterator[tuple[list[Stream], int]]:
        """New lines from `start` (ns) on, as they come, and how many the backend dropped before them.

        `opened` is set when the backend has begun: what it acknowledges from then on will come. Raises UpstreamFailed
        when the backend goes away; it never ends by itself.
        """
        frames = self.tail_frames(query, start=start, limit=str(limit), flags="categorize-labels", opened=opened)
        async for text in frames:
            frame: _TailFrame = decode(_frames, text)
            yield frame.streams, len(frame.dropped_entries or ())

    async def tail_frames(
        self, query: str, *, start: int, limit: str, flags: str = "", opened: asyncio.Event | None = None
    ) -> AsyncIterator[str]:
        """As tail, giving the backend's frames as they are."""
        params = {"query": query, "start": nanoseconds(start), "limit": limit}
        headers = {"X-Loki-Response-Encoding-Flags": flags} if flags else {}
        try:
            async with self._session().ws_connect(
                self._base.replace("http", "ws", 1) + "/loki/api/v1/tail?" + urlencode(params),
                headers=headers, heartbeat=HEARTBEAT_SECONDS, max_msg_size=16 << 20,
                timeout=aiohttp.ClientWSTimeout(ws_close=1.0),
            ) as socket:  # fmt: skip
                if opened is not None:
                    opened.set()
                async for message in socket:
                    if message.type is aiohttp.WSMsgType.TEXT:
                        yield message.data
                raise UpstreamFailed(f"the log backend ended the tail ({socket.close_code})")
        except aiohttp.WSServerHandshakeError as error:
            raise failure(error.status, error.message) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise UpstreamFailed("the log backend's tail can't be reached") from error


def nanoseconds(at: int) -> str:
    """A time as Loki reads it: a number of up to ten digits would be seconds."""
    return f"{at:011}"


async def read_bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body. Raises UpstreamFailed where it is out of bounds."""
    parts, size = [], 0
    async for part in response.content.iter_chunked(1 << 18):
        size += len(part)
        if size > MOST_ANSWER:
            raise UpstreamFailed("the log backend's answer is too large; narrow the query")
        parts.append(part)
    return b"".join(parts)


def decode(decoder: Any, body: bytes | str) -> Any:
    """Raises UpstreamFailed where the backend answers nonsense."""
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, ValueError) as error:
        raise UpstreamFailed("the log backend answered what is not Loki's") from error


def streams_of(result: Result) -> list[Stream]:
    """Raises InvalidRequest where the query gave no lines."""
    if result.result_type != "streams":
        raise InvalidRequest("this is a metric query; lines are wanted here", code="NOT_A_LOG_QUERY")
    found: list[Stream] = decode(_streams, bytes(result.result))
    return found


def series_of(result: Result) -> list[Series]:
    """The series of a matrix or a vector."""
    found: list[Series] = decode(_series, bytes(result.result))
    return found


def failure(status: int, text: str) -> PilothouseError:
    """What a bad answer of the backend means to our client."""
    message = text.strip()[:1000] or f"the log backend answered {status}"
    match status:
        case 400 | 422:
            return InvalidRequest(message, code="INVALID_QUERY")
        case 413:
            return TooLarge(message)
        case 429:
            return RateLimited(message)
        case 503:
            return Unavailable(message)
        case 504:
            return QueryTimeout(message)
        case 507:
            return StorageFull(message)
        case _:
            return UpstreamFailed("the log backend failed", details={"status": status, "reason": message[:300]})
