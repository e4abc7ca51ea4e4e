"""One process of Pilothouse, run in this interpreter until it is told to stop."""

import asyncio
import ctypes
import importlib
import os
import signal
import sys

from pilothouse import settings as settings_module
from pilothouse.core.errors import PilothouseError

NAMES = ("store", "gateway", "worker")
PARENT_VARIABLE = "_PILOTHOUSE_SUPERVISOR"
PR_SET_PDEATHSIG = 1


def run(name: str) -> None:
    """Run process `name` until SIGTERM or SIGINT. Exits with status 1, and one line on stderr, if it can't start."""
    leave_with_parent()
    try:
        settings = settings_module.load()
        importlib.import_module(f"pilothouse.{name}.main").run(settings)
    except (settings_module.SettingsError, PilothouseError, OSError) as error:
        sys.stderr.write(f"pilothouse {name}: {error}\n")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def init() -> None:
    """Bring the database up to date; print the one-time set-up link if nobody can sign in yet."""
    leave_with_parent()
    try:
        if link := asyncio.run(_prepare()):
            sys.stdout.write(link + "\n")
    except (settings_module.SettingsError, PilothouseError, OSError) as error:
        sys.stderr.write(f"pilothouse: {error}\n")
        raise SystemExit(1) from None


async def _prepare() -> str:
    from pilothouse.audit import Action, AuditLog  # noqa: PLC0415 - bring in the database
    from pilothouse.identity.setup import prepare  # noqa: PLC0415
    from pilothouse.state import open_state  # noqa: PLC0415

    settings = settings_module.load()
    prepared = await prepare(settings)
    state = open_state(settings)
    try:
        audit = AuditLog(state, settings)
        await audit.record(
            None,
            Action.SYSTEM_START,
            actor="system",
            details={"link_made": bool(prepared.link), "took_admin_password": prepared.took_admin_password},
        )
        await audit.close()
    finally:
        await state.close()
    return prepared.link


def is_supervised() -> bool:
    """Whether `pilothouse serve` started this process, and prepared the state before."""
    return PARENT_VARIABLE in os.environ


def leave_with_parent() -> None:
    """Ask the kernel for SIGTERM when the supervisor goes, so that its kill -9 leaves nothing behind (Linux)."""
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        raise SystemExit(0)
