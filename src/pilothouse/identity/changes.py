"""How processes learn that somebody's rights have changed: a counter in the database, polled."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from pilothouse.core.errors import Unavailable
from pilothouse.state import State
from pilothouse.state.models import Version

ACCESS = "access"
POLL = 0.5
"""Seconds. A socket closes within 2 s of a revocation: this, the look-up, and the close itself."""
AT_LEAST_EVERY = 15.0
"""Seconds: what ends by the clock alone, as an API key's expiry does, moves no counter."""


async def announce_change(session: AsyncSession) -> None:
    """Count a change of rights, in the transaction that makes it, as its last step."""
    await session.execute(update(Version).where(Version.name == ACCESS).values(number=Version.number + 1))


async def watch_changes(state: State) -> AsyncIterator[int]:
    """Yields the counter whenever rights may have changed, in any process, and at least every 15 s. Never ends.

    While the database is away nothing is yielded.
    """
    seen: int | None = None
    told_at = time.monotonic()
    while True:
        with contextlib.suppress(Unavailable):
            async with state.read() as session:
                number = (await session.execute(select(Version.number).where(Version.name == ACCESS))).scalar_one()
            now = time.monotonic()
            if seen is None:
                seen = number
            elif number != seen or now - told_at >= AT_LEAST_EVERY:
                seen, told_at = number, now
                yield number
        await asyncio.sleep(POLL)
