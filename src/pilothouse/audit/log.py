"""The audit trail: writing, in groups, to the one chain that all processes share."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from pilothouse.access import Permission, Principal
from pilothouse.audit.actions import Action, Outcome
from pilothouse.audit.anchor import Anchor, Place
from pilothouse.audit.chain import GENESIS, Seals, chain_hash, load_key
from pilothouse.audit.entry import Entry, canonical_details, clean_text
from pilothouse.audit.query import Filters, Page, read_page
from pilothouse.audit.verify import Advance, Status, VerifyReport, read_status, verify_chain
from pilothouse.core.times import now_ns
from pilothouse.settings import Settings
from pilothouse.state import Lock, State
from pilothouse.state.models import AuditEntry, AuditHead

GROUP = 500
"""Entries of one transaction: enough to outrun any load of requests, few enough to hold the lock for moments."""
NOBODY = "anonymous"


@dataclass(slots=True)
class _Waiting:
    entry: Entry
    done: asyncio.Future[int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Checked:
    """What `check` found, and when (ns)."""

    report: VerifyReport
    at: int


class AuditLog:
    """One for each process. `record` may be called from any number of tasks; `close` writes what still waits."""

    def __init__(self, state: State, settings: Settings) -> None:
        self._state = state
        self._seals = Seals(load_key(settings.key_dir / "audit.key"))
        self._anchor = Anchor(settings.key_dir / "audit.head", self._seals)
        self._waiting: list[_Waiting] = []
        self._writer: asyncio.Task[None] | None = None
        self._checked: Checked | None = None
        self._checking = asyncio.Lock()

    @property
    def waiting(self) -> int:
        """Entries that are not committed yet."""
        return len(self._waiting)

    async def record(
        self,
        principal: Principal | None,
        action: Action,
        *,
        object: str = "",  # noqa: A002 - the trail's own word
        outcome: Outcome = Outcome.OK,
        details: Mapping[str, Any] | None = None,
        address: str = "",
        permission: Permission | None = None,
        actor: str = "",
    ) -> int:
        """Write one entry; returns its id once it is committed. Raises Unavailable where it can't be.

        All entries that wait are committed together. `actor` names somebody who is not signed in, as they said
        they are called; `details` is masked.
        """
        entry = Entry(
            id=0,
            at=now_ns(),
            kind=principal.kind.value if principal else "none",
            actor=clean_text(principal.username if principal else actor or NOBODY, 200),
            actor_id=principal.id if principal else "",
            session=principal.session_id if principal else "",
            address=clean_text(address, 64),
            action=action.value,
            permission=permission.value if permission else "",
            object=clean_text(object),
            outcome=outcome.value,
            details=canonical_details(details or {}),
        )
        waiting = _Waiting(entry, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_all())
        return await waiting.done

    async def _write_all(self) -> None:
        while self._waiting:
            group, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
            try:
                first = await self._append([one.entry for one in group])
            except Exception as error:  # noqa: BLE001 - each of those who wait is told
                for one in group:
                    if not one.done.done():
                        one.done.set_exception(error)
                continue
            for number, one in enumerate(group):
                if not one.done.done():
                    one.done.set_result(first + number)

    async def _append(self, entries: list[Entry]) -> int:
        async with self._state.write(Lock.AUDIT) as session:
            head = (await session.execute(select(AuditHead))).scalar_one_or_none()
            last_id, last_hash = (head.last_id, head.hash) if head else (0, GENESIS)
            first, rows = last_id + 1, []
            for entry in entries:
                last_id += 1
                numbered = replace(entry, id=last_id)
                last_hash = chain_hash(numbered, last_hash)
                rows.append(
                    {name: getattr(numbered, name) for name in Entry.__slots__}
                    | {"hash": last_hash, "seal": self._seals.entry(last_hash)}
                )
            await session.execute(insert(AuditEntry), rows)
            await self._set_head(session, last_id, last_hash, exists=head is not None)
        self._anchor.note(last_id, last_hash)
        return first

    async def _set_head(self, session: AsyncSession, last_id: int, hash_: bytes, *, exists: bool) -> None:
        values = {"last_id": last_id, "hash": hash_, "seal": self._seals.head(last_id, hash_)}
        await session.execute(update(AuditHead).values(values) if exists else insert(AuditHead).values(one=1, **values))

    async def query(self, filters: Filters, *, cursor: str | None = None, limit: int = 100) -> Page:
        """The newest entries that `filters` let through, before `cursor`. Raises InvalidRequest."""
        return await read_page(self._state, filters, cursor=cursor, limit=limit)

    async def verify(self, advance: Advance | None = None) -> VerifyReport:
        """Check the whole chain and name the first entry that does not fit. Takes about 10 s a million entries."""
        return await verify_chain(self._state, self._seals, self._anchor, advance)

    async def check(self) -> Checked:
        """Check what was added since the last time, in this process, and remember how far the chain was seen to fit.

        The first time this is the whole chain. Once a fault was found the whole is read again.
        """
        async with self._checking:
            last = self._checked
            since = Place(id=last.report.entries, hash=bytes.fromhex(last.report.head)) if last else None
            report = await verify_chain(self._state, self._seals, self._anchor, since=since)
            checked = Checked(report=report, at=now_ns())
            self._checked = checked if report.ok else None
            return checked

    async def status(self) -> Status:
        """Where the chain ends, and whether the seal of its head holds; the entries are counted, not read."""
        return await read_status(self._state, self._seals, self._anchor)

    async def close(self) -> None:
        """Write what waits. Records that come later are still taken."""
        if self._writer is not None:
            await self._writer
        self._anchor.flush()
