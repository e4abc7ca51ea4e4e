"""The audit trail, for those who may read it."""

import json
from typing import Annotated, Any

from fastapi import Query

from pilothouse.access import Permission
from pilothouse.audit import Action, Entry, Filters, Outcome, VerifyReport
from pilothouse.core.errors import InvalidRequest
from pilothouse.core.times import parse_instant
from pilothouse.gateway.api.v1.bodies import Answer, Instant
from pilothouse.gateway.api.v1.caller import CallerDep

AUDIT_READ = Permission.AUDIT_READ
Text = Annotated[str, Query(max_length=500)]


class EntryAnswer(Answer):
    """One entry of the trail; `hash` is its link of the chain, in hex."""

    id: int
    at: Instant
    kind: str
    actor: str
    actor_id: str
    session: str
    address: str
    action: str
    permission: str
    object: str
    outcome: str
    details: dict[str, Any]
    hash: str

    @classmethod
    def of(cls, entry: Entry, hash_: bytes) -> "EntryAnswer":
        """The wire shape of an entry."""
        fields = {name: getattr(entry, name) for name in Entry.__slots__}
        return cls(**fields | {"details": json.loads(entry.details), "hash": hash_.hex()})


class AuditAnswer(Answer):
    """A page of the trail, newest first; `next_cursor` asks for the page before it."""

    entries: list[EntryAnswer]
    has_more: bool
    next_cursor: str | None


class VerifyAnswer(Answer):
    """`entries` fit; `first_bad` is the number of the first that does not, `reason` says why."""

    ok: bool
    entries: int
    head: str
    first_bad: int | None
    reason: str

    @classmethod
    def of(cls, report: VerifyReport) -> "VerifyAnswer":
        """The wire shape of a report."""
        return cls(
            ok=report.ok,
            entries=report.entries,
            head=report.head,
            first_bad=report.first_bad,
            reason=report.reason,
        )


class StatusAnswer(VerifyAnswer):
    """The chain's state; `verified_at` is when it was checked last, up to its present end.

    The check goes on where the one before it ended; POST /api/v1/audit/verify reads the whole again.
    """

    verified_at: Instant
    actions: list[Action]


async def list_entries(
    caller: CallerDep,
    *,
    actor: Text = "",
    action: Annotated[str, Query(max_length=64, description="an action, or `noun.*`")] = "",
    object: Text = "",  # noqa: A002 - the trail's own word
    outcome: Outcome | None = None,
    since: Annotated[str | None, Query(alias="from", description="RFC 3339 or nanoseconds")] = None,
    until: Annotated[str | None, Query(alias="to", description="RFC 3339 or nanoseconds")] = None,
    q: Annotated[str, Query(max_length=500, description="occurs in actor, action, object, address or details")] = "",
    cursor: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> AuditAnswer:
    """Entries that fit all filters, newest first."""
    begin = None if since is None else parse_instant(since, field="from")
    end = None if until is None else parse_instant(until, field="to")
    if begin is not None and end is not None and end < begin:
        raise InvalidRequest("to must not be before from", code="INVALID_RANGE", details={"field": "to"})
    filters = Filters(
        actor=actor,
        action=action,
        object=object,
        outcome=outcome.value if outcome is not None else "",
        since=begin,
        until=end,
        text=q,
    )
    page = await caller.audit.query(filters, cursor=cursor, limit=limit)
    asked = {
        name: value
        for name, value in {"actor": actor, "action": action, "object": object, "outcome": outcome, "from": since,
                            "to": until, "q": q, "cursor": cursor}.items()
        if value
    }  # fmt: skip
    await caller.record(Action.AUDIT_READ, details=asked, permission=AUDIT_READ)
    return AuditAnswer(
        entries=[EntryAnswer.of(entry, hash_) for entry, hash_ in page.entries],
        has_more=page.next_cursor is not None,
        next_cursor=page.next_cursor,
    )


async def get_status(caller: CallerDep) -> StatusAnswer:
    """The state of the chain, checked up to its present end."""
    await caller.record(Action.AUDIT_STATUS, permission=AUDIT_READ)
    checked = await caller.audit.check()
    return StatusAnswer(**dict(VerifyAnswer.of(checked.report)), verified_at=checked.at, actions=list(Action))


async def verify(caller: CallerDep) -> VerifyAnswer:
    """Check the whole chain from its first entry; takes about 20 s for a million."""
    async with caller.acting(Action.AUDIT_VERIFY, permission=AUDIT_READ) as act:
        report = await caller.audit.verify()
        act.details |= {"ok": report.ok, "entries": report.entries, "first_bad": report.first_bad}
    return VerifyAnswer.of(report)
