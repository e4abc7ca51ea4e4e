"""The Docker (or Podman) API: what collecting logs needs of it. Plain HTTP, for streams of bytes stay bytes."""

import asyncio
import contextlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any

import aiohttp
import msgspec

from pilothouse.core.errors import NotFound, Unavailable, UpstreamFailed
from pilothouse.core.times import SECOND

DEFAULT = "unix:///var/run/docker.sock"
CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 30.0
CHUNK = 1 << 16
PART = 16 * 1024
"""Bytes of the parts in which Docker keeps a long line."""
STAMP = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(?:Z|[+-]\d\d:\d\d) ")


class Container(msgspec.Struct, frozen=True):
    """One container of the list."""

    id: str
    name: str
    image: str
    state: str
    labels: dict[str, str]


class Event(msgspec.Struct, frozen=True):
    """Something that happened to a container."""

    action: str
    container: str


class DockerClient:
    """`host` is `unix:///path` or `tcp://host:port`."""

    def __init__(self, host: str = "") -> None:
        self._host = host or DEFAULT
        self._base = "http://docker"
        if self._host.startswith("tcp://"):
            self._base = self._host.replace("tcp", "http", 1)
        self._opened: aiohttp.ClientSession | None = None

    @property
    def host(self) -> str:
        """Where it is."""
        return self._host

    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            connector: aiohttp.BaseConnector = (
                aiohttp.UnixConnector(self._host.removeprefix("unix://"), limit=0)
                if self._host.startswith("unix://")
                else aiohttp.TCPConnector(limit=0)
            )
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
            self._opened = aiohttp.ClientSession(connector=connector, timeout=timeout)
        return self._opened

    async def close(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            await self._opened.close()
            self._opened = None

    @contextlib.asynccontextmanager
    async def _get(self, path: str, params: Mapping[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._session().get(self._base + path, params=params) as response:
                if response.status == 404:
                    raise NotFound("there is no such container")
                if response.status >= 400:
                    text = (await response.content.read(500)).decode("utf-8", "replace")
                    raise UpstreamFailed(f"Docker answered {response.status}: {text}")
                yield response
        except PermissionError as error:
            raise Unavailable(f"this user may not open {self._host}", code="NOT_PERMITTED") from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            if isinstance(getattr(error, "os_error", None), PermissionError):
                raise Unavailable(f"this user may not open {self._host}", code="NOT_PERMITTED") from error
            raise Unavailable(f"Docker does not answer at {self._host}") from error

    async def _json(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._get(path, params or {}) as response:
                return msgspec.json.decode(await response.read())
        except TimeoutError as error:
            raise Unavailable(f"Docker does not answer at {self._host}") from error
        except msgspec.DecodeError as error:
            raise UpstreamFailed("Docker answered what is not JSON") from error

    async def containers(self) -> list[Container]:
        """All containers, also those that have ended. Raises Unavailable."""
        return [
            Container(
                id=one["Id"],
                name=(one.get("Names") or [one["Id"][:12]])[0].lstrip("/"),
                image=one.get("Image", ""),
                state=one.get("State", ""),
                labels=one.get("Labels") or {},
            )
            for one in await self._json("/containers/json", {"all": "true"})
        ]

    async def has_terminal(self, container: str) -> bool:
        """Whether its output is one raw stream. Raises NotFound."""
        return bool((await self._json(f"/containers/{container}/json"))["Config"]["Tty"])

    async def logs(self, container: str, *, since: int, terminal: bool) -> AsyncGenerator[tuple[str, bytes]]:
        """Pieces of output from `since` (ns) on, each with its stream, until the container ends; then it returns.

        Each piece begins with its time, as `2026-01-31T09:30:00.000000001Z `, and is a line, or without a newline a
        part of one that is over 16 kB. Raises NotFound, Unavailable, and UpstreamFailed where Docker keeps no output.
        """
        params = {
            "follow": "true", "stdout": "true", "stderr": "true", "timestamps": "true",
            "since": f"{since // SECOND}.{since % SECOND:09d}",
        }  # fmt: skip
        async with self._get(f"/containers/{container}/logs", params) as response:
            read = raw_pieces(response.content) if terminal else frames(response.content)
            async for piece in read:
                yield piece

    async def events(self, *, opened: Any = None) -> AsyncIterator[Event]:
        """What happens to containers from now on; ends when the daemon does. `opened` is called once it listens."""
        filters = msgspec.json.encode({"type": ["container"]}).decode()
        async with self._get("/events", {"filters": filters}) as response:
            if opened is not None:
                opened()
            async for line in lines(response.content):
                with contextlib.suppress(msgspec.DecodeError):
                    one = msgspec.json.decode(line)
                    yield Event(action=str(one.get("Action", "")), container=str(one.get("Actor", {}).get("ID", "")))


STREAMS = {0: "stdout", 1: "stdout", 2: "stderr"}
MOST_FRAME = 16 << 20


async def frames(content: aiohttp.StreamReader) -> AsyncIterator[tuple[str, bytes]]:
    """Docker's multiplexed stream: a byte for the stream, three of nothing, four of length, the payload."""
    while True:
        try:
            header = await content.readexactly(8)
            length = int.from_bytes(header[4:], "big")
            if header[0] not in STREAMS or length > MOST_FRAME:
                raise UpstreamFailed("Docker's stream is out of step")
            yield STREAMS[header[0]], await content.readexactly(length)
        except (EOFError, aiohttp.ClientPayloadError):
            return


async def raw_pieces(content: aiohttp.StreamReader) -> AsyncIterator[tuple[str, bytes]]:
    """The raw stream of a container with a terminal: lines, and between the parts of long ones nothing but a time."""
    held = b""
    with contextlib.suppress(aiohttp.ClientPayloadError):
        async for chunk in content.iter_chunked(CHUNK):
            held += chunk
            at = 0
            while end := end_of_piece(held, at):
                yield "stdout", held[at:end]
                at = end
            held = held[at:]
            if len(held) > MOST_FRAME:
                raise UpstreamFailed("Docker's stream is out of step")
    if held:
        yield "stdout", held + b"\n"


def end_of_piece(held: bytes, at: int) -> int:
    """Where the piece that begins at `at` ends; 0 where that is not known yet."""
    begun = STAMP.match(held, at)
    part = begun.end() + PART if begun else 0
    newline = held.find(b"\n", at, part or len(held))
    if newline >= 0:
        return newline + 1
    if part and STAMP.match(held, part):
        return part
    return held.find(b"\n", at) + 1 if len(held) > part + 64 else 0


async def lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines however long they are."""
    held = b""
    with contextlib.suppress(aiohttp.ClientPayloadError):
        async for chunk in content.iter_any():
            *done, held = (held + chunk).split(b"\n")
            for line in done:
                yield line
