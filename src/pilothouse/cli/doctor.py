"""`pilothouse doctor`: what would keep this machine's Pilothouse from working, and how to mend it."""

import asyncio
import glob  # an absolute pattern is what Path.glob refuses
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import typer

from pilothouse.cli import show
from pilothouse.cli.connection import Json

if TYPE_CHECKING:
    from pilothouse.settings import Settings

LOW_DISK = 2 << 30
"""Bytes: below this a busy machine fills the rest within the hour that it takes to notice."""


class Verdict(StrEnum):
    """How a check came out."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One check: what was looked at, what was found, and how to mend it."""

    check: str
    verdict: Verdict
    found: str
    mend: str = ""


def doctor(with_json: bool = Json) -> None:
    """Check settings, ports, rights and disk, and say how to mend what is wrong. Exit status 1 if anything fails."""
    findings = list(examine())
    if with_json:
        show.as_json([{"check": f.check, "verdict": f.verdict, "found": f.found, "mend": f.mend} for f in findings])
    else:
        for f in findings:
            typer.echo(f"{f.verdict:4}  {f.check}: {f.found}" + (f"\n      → {f.mend}" if f.mend else ""))
    if any(f.verdict is Verdict.FAIL for f in findings):
        raise typer.Exit(1)


def examine() -> Iterator[Finding]:
    """Every finding, in the order in which they matter; wrong settings end it, since all else hangs on them."""
    from pilothouse.settings import SettingsError, load  # noqa: PLC0415 - pydantic takes 150 ms

    try:
        settings = load()
    except SettingsError as error:
        yield Finding(check="settings", verdict=Verdict.FAIL, found=str(error), mend="docs/settings.md lists them")
        return
    yield Finding(check="settings", verdict=Verdict.OK, found=f"DATA_DIR {settings.data_dir.absolute()}")
    checks: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
        check_data_dir, check_disk, check_listen, check_docker, check_journal, check_files, check_pages,
    )  # fmt: skip
    for check in checks:
        yield from check(settings)


def check_data_dir(settings: "Settings") -> Iterator[Finding]:
    """DATA_DIR can be written, and nobody else reads it."""
    path = settings.data_dir.absolute()
    there = nearest(path)
    if not os.access(there, os.W_OK | os.X_OK):
        yield Finding(
            check="data directory",
            verdict=Verdict.FAIL,
            found=f"{there} can't be written by user {os.getuid()}",
            mend="give the directory to this user, or set PILOTHOUSE_DATA_DIR",
        )
    elif there == path and path.stat().st_mode & 0o077:
        yield Finding(
            check="data directory",
            verdict=Verdict.WARN,
            found=f"{path} can be entered by others",
            mend=f"chmod 700 {path} (the next start does it)",
        )
    else:
        yield Finding(check="data directory", verdict=Verdict.OK, found="writable, and private")


def nearest(path: Path) -> Path:
    """The path, or the closest above it that is there for this user."""
    return next(p for p in (path, *path.parents) if os.path.exists(p))  # noqa: PTH110 - Path's raises without rights


def check_disk(settings: "Settings") -> Iterator[Finding]:
    """There is room for what is to come."""
    usage = shutil.disk_usage(nearest(settings.data_dir.absolute()))
    low = usage.free < LOW_DISK
    yield Finding(
        check="disk",
        verdict=Verdict.WARN if low else Verdict.OK,
        found=f"{usage.free / (1 << 30):.1f} GiB free of {usage.total / (1 << 30):.1f}",
        mend="free some, shorten RETENTION, or set MAX_DISK" if low else "",
    )


def check_listen(settings: "Settings") -> Iterator[Finding]:
    """LISTEN is free, or Pilothouse itself is on it."""
    from pilothouse import supervisor  # noqa: PLC0415 - with the settings

    try:
        supervisor.check_listen(settings)
    except supervisor.StartError as error:
        if asyncio.run(supervisor.is_ready(settings)):
            yield Finding(check="port", verdict=Verdict.OK, found=f"a Pilothouse answers on {settings.listen}")
        else:
            yield Finding(
                check="port",
                verdict=Verdict.FAIL,
                found=str(error),
                mend=f"end what holds it (`ss -ltnp 'sport = :{settings.port}'` names it), or set PILOTHOUSE_LISTEN",
            )
        return
    yield Finding(check="port", verdict=Verdict.OK, found=f"{settings.listen} is free")
    if settings.host not in {"127.0.0.1", "::1", "localhost"} and not settings.public_url.startswith("https://"):
        yield Finding(
            check="transport",
            verdict=Verdict.WARN,
            found="passwords would cross the network in clear",
            mend="put TLS in front, and set PILOTHOUSE_PUBLIC_URL to its https:// address",
        )


def check_docker(settings: "Settings") -> Iterator[Finding]:
    """The Docker socket can be reached, with the rights it wants."""
    if not settings.docker:
        yield Finding(check="docker", verdict=Verdict.OK, found="not collected, by the setting DOCKER")
        return
    address = urlsplit(settings.docker_host or "unix:///var/run/docker.sock")
    where = settings.docker_host or "/var/run/docker.sock"
    try:
        if address.scheme == "unix":
            with socket.socket(socket.AF_UNIX) as probe:
                probe.settimeout(3)
                probe.connect(address.path)
        else:
            socket.create_connection((address.hostname, address.port or 2375), timeout=3).close()
    except FileNotFoundError:
        yield Finding(
            check="docker",
            verdict=Verdict.WARN,
            found=f"no socket at {where}: containers are not collected",
            mend="start Docker, set PILOTHOUSE_DOCKER_HOST, or PILOTHOUSE_DOCKER=false to be quiet about it",
        )
    except PermissionError:
        yield Finding(
            check="docker",
            verdict=Verdict.FAIL,
            found=f"user {os.getuid()} may not open {where}",
            mend="add the user to the group that owns the socket (often `docker`); that is as good as root",
        )
    except OSError as error:
        yield Finding(
            check="docker",
            verdict=Verdict.FAIL,
            found=f"{where}: {error}",
            mend="see that the daemon runs, and that PILOTHOUSE_DOCKER_HOST is right",
        )
    else:
        yield Finding(check="docker", verdict=Verdict.OK, found=f"{where} answers")


def check_journal(settings: "Settings") -> Iterator[Finding]:
    """Journald's reader is there, and may read more than this user's own lines."""
    if not settings.journal:
        yield Finding(check="journal", verdict=Verdict.OK, found="not collected, by the setting JOURNAL")
    elif shutil.which("journalctl") is None:
        yield Finding(check="journal", verdict=Verdict.OK, found="no journalctl here: nothing to collect")
    elif os.getuid() and not any(os.access(p, os.R_OK) for p in Path("/var/log/journal").glob("*/system.journal")):
        yield Finding(
            check="journal",
            verdict=Verdict.WARN,
            found="this user sees only its own part of the journal",
            mend="add the user to the group systemd-journal",
        )
    else:
        yield Finding(check="journal", verdict=Verdict.OK, found="readable")


def check_files(settings: "Settings") -> Iterator[Finding]:
    """Each glob of LOG_FILES finds something that can be read."""
    for entry in settings.log_files:
        pattern = entry.partition("=")[2] or entry
        found = [path for path in glob.glob(pattern, recursive=True) if Path(path).is_file()]  # noqa: PTH207
        refused = [path for path in found if not os.access(path, os.R_OK)]
        if refused:
            yield Finding(
                check="files",
                verdict=Verdict.FAIL,
                found=f"{refused[0]} can't be read by user {os.getuid()}",
                mend="give this user the right to read it, for instance by its group",
            )
        else:
            yield Finding(
                check="files",
                verdict=Verdict.OK if found else Verdict.WARN,
                found=f"{pattern}: {len(found)} files",
                mend="" if found else "nothing matches yet; files that appear are found within a second",
            )


def check_pages(settings: "Settings") -> Iterator[Finding]:
    """The pages were built into the package."""
    del settings
    built = (Path(__file__).parents[1] / "gateway/static/index.html").exists()
    yield Finding(
        check="pages",
        verdict=Verdict.OK if built else Verdict.FAIL,
        found="built" if built else "not built",
        mend="" if built else "run `make web` in a checkout, or install from a wheel",
    )
    yield Finding(check="python", verdict=Verdict.OK, found=sys.version.split()[0])
