"""Reads the output of one container on from its position."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator

import msgspec

from pilothouse.backends.docker import Container, DockerClient
from pilothouse.core.errors import PilothouseError
from pilothouse.core.times import MINUTE, now_ns
from pilothouse.worker.collect.assembler import STREAMS, Assembler, ContainerPosition, Event, Mark
from pilothouse.worker.line import Collected
from pilothouse.worker.positions import Positions
from pilothouse.worker.push import Pusher

GATHER_SECONDS = 0.1
"""How long a batch is gathered, from its first piece on."""
MOST_EVENTS, MOST_BYTES = 5000, 1 << 20
MOST_QUEUED = 256
"""Pieces read ahead, of 16 kB at most: Docker keeps the others until there is room."""
SERVICE, PROJECT = "com.docker.compose.service", "com.docker.compose.project"


class ContainerReader:
    """One container; its labels are those of the moment."""

    def __init__(
        self,
        container: Container,
        client: DockerClient,
        pusher: Pusher,
        positions: Positions[ContainerPosition],
        *,
        host: str,
        retention: int,
    ) -> None:
        self.container = container
        self._client = client
        self._pusher = pusher
        self._positions = positions
        self._host = host
        self._retention = retention

    @property
    def source(self) -> str:
        """Its name in the worker's metrics."""
        return f"docker:{self.container.name}"

    async def read(self) -> None:
        """Push all there is, until the container ends. Raises NotFound once it is removed, Unavailable."""
        id_ = self.container.id
        position = self._positions.get(id_) or ContainerPosition()
        terminal = await self._client.has_terminal(id_)
        oldest = now_ns() - self._retention + MINUTE  # what is past retention would be refused
        assembler = Assembler(position)
        pieces = self._client.logs(id_, since=max(oldest, position.since), terminal=terminal)
        async with contextlib.aclosing(pieces), contextlib.aclosing(batches(pieces, assembler)) as read:
            async for events in read:
                reached = {**position.acked, **{event.stream: event.upto for event in events}}
                upto = {stream: max(mark, position.upto.get(stream, Mark())) for stream, mark in reached.items()}
                self._positions.set(id_, msgspec.structs.replace(position, upto=upto))
                await self._pusher.push(self.source, [self._line(event) for event in events if event.text])
                position = ContainerPosition(acked=reached, upto=upto, since=assembler.since)
                self._positions.set(id_, position)

    def _line(self, event: Event) -> Collected:
        container = self.container
        labels = {"service_name": container.labels.get(SERVICE) or container.name, "container": container.name,
                  "host": self._host, "stream": event.stream}  # fmt: skip
        if project := container.labels.get(PROJECT):
            labels["project"] = project
        return Collected(labels, event.ts, event.text, {"container_id": container.id[:12], "image": container.image})


async def batches(pieces: AsyncIterator[tuple[str, bytes]], assembler: Assembler) -> AsyncGenerator[list[Event]]:
    """Events in batches, of what comes within GATHER_SECONDS. Raises what `pieces` raises, after the last event."""
    queue: asyncio.Queue[tuple[str, bytes] | None] = asyncio.Queue(MOST_QUEUED)
    filling = asyncio.create_task(_fill(queue, pieces))
    try:
        ended = False
        while not ended:
            events: list[Event] = []
            size = 0
            until: float | None = None
            while len(events) < MOST_EVENTS and size < MOST_BYTES:
                wait = assembler.patience if until is None else until - time.monotonic()
                if wait is not None and wait <= 0:
                    break
                try:
                    async with asyncio.timeout(wait):
                        piece = await queue.get()
                except TimeoutError:
                    break
                if piece is None:
                    ended = True
                    break
                until = until or time.monotonic() + GATHER_SECONDS
                size += len(piece[1])
                events += assembler.add(*piece)
            # A line without end is bounded by the size of a batch.
            events += assembler.flush(everything=ended or (size >= MOST_BYTES and not events))
            if events:
                yield events
        await filling
    finally:
        filling.cancel()
        with contextlib.suppress(asyncio.CancelledError, PilothouseError):
            await filling


async def _fill(queue: "asyncio.Queue[tuple[str, bytes] | None]", pieces: AsyncIterator[tuple[str, bytes]]) -> None:
    try:
        async for piece in pieces:
            if piece[0] in STREAMS:
                await queue.put(piece)
    except Exception:
        await queue.put(None)
        raise
    await queue.put(None)
