"""WebSocket tickets: a browser can't send a header with a WebSocket, so it sends one of these in the URL."""

import hmac

from sqlalchemy import delete

from pilothouse.access import Principal, PrincipalKind
from pilothouse.core.errors import InvalidRequest, Unauthenticated
from pilothouse.core.times import SECOND, now_ns
from pilothouse.identity.opaque import hash_secret, new_secret
from pilothouse.identity.principals import Principals
from pilothouse.state import Lock, State
from pilothouse.state.models import Ticket

LIFETIME = 30
"""Seconds."""
MAX_PATH = 1_000
PREFIX = "pht_"


class Tickets:
    """Issues tickets and takes them back, in any process of the same database."""

    def __init__(self, state: State, principals: Principals) -> None:
        self._state = state
        self._principals = principals

    async def issue(self, principal: Principal, path: str) -> str:
        """A ticket for one WebSocket at exactly `path`, without its query. Raises InvalidRequest."""
        if not path.startswith("/") or len(path) > MAX_PATH or "?" in path or "\0" in path:
            raise InvalidRequest(
                f"path must be that of a WebSocket, without a query, of up to {MAX_PATH} characters",
                details={"field": "path"},
            )
        ticket, now = new_secret(PREFIX), now_ns()
        async with self._state.write(Lock.SIGN_IN) as session:
            await session.execute(delete(Ticket).where(Ticket.expires_at <= now))
            session.add(
                Ticket(
                    ticket_hash=hash_secret(ticket),
                    kind=principal.kind.value,
                    session_id=principal.session_id,
                    path=path,
                    expires_at=now + LIFETIME * SECOND,
                )
            )
        return ticket

    async def consume(self, ticket: str, path: str) -> Principal:
        """Whom it was issued to, with what they hold now. It is used up, even by the wrong path.

        Raises Unauthenticated.
        """
        async with self._state.write(Lock.SIGN_IN) as session:
            row = (
                await session.execute(
                    delete(Ticket)
                    .where(Ticket.ticket_hash == hash_secret(ticket))
                    .returning(Ticket.kind, Ticket.session_id, Ticket.path, Ticket.expires_at)
                )
            ).one_or_none()
        if row is not None:
            kind, session_id, bound_to, expires_at = row
            if expires_at > now_ns() and hmac.compare_digest(bound_to.encode(), path.encode("utf-8", "replace")):
                principal = await self._principals.now(PrincipalKind(kind), session_id)
                if principal is not None:
                    return principal
        raise Unauthenticated("the ticket is used, expired, or for another path", code="INVALID_TICKET")
