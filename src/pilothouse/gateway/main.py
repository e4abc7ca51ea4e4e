"""Process 1: the only open port."""

import asyncio
import signal
import socket
import subprocess
import sys

import uvicorn

from pilothouse import own_log, process
from pilothouse.core.errors import Unavailable
from pilothouse.gateway.app import build
from pilothouse.settings import Settings
from pilothouse.state import is_current

GRACEFUL_SECONDS = 5
"""How long requests may take to end after SIGTERM. Sockets get their close frame (1012) at once."""
WAITING_CONNECTIONS = 2048


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then close what is open and return. Raises OSError and Unavailable."""
    own_log.setup("gateway", settings)
    with listen(settings) as listener:
        if not process.is_supervised() and not asyncio.run(is_current(settings)):
            prepare()
        server = uvicorn.Server(
            uvicorn.Config(
                build(settings),
                loop="uvloop",
                http="httptools",
                ws="websockets-sansio",
                ws_max_size=64 << 10,
                # Deflate for each of a thousand tails would cost more than all the rest of the gateway.
                ws_per_message_deflate=False,
                lifespan="on",
                access_log=False,
                server_header=False,
                proxy_headers=False,
                log_config=None,
                timeout_graceful_shutdown=GRACEFUL_SECONDS,
            )
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            # The server raises what it took for itself again at its end, which would then be ours.
            signal.signal(number, lambda *_: None)
        server.run(sockets=[listener])
    if not server.started:
        raise SystemExit(1)


def listen(settings: Settings) -> socket.socket:
    """The listening socket. Raises OSError that names the setting."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=WAITING_CONNECTIONS)
    except OSError as error:
        raise OSError(error.errno, f"can't listen on LISTEN={settings.listen}: {error.strerror}") from error


def prepare() -> None:
    """Bring the database up to date and print the set-up link, where nothing has done so before. Raises Unavailable.

    In a process of its own: what migrations need would stay in this one's memory for good.
    """
    if subprocess.run([sys.executable, "-m", "pilothouse", "init"], check=False).returncode:
        raise Unavailable("the state could not be prepared; the line above says why")
