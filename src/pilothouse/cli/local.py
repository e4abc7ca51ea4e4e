"""The Pilothouse of this machine, reached by its owner: whoever can read DATA_DIR."""

import os
import pwd
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from pilothouse.audit import Action, AuditLog
from pilothouse.cli.connection import CommandError
from pilothouse.core.errors import NotFound
from pilothouse.identity.api_keys import ApiKeys
from pilothouse.identity.principals import Principals
from pilothouse.settings import Settings, SettingsError, load
from pilothouse.state import State, open_state
from pilothouse.state.engine import database_url

KEY_SECONDS = 24 * 3600
"""Longer than anybody follows a log; the key is revoked when the command ends, and its secret ends with it."""


@asynccontextmanager
async def borrowed_key() -> AsyncIterator[tuple[str, str]]:
    """Address and API key of this machine's Pilothouse, for as long as the command runs. Raises CommandError."""
    async with _opened() as (settings, state):
        keys, audit, person = ApiKeys(state, Principals(state)), AuditLog(state, settings), f"local:{_person()}"
        key_id, key = await keys.lend(person, seconds=KEY_SECONDS)
        await audit.record(None, Action.API_KEY_CREATE, object=key_id, actor=person, details={"lent": True})
        try:
            yield settings.model_copy(update={"public_url": ""}).base_url, key
        finally:
            with suppress(NotFound):
                await keys.revoke(None, key_id)
            await audit.record(None, Action.API_KEY_REVOKE, object=key_id, actor=person)
            await audit.close()


async def verify_audit(advance: Callable[[int, int], None]) -> dict[str, Any]:
    """What the check of the whole chain found. Raises CommandError where it can't be checked."""
    async with _opened() as (settings, state):
        if not (settings.key_dir / "audit.key").exists():
            raise CommandError(f"{settings.key_dir / 'audit.key'} is not there: without it no seal can be checked")
        report = await AuditLog(state, settings).verify(advance)
    return {
        "ok": report.ok,
        "entries": report.entries,
        "head": report.head,
        "first_bad": report.first_bad,
        "reason": report.reason,
    }


@asynccontextmanager
async def _opened() -> AsyncIterator[tuple[Settings, State]]:
    settings, state = _connect()
    try:
        yield settings, state
    except SettingsError as error:
        raise CommandError(str(error)) from error
    finally:
        await state.close()


def _connect() -> tuple[Settings, State]:
    try:
        settings = load()
        url = database_url(settings)
        # Opening it would make an empty one.
        if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
            raise CommandError(
                f"there is no Pilothouse in {settings.data_dir.absolute()}; start one, set PILOTHOUSE_DATA_DIR, "
                "or name a remote one by --url"
            )
        return settings, open_state(settings)
    except (SettingsError, PermissionError) as error:
        raise CommandError(str(error)) from error


def _person() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
