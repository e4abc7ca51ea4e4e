"""Whether the chain is whole; and if not, which entry is the first that does not fit."""

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import func, select

from pilothouse.audit.anchor import Anchor, Place
from pilothouse.audit.chain import GENESIS, Seals, chain_hash
from pilothouse.audit.entry import Entry
from pilothouse.state import State
from pilothouse.state.models import AuditEntry, AuditHead

CHUNK = 2_000
Advance = Callable[[int, int], None]
"""Told how many entries are done, of how many."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VerifyReport:
    """`entries` were checked and fit. `first_bad` is the id of the first that does not, `reason` says why."""

    ok: bool
    entries: int
    head: str
    first_bad: int | None = None
    reason: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Status:
    """Where the chain ends: the last id, its hash in hex, its time in nanoseconds, and whether the seal holds."""

    entries: int
    head: str
    last_at: int | None
    ok: bool
    reason: str


async def verify_chain(
    state: State, seals: Seals, anchor: Anchor, advance: Advance | None = None, *, since: Place | None = None
) -> VerifyReport:
    """Walk the chain from its first entry, or from one that was checked before, to its sealed head.

    It all is read from one snapshot of the database.
    """
    place = anchor.read()
    async with state.read() as session:
        head = (await session.execute(select(AuditHead))).scalar_one_or_none()
        total = head.last_id if head else 0
        previous, count = (since.hash, since.id) if since is not None else (GENESIS, 0)
        while True:
            chunk = (
                await session.scalars(
                    select(AuditEntry).where(AuditEntry.id > count).order_by(AuditEntry.id).limit(CHUNK)
                )
            ).all()
            for row in chunk:
                if row.id != count + 1:
                    return _bad(count, previous, "it was deleted: the next entry there is has number " + str(row.id))
                expected = chain_hash(_entry(row), previous)
                if not hmac.compare_digest(expected, row.hash):
                    return _bad(count, previous, "its contents, or its place, are not those that were recorded")
                if not hmac.compare_digest(seals.entry(expected), row.seal):
                    return _bad(count, previous, "its seal is not ours: it was written by something else")
                previous, count = expected, row.id
                if place is not None and place.id == count and place.hash != previous:
                    return _bad(count - 1, previous, "another entry was recorded in its place")
            session.expunge_all()
            if advance is not None:
                advance(count, max(total, count))
            if len(chunk) < CHUNK:
                break
    reason = _end_fault(head, seals, count, previous)
    if not reason and place is not None and place.id > count:
        reason = f"entries up to number {place.id} were deleted from the end, or the database is an older copy"
    return _bad(count, previous, reason) if reason else VerifyReport(ok=True, entries=count, head=previous.hex())


def _end_fault(head: AuditHead | None, seals: Seals, count: int, hash_: bytes) -> str:
    if head is None:
        return "" if count == 0 else "the chain's head was deleted"
    if not hmac.compare_digest(seals.head(head.last_id, head.hash), head.seal):
        return "the chain's head was changed: its seal is not ours"
    if head.last_id > count:
        return f"entries up to number {head.last_id} were deleted from the end"
    if head.last_id < count or head.hash != hash_:
        return "the chain's head does not belong to the entry before it"
    return ""


async def read_status(state: State, seals: Seals, anchor: Anchor) -> Status:
    """Check the head against its seal, the entry it names and the place kept outside; count the entries."""
    place = anchor.read()
    async with state.read() as session:
        head = (await session.execute(select(AuditHead))).scalar_one_or_none()
        last = (await session.execute(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1))).scalar_one_or_none()
        count = (await session.execute(select(func.count()).select_from(AuditEntry))).scalar_one()
    hash_ = last.hash if last else GENESIS
    last_id = last.id if last else 0
    reason = _end_fault(head, seals, last_id, hash_)
    if not reason and count != last_id:
        reason = f"{last_id - count} entries are missing"
    if not reason and place is not None and place.id > last_id:
        reason = f"entries up to number {place.id} were deleted from the end, or the database is an older copy"
    return Status(entries=count, head=hash_.hex(), last_at=last.at if last else None, ok=not reason, reason=reason)


def _bad(count: int, hash_: bytes, reason: str) -> VerifyReport:
    return VerifyReport(ok=False, entries=count, head=hash_.hex(), first_bad=count + 1, reason=reason)


def _entry(row: AuditEntry) -> Entry:
    return Entry(**{name: getattr(row, name) for name in Entry.__slots__})
