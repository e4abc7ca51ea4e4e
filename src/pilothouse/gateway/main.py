"""Process 1: the only open port."""

import uvicorn

from pilothouse import own_log
from pilothouse.gateway.app import build
from pilothouse.settings import Settings

GRACEFUL_SECONDS = 5
"""How long requests and sockets may take to end after SIGTERM."""


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then close what is open and return. Raises OSError."""
    own_log.setup("gateway", settings)
    server = uvicorn.Server(
        uvicorn.Config(
            build(settings),
            host=settings.host,
            port=settings.port,
            loop="uvloop",
            http="httptools",
            ws="websockets-sansio",
            ws_max_size=64 << 10,
            lifespan="on",
            access_log=False,
            server_header=False,
            date_header=True,
            proxy_headers=False,
            log_config=None,
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
            h11_max_incomplete_event_size=64 << 10,
        )
    )
    server.run()
    if not server.started:
        raise SystemExit(1)
