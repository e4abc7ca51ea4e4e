"""Process 4: everything that happens without a request. For now: collecting."""

import asyncio
import contextlib
import signal
import socket
from typing import Protocol

import structlog
import uvloop
from aiohttp import web
from prometheus_client import REGISTRY, generate_latest

from pilothouse import own_log
from pilothouse.backends.docker import DockerClient
from pilothouse.backends.loki import LokiClient
from pilothouse.settings import Settings
from pilothouse.worker.collect.assembler import ContainerPosition
from pilothouse.worker.collect.docker import Docker
from pilothouse.worker.collect.files import Files, FileSource
from pilothouse.worker.collect.follower import FilePosition
from pilothouse.worker.collect.journald import Journal, JournalPosition
from pilothouse.worker.positions import Positions
from pilothouse.worker.push import Pusher

log = structlog.get_logger(__name__)
SYNC_SECONDS = 5.0
"""How often positions are put on the disk; between, they survive the process but not a power cut."""
RESTART_SECONDS = 5.0


def run(settings: Settings) -> None:
    """Collect until SIGTERM or SIGINT. Raises OSError."""
    own_log.setup("worker", settings)
    uvloop.run(work(settings))


async def work(settings: Settings) -> None:
    """Serve /ready and /metrics, and run the collectors."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    loki, docker = LokiClient(settings.loki), DockerClient(settings.docker_host)
    runner = await serve(settings)
    tasks = [asyncio.create_task(keep_running(name, source)) for name, source in collectors(settings, loki, docker)]
    try:
        await stop.wait()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await loki.close()
        await docker.close()
        await runner.cleanup()
        settings.worker_socket.unlink(missing_ok=True)


class Source(Protocol):
    """What runs until it is cancelled."""

    async def run(self) -> None:
        """Collect, or look after what is collected."""


def collectors(settings: Settings, loki: LokiClient, docker: DockerClient) -> list[tuple[str, Source]]:
    """The sources that the settings ask for, Pilothouse's own log among them."""
    host = settings.host_name or socket.gethostname()
    directory = settings.data_dir / "positions"
    pusher = Pusher(loki)
    files = Positions(directory, "files", FilePosition)
    own = [
        FileSource(
            pattern=str(settings.data_dir.absolute() / "own" / f"{process}.log"),
            name=f"pilothouse-{process}",
            labels=(("host", host), ("project", "pilothouse")),
        )
        for process in ("gateway", "store", "worker")
    ]
    given = [FileSource.parse(entry, host=host) for entry in settings.log_files]
    sources: list[tuple[str, Source]] = [("files", Files([*own, *given], pusher, files))]
    positions: list[Positions[FilePosition] | Positions[JournalPosition] | Positions[ContainerPosition]] = [files]
    if settings.journal:
        entries = Positions(directory, "journald", JournalPosition)
        sources.append(("journald", Journal(pusher, entries, host=host)))
        positions.append(entries)
    if settings.docker:
        output = Positions(directory, "docker", ContainerPosition)
        sources.append(("docker", Docker(docker, pusher, output, host=host, retention=settings.retention)))
        positions.append(output)
    sources.append(("positions", Syncer(positions)))
    return sources


class Syncer:
    """Puts saved positions on the disk from time to time."""

    def __init__(
        self, positions: list[Positions[FilePosition] | Positions[JournalPosition] | Positions[ContainerPosition]]
    ) -> None:
        self._positions = positions

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(SYNC_SECONDS)
            for one in self._positions:
                await asyncio.to_thread(one.sync)


async def keep_running(name: str, source: Source) -> None:
    """Run a source; where it fails, say so and begin anew."""
    while True:
        try:
            await source.run()
            return
        except Exception:
            log.exception("a source failed and is started again", source=name)
        await asyncio.sleep(RESTART_SECONDS)


async def serve(settings: Settings) -> web.AppRunner:
    """GET /ready and GET /metrics on the worker's socket. Raises OSError."""

    async def ready(_: web.Request) -> web.Response:
        return web.json_response({"ready": True})

    async def metrics(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": "text/plain; version=0.0.4"})

    app = web.Application()
    app.add_routes([web.get("/ready", ready), web.get("/metrics", metrics)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    settings.run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileNotFoundError):
        settings.worker_socket.unlink()
    await web.UnixSite(runner, str(settings.worker_socket)).start()
    return runner
