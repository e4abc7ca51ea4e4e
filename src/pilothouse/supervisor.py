"""Starts the processes, restarts what dies with back-off, drains them on SIGTERM."""

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from pilothouse.process import PARENT_VARIABLE
from pilothouse.settings import PREFIX, Settings

START_ORDER = ("store", "gateway", "worker")
DRAIN_ORDER = ("gateway", "worker", "store")
"""Who serves goes first, who keeps what they hand over goes last."""
FIRST_DELAY, MOST_DELAY = 0.2, 10.0
"""Seconds before a dead process is started again: doubled at each death, so that a broken one can't spin."""
STEADY = 30.0
"""Seconds after which a process counts as well again, and its back-off begins anew."""
DRAIN_SECONDS = 15.0
"""How long a process may take to drain before it is killed; the store's flush is the longest."""
READY_POLL = 0.05


class StartError(Exception):
    """Pilothouse can't start here; the text says why and how to mend it."""


class ProcessState(StrEnum):
    """Where a supervised process stands."""

    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    STOPPED = "stopped"


@dataclass(kw_only=True, slots=True)
class Supervised:
    """One process under watch."""

    name: str
    state: ProcessState = ProcessState.STOPPED
    restarts: int = 0
    last_exit: int | None = None
    process: asyncio.subprocess.Process | None = field(default=None, repr=False)


class Supervisor:
    """Runs the processes of one host. `run` returns the exit status, after all have drained."""

    def __init__(self, settings: Settings, *, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._say = say
        self._stopping = asyncio.Event()
        self._processes = {name: Supervised(name=name) for name in START_ORDER}

    async def run(self) -> int:
        """Start everything, watch it, and drain on SIGTERM or SIGINT. Raises StartError."""
        loop = asyncio.get_running_loop()
        with claim_data_dir(self._settings.data_dir):
            check_listen(self._settings)
            make_private(self._settings.run_dir)
            link = await self._prepare()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._stopping.set)
            watches = [asyncio.create_task(self._watch(one)) for one in self._processes.values()]
            announce = asyncio.create_task(self._announce(link))
            try:
                await self._stopping.wait()
            finally:
                announce.cancel()
                await self._drain()
                await asyncio.gather(*watches)
                self._publish()
        return 0

    async def _prepare(self) -> str:
        """Bring the database up to date in a short-lived child; gives the one-time set-up link, or nothing."""
        child = await asyncio.create_subprocess_exec(
            *self._command("init"), env=self._environment(), stdout=asyncio.subprocess.PIPE, start_new_session=True
        )
        output, _ = await child.communicate()
        if child.returncode:
            raise StartError("the state could not be prepared; the line above says why")
        return output.decode().strip()

    async def _watch(self, one: Supervised) -> None:
        delay = FIRST_DELAY
        while not self._stopping.is_set():
            started = time.monotonic()
            one.state = ProcessState.STARTING
            one.process = await asyncio.create_subprocess_exec(
                *self._command(one.name), env=self._environment(), start_new_session=True
            )
            one.state = ProcessState.RUNNING
            self._publish()
            one.last_exit = await one.process.wait()
            one.state = ProcessState.STOPPED
            if self._stopping.is_set():
                return
            if time.monotonic() - started > STEADY:
                delay = FIRST_DELAY
            one.restarts += 1
            one.state = ProcessState.WAITING
            self._publish()
            self._say(f"{one.name} ended ({describe_exit(one.last_exit)}); starting it again in {delay:g} s")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), delay)
            delay = min(delay * 2, MOST_DELAY)

    async def _announce(self, link: str) -> None:
        """Say where it listens once /ready answers 200."""
        began = time.monotonic()
        while not await is_ready(self._settings):  # noqa: ASYNC110 - the event is in another process
            await asyncio.sleep(READY_POLL)
        self._say(f"ready in {time.monotonic() - began:.1f} s on {self._settings.base_url}")
        if link:
            self._say(f"set the administrator's password here, once:\n\n    {link}\n")

    async def _drain(self) -> None:
        for name in DRAIN_ORDER:
            process = self._processes[name].process
            if process is None or process.returncode is not None:
                continue
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), DRAIN_SECONDS)
            except TimeoutError:
                self._say(f"{name} did not drain within {DRAIN_SECONDS:g} s; killing it")
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    def _publish(self) -> None:
        """Tell the other processes how each stands, in run/processes.json."""
        path = self._settings.run_dir / "processes.json"
        beside = path.with_suffix(".new")
        beside.write_text(
            json.dumps(
                {
                    one.name: {"state": one.state, "restarts": one.restarts, "last_exit": one.last_exit,
                               "pid": one.process.pid if one.process else None}
                    for one in self._processes.values()
                }
            )
        )  # fmt: skip
        beside.replace(path)

    def _command(self, name: str) -> tuple[str, ...]:
        return (sys.executable, "-m", "pilothouse", name)

    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
        return kept | self._settings.environment() | {PARENT_VARIABLE: str(os.getpid())}


@contextlib.contextmanager
def claim_data_dir(path: Path) -> Iterator[None]:
    """Make the data directory (0700) and hold its lock. Raises StartError where that can't be."""
    try:
        make_private(path)
        handle = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StartError(
            f"DATA_DIR {path} can't be written ({error.strerror}); choose another by {PREFIX}DATA_DIR"
        ) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StartError(f"another Pilothouse runs on {path}; end it, or set {PREFIX}DATA_DIR") from error
        yield
    finally:
        os.close(handle)


def make_private(path: Path) -> None:
    """A directory that only its owner can enter. Raises OSError."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_mode & 0o077:
        path.chmod(0o700)


def check_listen(settings: Settings) -> None:
    """Raises StartError where LISTEN can't be bound: said once and clearly, before anything is started."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise StartError(
            f"can't listen on {settings.listen} ({error.strerror}); choose another by {PREFIX}LISTEN"
        ) from error


async def is_ready(settings: Settings) -> bool:
    """Whether GET /ready on the open port answers 200."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)
    try:
        async with asyncio.timeout(2):
            reader, writer = await asyncio.open_connection(host, settings.port)
            writer.write(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            status = await reader.readline()
            writer.close()
            return status.split(b" ")[1:2] == [b"200"]
    except (OSError, TimeoutError):
        return False


def describe_exit(status: int) -> str:
    """`status 1`, or the name of the signal that ended it."""
    return f"status {status}" if status >= 0 else signal.Signals(-status).name
