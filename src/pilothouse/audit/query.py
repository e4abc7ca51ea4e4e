"""Reading the trail: filters, newest first, by pages."""

from dataclasses import dataclass

from sqlalchemy import Select, or_, select

from pilothouse.audit.entry import Entry
from pilothouse.core.errors import InvalidRequest
from pilothouse.state import State
from pilothouse.state.models import AuditEntry

MAX_LIMIT = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """What to look for; what is left out lets everything through.

    `actor` is a user's name or id, `action` one or `noun.*`; `since` ≤ at < `until` in nanoseconds; `text` occurs in
    the object, the details, the address, the action or the actor; the case of ASCII letters does not matter.
    """

    actor: str = ""
    action: str = ""
    object: str = ""
    outcome: str = ""
    since: int | None = None
    until: int | None = None
    text: str = ""

    def narrow(self, rows: Select[AuditEntry]) -> Select[AuditEntry]:
        """`rows` that these filters let through. Values are bound, and %, _ stand for themselves."""
        if self.actor:
            rows = rows.where(or_(AuditEntry.actor == self.actor, AuditEntry.actor_id == self.actor))
        if self.action.endswith(".*"):
            rows = rows.where(AuditEntry.action.startswith(self.action[:-1], autoescape=True))
        elif self.action:
            rows = rows.where(AuditEntry.action == self.action)
        if self.object:
            rows = rows.where(AuditEntry.object.contains(self.object, autoescape=True))
        if self.outcome:
            rows = rows.where(AuditEntry.outcome == self.outcome)
        if self.since is not None:
            rows = rows.where(AuditEntry.at >= self.since)
        if self.until is not None:
            rows = rows.where(AuditEntry.at < self.until)
        if self.text:
            columns = (AuditEntry.object, AuditEntry.details, AuditEntry.address, AuditEntry.actor, AuditEntry.action)
            rows = rows.where(or_(*(column.icontains(self.text, autoescape=True) for column in columns)))
        return rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Entries, newest first, with their hashes; `next_cursor` asks for those before them, None at the end."""

    entries: tuple[tuple[Entry, bytes], ...]
    next_cursor: str | None


async def read_page(state: State, filters: Filters, *, cursor: str | None, limit: int) -> Page:
    """Raises InvalidRequest where limit or cursor are not such as may be given."""
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequest(f"limit must be 1 to {MAX_LIMIT}; got {limit}", details={"field": "limit"})
    rows = filters.narrow(select(AuditEntry)).order_by(AuditEntry.id.desc()).limit(limit + 1)
    if cursor is not None:
        if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
            raise InvalidRequest(
                "cursor must be one that an earlier answer gave", code="INVALID_CURSOR", details={"field": "cursor"}
            )
        rows = rows.where(AuditEntry.id < int(cursor))
    async with state.read() as session:
        found = (await session.scalars(rows)).all()
    entries = tuple(
        (Entry(**{name: getattr(row, name) for name in Entry.__slots__}), row.hash) for row in found[:limit]
    )
    return Page(entries=entries, next_cursor=str(entries[-1][0].id) if len(found) > limit else None)
