"""What a row of the URL table says, and the guard that every route gets from it."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fastapi import Request
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.websockets import WebSocket

from pilothouse.access import Permission, Principal, PrincipalKind, authorize
from pilothouse.audit import Action, Outcome
from pilothouse.core.errors import Forbidden, PilothouseError, Unauthenticated
from pilothouse.core.times import MINUTE, now_ns
from pilothouse.gateway.dependencies import address_of, principal_of, services_of
from pilothouse.gateway.ws.closing import refuse_socket

ANONYMOUS_DENIALS = 20
"""Entries a minute that an address which is not signed in can write into the audit trail; the rest is counted."""


class Needs(StrEnum):
    """What a route needs where it is not a permission."""

    OPEN = "open"
    LOGIN = "login"
    OWN = "own"


class Kind(StrEnum):
    """How a route is served."""

    REST = "rest"
    RAW = "raw"
    WEBSOCKET = "websocket"


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """One row: where, what it needs, who serves it.

    `action` is written into the audit trail for each call, before and after where the method changes something;
    None where the endpoint itself writes more precisely. `needs` OWN is LOGIN by a person: what is
    one's own, a key can't reach.
    """

    method: str
    path: str
    needs: Permission | Needs
    endpoint: Callable[..., Any]
    kind: Kind = Kind.REST
    action: Action | None = None
    status: int = 200
    tag: str = ""
    in_docs: bool = True
    responses: Mapping[int | str, dict[str, Any]] | None = None


class UndeclaredRoute(RuntimeError):
    """A route of the app that the table does not hold: the app does not start."""


class Denials:
    """Bounds what somebody without a login can write into the audit trail."""

    def __init__(self) -> None:
        self._minute = 0
        self._seen: Counter[str] = Counter()

    def admits(self, address: str) -> bool:
        """Whether to write this one."""
        minute = now_ns() // MINUTE
        if minute != self._minute:
            self._minute, self._seen = minute, Counter()
        self._seen[address] += 1
        return self._seen[address] <= ANONYMOUS_DENIALS


_denials = Denials()


async def admit(connection: HTTPConnection, route: Route) -> Principal | None:
    """Let the caller in by what `route` needs. Raises Unauthenticated or Forbidden, after writing it down."""
    if route.needs is Needs.OPEN:
        principal: Principal | None = connection.scope["state"].get("principal")
        return principal
    try:
        return judge(principal_of(connection), route)
    except (Unauthenticated, Forbidden) as error:
        await write_denial(connection, route, error)
        raise


def judge(principal: Principal, route: Route) -> Principal:
    """The principal, where it may use `route`. Raises Forbidden."""
    if route.needs is Needs.OWN and principal.kind is not PrincipalKind.USER:
        raise Forbidden("this is for a person who signed in, not for a key", code="LOGIN_NEEDED")
    return authorize(principal, route.needs) if isinstance(route.needs, Permission) else principal


async def write_denial(connection: HTTPConnection, route: Route, error: PilothouseError) -> None:
    """One entry for an access that was refused."""
    principal = connection.scope["state"].get("principal")
    address = address_of(connection)
    if principal is None and not _denials.admits(address):
        return
    await services_of(connection).audit.record(
        principal,
        Action.ACCESS_DENIED,
        object=connection.url.path,
        outcome=Outcome.DENIED,
        details={"method": route.method, "code": error.code},
        address=address,
        permission=route.needs if isinstance(route.needs, Permission) else None,
    )


async def served(request: Request, route: Route, serve: Callable[[Request], Awaitable[Response]]) -> Response:
    """Admit, write down, serve, write down how it came out. Nothing is sent before it is written."""
    principal = await admit(request, route)
    if route.action is None:
        return await serve(request)
    changes = route.method not in {"GET", "HEAD"} and request.method not in {"GET", "HEAD"}
    if changes:
        await _write(request, route, principal, Outcome.STARTED, {})
    try:
        response = await serve(request)
    except PilothouseError as error:
        outcome = Outcome.DENIED if isinstance(error, Forbidden | Unauthenticated) else Outcome.FAILED
        await _write(request, route, principal, outcome, {"code": error.code})
        raise
    except Exception:
        await _write(request, route, principal, Outcome.FAILED, {"code": "INTERNAL"})
        raise
    bad = {"status": response.status_code} if response.status_code >= 400 else {}
    await _write(request, route, principal, Outcome.FAILED if bad else Outcome.OK, bad)
    return response


async def _write(
    connection: HTTPConnection, route: Route, principal: Principal | None, outcome: Outcome, more: dict[str, Any]
) -> None:
    if route.action is None:
        return
    asked: dict[str, Any] = {}
    for name, value in connection.query_params.multi_items():
        if name != "ticket":
            asked[name] = f"{asked[name]}, {value}" if name in asked else value
    named = connection.scope["state"].get("audit_details", {})
    await services_of(connection).audit.record(
        principal,
        route.action,
        object=next(iter(connection.path_params.values()), "") or connection.url.path,
        outcome=outcome,
        details={**asked, **named, **more},
        address=address_of(connection),
        permission=route.needs if isinstance(route.needs, Permission) else None,
    )


def guarded_raw(route: Route) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint for `Kind.RAW`: a Starlette function behind the guard."""

    async def endpoint(request: Request) -> Response:
        request.scope["route"] = route
        return await served(request, route, route.endpoint)

    return endpoint


def guarded_socket(route: Route) -> Callable[[WebSocket], Awaitable[None]]:
    """A WebSocket endpoint behind the guard. Refusals are told by a close, which is all that a browser shows."""

    async def endpoint(socket: WebSocket) -> None:
        socket.scope["route"] = route
        try:
            principal = await admit(socket, route)
        except PilothouseError as error:
            await refuse_socket(socket, error)
            return
        await _write(socket, route, principal, Outcome.OK, {})
        await route.endpoint(socket)

    return endpoint
