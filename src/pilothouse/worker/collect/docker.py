"""The output of every container, by Docker's API: from where it was read to, through restarts of both, to removal.

Docker's own times are kept, so that a line that is read twice is the same line for the backend, which holds it once.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
import structlog
from prometheus_client import Gauge

from pilothouse.backends.docker import Container, DockerClient
from pilothouse.core.errors import InvalidRequest, NotFound, PilothouseError
from pilothouse.core.times import now_ns, parse_instant
from pilothouse.worker.collect.joiner import Joiner
from pilothouse.worker.line import Collected
from pilothouse.worker.positions import Positions
from pilothouse.worker.push import Pusher

log = structlog.get_logger(__name__)
GATHER_SECONDS = 0.1
HOLD_SECONDS = 0.3
"""How long an event waits for what may still belong to it, once the container is quiet."""
MOST_LINES, MOST_BYTES = 5000, 1 << 20
AGAIN_SECONDS = 0.5
"""Between tries to reach a daemon that is away."""
LOOK_SECONDS = 10.0
"""Between looks at the list, beside the events: an event can be lost with its connection."""
STARTED = {"start", "restart", "unpause"}
SERVICE, PROJECT = "com.docker.compose.service", "com.docker.compose.project"

AVAILABLE = Gauge("pilothouse_worker_docker_available", "1 while the Docker daemon answers.")
FOLLOWED = Gauge("pilothouse_worker_docker_containers", "Containers whose output is followed.")


class ContainerPosition(msgspec.Struct, frozen=True):
    """The time (ns) of the last acknowledged line of each stream."""

    stdout: int = 0
    stderr: int = 0

    def of(self, stream: str) -> int:
        """That of one stream."""
        return self.stderr if stream == "stderr" else self.stdout


class Docker:
    """Every container of one daemon."""

    def __init__(
        self,
        client: DockerClient,
        pusher: Pusher,
        positions: Positions[ContainerPosition],
        *,
        host: str,
        retention: int,
    ) -> None:
        self._client = client
        self._pusher = pusher
        self._positions = positions
        self._host = host
        self._retention = retention
        self._reading: dict[str, asyncio.Task[None]] = {}
        self._runs: dict[str, asyncio.Event] = {}
        self._told = ""

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            look = asyncio.Event()
            group.create_task(self._listen(look))
            while True:
                look.clear()
                await self._look(group)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(look.wait(), LOOK_SECONDS if AVAILABLE._value.get() else AGAIN_SECONDS)  # noqa: SLF001

    async def _listen(self, look: asyncio.Event) -> None:
        while True:
            with contextlib.suppress(PilothouseError):
                async for event in self._client.events(opened=look.set):
                    if event.action in STARTED:
                        if running := self._runs.get(event.container):
                            running.set()
                        look.set()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _look(self, group: asyncio.TaskGroup) -> None:
        try:
            containers = await self._client.containers()
        except PilothouseError as error:
            AVAILABLE.set(0)
            self._tell(error.message)
            return
        AVAILABLE.set(1)
        self._tell("")
        for container in containers:
            task = self._reading.get(container.id)
            if task is None or task.done():
                self._runs[container.id] = asyncio.Event()
                self._reading[container.id] = group.create_task(self._read(container))
            elif container.state == "running":
                self._runs[container.id].set()
        there = {container.id for container in containers}
        for known in self._positions.keys():  # noqa: SIM118 - not a mapping
            if known not in there and known not in self._reading:
                self._positions.forget(known)
        FOLLOWED.set(sum(not task.done() for task in self._reading.values()))

    def _tell(self, trouble: str) -> None:
        """Say once that Docker is away, and once that it is back."""
        if trouble != self._told:
            self._told = trouble
            log.warning("containers are not collected", reason=trouble) if trouble else log.info("Docker answers")

    async def _read(self, container: Container) -> None:
        """Follow one container until it is removed."""
        runs = self._runs[container.id]
        reader = ContainerReader(container, self._client, self._pusher, self._positions, self._host, self._retention)
        while True:
            runs.clear()
            try:
                await reader.read_to_end()
            except NotFound:
                self._reading.pop(container.id, None)
                self._runs.pop(container.id, None)
                self._positions.forget(container.id)
                return
            except PilothouseError as error:
                log.info("a container's output broke off and is taken up again", container=container.name,
                         reason=error.message)  # fmt: skip
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            # It has ended: the next start, or a look at the list that finds it gone, goes on from here.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(runs.wait(), LOOK_SECONDS)


class ContainerReader:
    """Reads one container's output on from its position."""

    def __init__(
        self,
        container: Container,
        client: DockerClient,
        pusher: Pusher,
        positions: Positions[ContainerPosition],
        host: str,
        retention: int,
    ) -> None:
        self._container = container
        self._client = client
        self._pusher = pusher
        self._positions = positions
        self._retention = retention
        labels = {"service_name": container.labels.get(SERVICE) or container.name, "container": container.name,
                  "host": host}  # fmt: skip
        if project := container.labels.get(PROJECT):
            labels["project"] = project
        self._labels = {stream: {**labels, "stream": stream} for stream in ("stdout", "stderr")}
        self._metadata = {"container_id": container.id[:12], "image": container.image}

    async def read_to_end(self) -> None:
        """Push all there is, until the container ends. Raises NotFound once it is removed, Unavailable."""
        position = self._positions.get(self._container.id) or ContainerPosition()
        oldest = now_ns() - self._retention
        since = max(oldest, min(position.stdout, position.stderr) or max(position.stdout, position.stderr))
        terminal = await self._client.has_terminal(self._container.id)
        pieces = self._client.logs(self._container.id, since=since, terminal=terminal)
        async with contextlib.aclosing(pieces):
            async for lines in batches(pieces, position):
                await self._pusher.push(
                    "docker",
                    [Collected(self._labels[stream], ts, text, self._metadata) for stream, ts, text, _ in lines],
                )
                for stream, _, _, last in lines:
                    position = msgspec.structs.replace(position, **{stream: max(position.of(stream), last)})
                self._positions.set(self._container.id, position)


Line = tuple[str, int, str, int]
"""Stream, time of the first line of the event, its text, time of its last line."""


async def batches(pieces: AsyncIterator[tuple[str, bytes]], position: ContainerPosition) -> AsyncIterator[list[Line]]:
    """Lines in batches: what comes within GATHER_SECONDS, parts of long lines and stack traces joined."""
    queue: asyncio.Queue[tuple[str, bytes] | None] = asyncio.Queue(MOST_LINES)
    failure: list[BaseException] = []

    async def fill() -> None:
        try:
            async for piece in pieces:
                await queue.put(piece)
        except PilothouseError as error:
            failure.append(error)
        await queue.put(None)

    filling = asyncio.create_task(fill())
    assembler = Assembler(position)
    try:
        ended = False
        while not ended:
            lines: list[Line] = []
            size = 0
            patience: float | None = HOLD_SECONDS if assembler.is_open else None
            with contextlib.suppress(TimeoutError):
                while len(lines) < MOST_LINES and size < MOST_BYTES:
                    async with asyncio.timeout(patience):
                        piece = await queue.get()
                    if piece is None:
                        ended = True
                        break
                    patience = GATHER_SECONDS
                    size += len(piece[1])
                    lines += assembler.add(*piece)
            if ended or not lines:
                lines += assembler.flush()
            if lines:
                yield lines
    finally:
        filling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await filling
    if failure:
        raise failure[0]


class Assembler:
    """From pieces with their times to events, for both streams apart."""

    def __init__(self, position: ContainerPosition) -> None:
        self._position = position
        self._parts: dict[str, tuple[int, list[bytes]]] = {}
        self._joiners: dict[str, Joiner[int]] = {"stdout": Joiner(), "stderr": Joiner()}

    @property
    def is_open(self) -> bool:
        """Whether something waits for what may still belong to it."""
        return bool(self._parts) or any(joiner.is_open for joiner in self._joiners.values())

    def add(self, stream: str, piece: bytes) -> list[Line]:
        """Take a piece; gives the event that it ends."""
        stamp, _, rest = piece.partition(b" ")
        try:
            ts = parse_instant(stamp.decode("ascii", "replace"))
        except InvalidRequest:
            ts, rest = now_ns(), piece
        # What has the very time of the last acknowledged line may be another line: the backend knows which it has.
        if ts < self._position.of(stream):
            return []
        begun, parts = self._parts.pop(stream, (ts, []))
        parts.append(rest)
        if not rest.endswith(b"\n"):
            self._parts[stream] = (begun, parts)
            return []
        text = b"".join(parts).rstrip(b"\r\n").decode("utf-8", "backslashreplace")
        done = self._joiners[stream].add(text, begun)
        return [(stream, done[1], done[0], done[2])] if done and done[0] else []

    def flush(self) -> list[Line]:
        """What waits, as it is."""
        lines = []
        for stream, (begun, parts) in tuple(self._parts.items()):
            del self._parts[stream]
            text = b"".join(parts).decode("utf-8", "backslashreplace")
            if done := self._joiners[stream].add(text, begun):
                lines.append((stream, done[1], done[0], done[2]))
        for stream, joiner in self._joiners.items():
            if (done := joiner.flush()) and done[0]:
                lines.append((stream, done[1], done[0], done[2]))
        return lines
