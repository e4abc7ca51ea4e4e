"""The output of every container, by Docker's API: from where it was read to, through restarts of both, to removal.

Docker's own times are kept, so that a line that is read twice is the same line for the backend, which holds it once.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field

import structlog
from prometheus_client import Gauge

from pilothouse.backends.docker import Container, DockerClient
from pilothouse.core.errors import NotFound, PilothouseError, UpstreamFailed
from pilothouse.worker.collect.assembler import ContainerPosition
from pilothouse.worker.collect.container import ContainerReader
from pilothouse.worker.positions import Positions
from pilothouse.worker.push import Pusher

log = structlog.get_logger(__name__)
AGAIN_SECONDS = 0.5
"""Between tries to reach a daemon that is away."""
MOST_AGAIN = 30.0
"""Between tries to read what Docker refuses to give: a logging driver that keeps nothing to read."""
LOOK_SECONDS = 10.0
"""Between looks at the list, beside the events: an event can be lost with its connection."""
LOOK_AT = {"start", "restart", "unpause", "die", "destroy", "rename"}
"""What happens to a container after which there may be lines to read, or no more."""

AVAILABLE = Gauge("pilothouse_worker_docker_available", "1 while the Docker daemon answers.")
FOLLOWED = Gauge("pilothouse_worker_docker_containers", "Containers whose output is followed.")


@dataclass(kw_only=True, slots=True, eq=False)
class Followed:
    """One container that is followed. `look` is set when there may be more to read."""

    reader: ContainerReader
    look: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


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
        self._followed: dict[str, Followed] = {}
        self._told = ""

    async def run(self) -> None:
        """Until cancelled."""
        self._followed.clear()
        async with asyncio.TaskGroup() as group:
            look = asyncio.Event()
            group.create_task(self._listen(look))
            while True:
                look.clear()
                there = await self._look(group)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(look.wait(), LOOK_SECONDS if there else AGAIN_SECONDS)

    async def _listen(self, look: asyncio.Event) -> None:
        def opened() -> None:
            # What happened while nobody listened is not told.
            for one in self._followed.values():
                one.look.set()
            look.set()

        while True:
            with contextlib.suppress(PilothouseError):
                async for event in self._client.events(opened=opened):
                    if event.action in LOOK_AT:
                        if one := self._followed.get(event.container):
                            one.look.set()
                        look.set()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _look(self, group: asyncio.TaskGroup) -> bool:
        """Follow what is new; whether the daemon answers."""
        try:
            containers = await self._client.containers()
        except PilothouseError as error:
            AVAILABLE.set(0)
            self._tell(error.message)
            return False
        AVAILABLE.set(1)
        self._tell("")
        for container in containers:
            one = self._followed.get(container.id)
            if one is None:
                self._follow(container, group)
            else:
                if container.name != one.reader.container.name:
                    self._pusher.forget(one.reader.source)
                one.reader.container = container
                if container.state == "running":
                    one.look.set()  # where its output broke off and no event told
        there = {container.id for container in containers}
        for known in self._positions.keys():  # noqa: SIM118 - not a mapping
            if known not in there and known not in self._followed:
                self._positions.forget(known)
        FOLLOWED.set(len(self._followed))
        return True

    def _follow(self, container: Container, group: asyncio.TaskGroup) -> None:
        reader = ContainerReader(
            container, self._client, self._pusher, self._positions, host=self._host, retention=self._retention
        )
        one = self._followed[container.id] = Followed(reader=reader)
        one.task = group.create_task(self._read(one))

    def _tell(self, trouble: str) -> None:
        """Say once that Docker is away, and once that it is back."""
        if trouble != self._told:
            self._told = trouble
            log.warning("containers are not collected", reason=trouble) if trouble else log.info("Docker answers")

    async def _read(self, one: Followed) -> None:
        """Follow one container until it is removed."""
        told, wait = "", AGAIN_SECONDS
        while True:
            one.look.clear()
            try:
                await one.reader.read()
                told, wait = "", AGAIN_SECONDS
            except NotFound:
                break
            except (PilothouseError, OSError) as error:
                reason = error.message if isinstance(error, PilothouseError) else str(error)
                if reason != told:
                    told = reason
                    log.info("a container's output can't be read on, and is tried again",
                             container=one.reader.container.name, reason=reason)  # fmt: skip
                # A daemon that is away is soon back; what it refuses, or a full disk, takes longer.
                wait = min(wait * 2, MOST_AGAIN) if not is_away(error) else AGAIN_SECONDS
                await asyncio.sleep(wait)
                continue
            # It has ended. An event, or a look at the list, tells when it runs again or is removed.
            await one.look.wait()
        id_ = one.reader.container.id
        self._followed.pop(id_, None)
        self._positions.forget(id_)
        self._pusher.forget(one.reader.source)
        FOLLOWED.set(len(self._followed))


def is_away(error: Exception) -> bool:
    """Whether the daemon does not answer, rather than refuse."""
    return isinstance(error, PilothouseError) and not isinstance(error, UpstreamFailed)
