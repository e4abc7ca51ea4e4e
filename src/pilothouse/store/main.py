"""Process 2: the embedded log store, on a unix socket that only its owner can reach."""

import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator

import pyarrow as pa
import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from pilothouse import own_log
from pilothouse.core.errors import PilothouseError
from pilothouse.settings import Settings
from pilothouse.store.api import admin, labels, otlp, push, query, tail
from pilothouse.store.logs.lock import locked
from pilothouse.store.logs.memory import use_plain_allocator
from pilothouse.store.logs.store import LogStore

log = structlog.get_logger(__name__)
SWITCH_SECONDS = 0.0005
"""How long a thread may keep the interpreter: flush and query threads ask for it often and briefly, and at the usual
5 ms a busy push would hold each of them up."""
GRACEFUL_SECONDS = 5
"""How long requests may take to end after SIGTERM."""


Failures = list[OSError | PilothouseError]


def application(store: LogStore, settings: Settings, failures: Failures) -> Starlette:
    """The store's HTTP face. Why it could not open goes to `failures`."""

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            await store.open()
        except (OSError, PilothouseError) as error:
            failures.append(error)
            raise
        try:
            yield
        finally:
            await store.close()

    async def known(_: Request, error: Exception) -> Response:
        return push.refusal(error) if isinstance(error, PilothouseError) else push.refusal(PilothouseError("failed"))

    async def unknown(request: Request, error: Exception) -> Response:
        log.error("a request failed", path=request.url.path, exc_info=error)
        return push.refusal(PilothouseError("the store failed to answer; its log says why"))

    return Starlette(
        routes=[
            *admin.routes(store),
            *push.routes(store, settings),
            *otlp.routes(store, settings),
            *query.routes(store, settings),
            *labels.routes(store, settings),
            *tail.routes(store, settings),
        ],
        exception_handlers={PilothouseError: known, Exception: unknown},
        lifespan=lifespan,
    )


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then flush and return. Raises OSError or PilothouseError."""
    for directory in (settings.data_dir, settings.run_dir, settings.logs_dir):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    own_log.setup("store", settings)
    # A failure to start is told by whoever called, one to answer by `unknown`: not a second time, with a traceback.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    sys.setswitchinterval(SWITCH_SECONDS)
    use_plain_allocator()
    pa.set_cpu_count(os.cpu_count() or 1)
    # Whoever can enter it can reach the socket, which uvicorn makes for everybody.
    settings.run_dir.chmod(0o700)
    with locked(settings.logs_dir):
        settings.store_socket.unlink(missing_ok=True)
        serve(settings)


def serve(settings: Settings) -> None:
    """Serve on the socket, whose directory is this process's alone."""
    failures: Failures = []
    config = uvicorn.Config(
        application(LogStore(settings), settings, failures),
        uds=str(settings.store_socket),
        loop="uvloop",
        http="httptools",
        ws="websockets-sansio",
        lifespan="on",
        access_log=False,
        server_header=False,
        log_config=None,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        ws_max_size=1 << 20,
    )
    server = uvicorn.Server(config)
    # uvicorn drains at the signal and then raises it again for whoever listened before: for us it is over by then.
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, lambda *_: None)
    with contextlib.suppress(SystemExit):
        server.run()
    if not server.started:
        raise failures[0] if failures else SystemExit(1)
