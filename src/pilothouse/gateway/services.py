"""What the endpoints of one gateway process share."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from pilothouse.audit import AuditLog
from pilothouse.backends.loki import LokiClient
from pilothouse.gateway.ws.connections import ConnectionManager
from pilothouse.gateway.ws.tails import Tails
from pilothouse.identity import Identity
from pilothouse.settings import Settings
from pilothouse.state import State, open_state


@dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    """Built when the gateway starts, at `request.app.state.services`."""

    settings: Settings
    state: State
    identity: Identity
    audit: AuditLog
    loki: LokiClient
    connections: ConnectionManager
    tails: Tails


@contextlib.asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Connect to what stands behind, and let go of it at the end. The database is up to date by then."""
    state = open_state(settings)
    identity = Identity(state, settings)
    audit = AuditLog(state, settings)
    loki = LokiClient(settings.loki)
    connections = ConnectionManager(identity)
    tails = Tails(loki)
    connections.start()
    try:
        yield Services(
            settings=settings,
            state=state,
            identity=identity,
            audit=audit,
            loki=loki,
            connections=connections,
            tails=tails,
        )
    finally:
        await connections.close()
        await tails.close()
        await loki.close()
        await audit.close()
        identity.close()
        await state.close()
