"""journald, by `journalctl -o json --follow` as a child: it knows rotation, rights and corrupt files."""

import asyncio
import contextlib
import shutil
from typing import Any

import msgspec
import structlog
from prometheus_client import Gauge

from pilothouse.worker.line import Collected
from pilothouse.worker.positions import Positions
from pilothouse.worker.push import Pusher

log = structlog.get_logger(__name__)
SOURCE = "journald"
FIRST_REACH = "-24h"
"""How far back the journal is read at first sight."""
GATHER_SECONDS = 0.1
MOST_LINES = 2000
MOST_ENTRY = 4 << 20
"""Bytes of an entry as JSON; journald's own limit for a field is 768 kB, and escapes take room."""
AGAIN_SECONDS = 2.0
LEVELS = ("critical", "critical", "critical", "error", "warn", "info", "info", "debug")
"""Of syslog's priorities 0 to 7."""

AVAILABLE = Gauge("pilothouse_worker_journald_available", "1 where journalctl can be run.")


class JournalPosition(msgspec.Struct, frozen=True):
    """The cursor of the last acknowledged entry."""

    cursor: str


class Journal:
    """Follows the journal of this machine, or of `directory`."""

    def __init__(
        self, pusher: Pusher, positions: Positions[JournalPosition], *, host: str, directory: str = ""
    ) -> None:
        self._pusher = pusher
        self._positions = positions
        self._host = host
        self._directory = directory

    async def run(self) -> None:
        """Until cancelled; where there is no journalctl, nothing."""
        if shutil.which("journalctl") is None:
            AVAILABLE.set(0)
            log.info("there is no journalctl here: journald is not collected")
            return
        AVAILABLE.set(1)
        while True:
            await self._follow()
            await asyncio.sleep(AGAIN_SECONDS)

    async def _follow(self) -> None:
        child = await asyncio.create_subprocess_exec(
            "journalctl", *self._arguments(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            limit=MOST_ENTRY,
        )  # fmt: skip
        assert child.stdout is not None  # noqa: S101 - asked for above
        assert child.stderr is not None  # noqa: S101 - same
        try:
            while entries := await self._gather(child.stdout):
                lines = [line for entry in entries if (line := self.line_of(entry))]
                await self._pusher.push(SOURCE, lines)
                if cursor := entries[-1].get("__CURSOR"):
                    self._positions.set(SOURCE, JournalPosition(cursor))
            said = (await child.stderr.read(500)).decode("utf-8", "replace").strip()
            log.warning("journalctl ended and is started again", said=said)
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
            await child.wait()

    def _arguments(self) -> list[str]:
        known = self._positions.get(SOURCE)
        begin = f"--after-cursor={known.cursor}" if known else f"--since={FIRST_REACH}"
        where = [f"--directory={self._directory}"] if self._directory else []
        return ["--output=json", "--follow", "--no-tail", "--all", "--quiet", *where, begin]

    async def _gather(self, stream: asyncio.StreamReader) -> list[dict[str, Any]]:
        """The next entries: at least one, and what comes shortly after it; none at the end."""
        entries: list[dict[str, Any]] = []
        try:
            while len(entries) < MOST_LINES:
                async with asyncio.timeout(GATHER_SECONDS if entries else None):
                    text = await read_entry(stream)
                if text is None:
                    break
                with contextlib.suppress(msgspec.DecodeError):
                    entries.append(msgspec.json.decode(text, type=dict[str, Any]))
        except TimeoutError:
            pass
        return entries

    def line_of(self, entry: dict[str, Any]) -> Collected | None:
        """A line of an entry; None where it has no message or no time."""
        text = text_of(entry.get("MESSAGE"))
        time = str(entry.get("__REALTIME_TIMESTAMP", ""))
        if text is None or not time.isdigit():
            return None
        unit = text_of(entry.get("_SYSTEMD_UNIT")) or text_of(entry.get("UNIT")) or ""
        name = unit.removesuffix(".service") or text_of(entry.get("SYSLOG_IDENTIFIER")) or "journal"
        metadata = {}
        priority = str(entry.get("PRIORITY", ""))
        if priority.isdigit() and int(priority) < len(LEVELS):
            metadata["level"] = LEVELS[int(priority)]
        for field, label in (("SYSLOG_IDENTIFIER", "identifier"), ("_PID", "pid"), ("_TRANSPORT", "transport")):
            if value := text_of(entry.get(field)):
                metadata[label] = value
        return Collected({"service_name": name, "host": self._host}, int(time) * 1000, text, metadata)


async def read_entry(stream: asyncio.StreamReader) -> bytes | None:
    """The next line; one that is too long is left out. None at the end."""
    while True:
        try:
            line = await stream.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            return None
        except asyncio.LimitOverrunError as error:
            await stream.readexactly(error.consumed)
            log.warning("an entry of the journal is too long and was left out", bytes=error.consumed)
            continue
        return line


def text_of(value: Any) -> str | None:
    """A field as text: journalctl gives a list of bytes where it is not UTF-8, and of values where there are many."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        if all(isinstance(one, int) for one in value):
            return bytes(one & 0xFF for one in value).decode("utf-8", "backslashreplace")
        return "\n".join(text for one in value if (text := text_of(one)) is not None)
    return None
