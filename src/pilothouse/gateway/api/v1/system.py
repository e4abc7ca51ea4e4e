"""Health, readiness, metrics, and what the pages' rail shows."""

import asyncio
import json
import time
from typing import Annotated, Literal

import aiohttp
from fastapi import Response
from prometheus_client import REGISTRY, Gauge, generate_latest
from pydantic import BaseModel, Field
from starlette.requests import Request

from pilothouse import __version__
from pilothouse.core.errors import PilothouseError, Unavailable
from pilothouse.core.times import SECOND
from pilothouse.gateway.dependencies import PrincipalOf, ServicesOf, services_of
from pilothouse.gateway.services import Services

SLOW_SECONDS = 1.0
"""A part that takes longer to say that it is there is told to be slow."""
PATIENCE = 2.0
AUDIT_WAITING = Gauge("pilothouse_audit_waiting", "Audit entries that are not committed yet.")


class Health(BaseModel):
    """The gateway itself is up."""

    status: Literal["ok"] = "ok"


class Ready(BaseModel):
    """Whether everything that a request needs answers."""

    ready: bool


class Part(BaseModel):
    """One part of Pilothouse: a word for its state, how long it took to answer, how often it was started again."""

    name: str
    state: Literal["ok", "slow", "down"]
    latency_ms: Annotated[float, Field(description="milliseconds; the time-out where it is down")]
    restarts: int = 0


class Info(BaseModel):
    """What runs here. Nothing in it is secret."""

    version: str
    logs: Literal["embedded", "loki"]
    retention_seconds: int
    parts: list[Part]
    settings: dict[str, str]


async def health() -> Health:
    """Whether this process serves. Open, and without detail."""
    return Health()


async def ready(services: ServicesOf, response: Response) -> Ready:
    """200 when the log store, the state and the worker answer, 503 otherwise. Open, and without detail."""
    well = all(part.state != "down" for part in await examine(services))
    response.status_code = 200 if well else 503
    return Ready(ready=well)


async def info(services: ServicesOf, principal: PrincipalOf) -> Info:
    """The version, the state of each part, and the settings that are not secret."""
    del principal
    settings = services.settings
    return Info(
        version=__version__,
        logs="loki" if settings.loki_url else "embedded",
        retention_seconds=settings.retention // SECOND,
        parts=await examine(services),
        settings={
            "listen": settings.listen,
            "docker": str(settings.docker).lower(),
            "journal": str(settings.journal).lower(),
            "log_files": ", ".join(settings.log_files),
            "database": "postgresql" if settings.database_url.startswith("postgres") else "sqlite",
        },
    )


async def metrics(request: Request) -> Response:
    """The gateway's own figures, for Prometheus."""
    AUDIT_WAITING.set(services_of(request).audit.waiting)
    return Response(generate_latest(REGISTRY), media_type="text/plain; version=0.0.4; charset=utf-8")


async def examine(services: Services) -> list[Part]:
    """Ask each part whether it is there."""
    restarts = read_restarts(services)

    async def worker() -> None:
        connector = aiohttp.UnixConnector(str(services.settings.worker_socket))
        async with aiohttp.ClientSession(connector=connector) as session, session.get("http://worker/ready") as answer:
            if answer.status != 200:
                raise Unavailable("the worker is not ready")

    async def ask(name: str, process: str, question: asyncio.Future[None] | asyncio.Task[None]) -> Part:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE):
                await question
            state: Literal["ok", "slow", "down"] = "ok" if time.perf_counter() - began < SLOW_SECONDS else "slow"
        except (PilothouseError, OSError, TimeoutError, aiohttp.ClientError):
            state = "down"
        took = round((time.perf_counter() - began) * 1000, 1)
        return Part(name=name, state=state, latency_ms=took, restarts=restarts.get(process, 0))

    return list(
        await asyncio.gather(
            ask("logs", "store", asyncio.ensure_future(services.loki.ready())),
            ask("state", "gateway", asyncio.ensure_future(services.state.ping())),
            ask("worker", "worker", asyncio.ensure_future(worker())),
        )
    )


def read_restarts(services: Services) -> dict[str, int]:
    """How often the supervisor had to start each process again; nothing where there is no supervisor."""
    try:
        processes = json.loads((services.settings.run_dir / "processes.json").read_text())
        return {name: int(one["restarts"]) for name, one in processes.items()}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
