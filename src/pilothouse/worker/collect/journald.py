"""journald, by `journalctl -o json --follow` as a child: it knows rotation, rights and corrupt files."""

import asyncio
import contextlib
import shutil
from typing import Any

import msgspec
import structlog
from prometheus_client import Gauge

from pilothouse.core.times import SECOND
from pilothouse.worker.line import Collected
from pilothouse.worker.positions import Positions
from pilothouse.worker.push import Pusher

log = structlog.get_logger(__name__)
SOURCE = "journald"
FIRST_REACH = "-24h"
"""How far back the journal is read at first sight."""
GATHER_SECONDS = 0.1
"""How long a batch is gathered, from its first entry on."""
MOST_LINES = 2000
MOST_ENTRY = 4 << 20
"""Bytes of an entry as JSON; journald's own limit for a field is 768 kB, and escapes take room."""
FIRST_AGAIN, MOST_AGAIN = 2.0, 60.0
"""Seconds before a journalctl that ended is started again: doubled each time, until it gives an entry."""
SAID = 500
"""Bytes kept of what it says on stderr."""
MOST_LABEL = 200
"""Characters of a service's name: anybody may log under any identifier."""
FIELDS = ("MESSAGE", "PRIORITY", "_SYSTEMD_UNIT", "UNIT", "SYSLOG_IDENTIFIER", "_PID", "_TRANSPORT")
"""What is asked of an entry; its cursor and its time always come."""
LEVELS = ("critical", "critical", "critical", "error", "warn", "info", "info", "debug")
"""Of syslog's priorities 0 to 7."""

AVAILABLE = Gauge("pilothouse_worker_journald_available", "1 where journalctl can be run.")


class JournalPosition(msgspec.Struct, frozen=True):
    """The cursor of the last acknowledged entry, and its time (ns)."""

    cursor: str
    time: int = 0


class Journal:
    """Follows the journal of this machine."""

    def __init__(self, pusher: Pusher, positions: Positions[JournalPosition], *, host: str) -> None:
        self._pusher = pusher
        self._positions = positions
        self._host = host
        self._by_time = False

    async def run(self) -> None:
        """Until cancelled; where there is no journalctl, nothing."""
        if shutil.which("journalctl") is None:
            AVAILABLE.set(0)
            log.info("there is no journalctl here: journald is not collected")
            return
        AVAILABLE.set(1)
        told, wait = "", FIRST_AGAIN
        while True:
            some, said = await self._follow()
            self._by_time = not some  # perhaps this journal does not take the cursor
            if some:
                told, wait = "", FIRST_AGAIN
            if said != told or some:
                told = said
                log.warning("journalctl ended and is started again", said=said)
            await asyncio.sleep(wait)
            wait = min(wait * 2, MOST_AGAIN)

    async def _follow(self) -> tuple[bool, str]:
        """Until journalctl ends; whether it gave entries, and what it said."""
        child = await asyncio.create_subprocess_exec(
            "journalctl", *self._arguments(), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            limit=MOST_ENTRY,
        )  # fmt: skip
        assert child.stdout is not None  # noqa: S101 - asked for above
        assert child.stderr is not None  # noqa: S101 - same
        saying = asyncio.create_task(last_words(child.stderr))
        some = False
        try:
            while entries := await self._gather(child.stdout):
                some = True
                lines = [line for entry in entries if (line := self.line_of(entry))]
                await self._pusher.push(SOURCE, lines)
                if cursor := entries[-1].get("__CURSOR"):
                    self._positions.set(SOURCE, JournalPosition(cursor, time_of(entries[-1]) or 0))
            return some, await saying
        finally:
            saying.cancel()
            with contextlib.suppress(ProcessLookupError):
                child.terminate()
            await child.wait()

    def _arguments(self) -> list[str]:
        known = self._positions.get(SOURCE)
        if known is None:
            begin = f"--since={FIRST_REACH}"
        elif self._by_time and known.time:
            begin = f"--since=@{known.time // SECOND}"
        else:
            begin = f"--after-cursor={known.cursor}"
        fields = f"--output-fields={','.join(FIELDS)}"
        return ["--output=json", fields, "--follow", "--no-tail", "--all", "--quiet", begin]

    async def _gather(self, stream: asyncio.StreamReader) -> list[dict[str, Any]]:
        """The next entries: at least one, and what comes shortly after it; none at the end."""
        entries: list[dict[str, Any]] = []
        until: float | None = None
        clock = asyncio.get_running_loop().time
        with contextlib.suppress(TimeoutError):
            while len(entries) < MOST_LINES and (until is None or clock() < until):
                async with asyncio.timeout_at(until):
                    text = await read_entry(stream)
                if text is None:
                    break
                try:
                    entries.append(msgspec.json.decode(text, type=dict[str, Any]))
                except msgspec.DecodeError:
                    log.warning("an entry of the journal can't be read and was left out", bytes=len(text))
                    continue
                until = until or clock() + GATHER_SECONDS
        return entries

    def line_of(self, entry: dict[str, Any]) -> Collected | None:
        """A line of an entry; None where it has no message or no time."""
        text = text_of(entry.get("MESSAGE"))
        time = time_of(entry)
        if text is None or time is None:
            return None
        unit = text_of(entry.get("_SYSTEMD_UNIT")) or text_of(entry.get("UNIT")) or ""
        name = unit.removesuffix(".service") or text_of(entry.get("SYSLOG_IDENTIFIER")) or "journal"
        name = name[:MOST_LABEL]
        metadata = {}
        priority = str(entry.get("PRIORITY", ""))
        if priority.isdigit() and int(priority) < len(LEVELS):
            metadata["level"] = LEVELS[int(priority)]
        for field, label in (("SYSLOG_IDENTIFIER", "identifier"), ("_PID", "pid"), ("_TRANSPORT", "transport")):
            if value := text_of(entry.get(field)):
                metadata[label] = value
        return Collected({"service_name": name, "host": self._host}, time, text, metadata)


async def read_entry(stream: asyncio.StreamReader) -> bytes | None:
    """The next line; one that is too long is left out, and that is told. None at the end."""
    left_out = 0
    while True:
        try:
            line = await stream.readuntil(b"\n")
        except asyncio.IncompleteReadError:
            return None
        except asyncio.LimitOverrunError as error:
            left_out += len(await stream.readexactly(error.consumed))
            continue
        if not left_out:
            return line
        log.warning("an entry of the journal is too long and was left out", bytes=left_out + len(line))
        left_out = 0


async def last_words(stream: asyncio.StreamReader) -> str:
    """The end of what is said there, at its end."""
    said = b""
    while piece := await stream.read(1 << 12):
        said = (said + piece)[-SAID:]
    return said.decode("utf-8", "replace").strip()


def time_of(entry: dict[str, Any]) -> int | None:
    """When journald took it, in nanoseconds."""
    time = str(entry.get("__REALTIME_TIMESTAMP", ""))
    return int(time) * 1000 if time.isdigit() else None


def text_of(value: Any) -> str | None:
    """A field as text: journalctl gives a list of bytes where it is not UTF-8, and of values where there are many."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        if all(isinstance(one, int) for one in value):
            return bytes(one & 0xFF for one in value).decode("utf-8", "backslashreplace")
        return "\n".join(text for one in value if (text := text_of(one)) is not None)
    return None
