"""What an endpoint asks of its request."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from pilothouse.access import Principal
from pilothouse.core.errors import Unauthenticated
from pilothouse.gateway.services import Services


def services_of(connection: HTTPConnection) -> Services:
    """The gateway's services."""
    services: Services = connection.app.state.services
    return services


def principal_of(connection: HTTPConnection) -> Principal:
    """Who is asking. Raises Unauthenticated with the reason that authentication found."""
    state = connection.scope["state"]
    principal: Principal | None = state.get("principal")
    if principal is None:
        raise state.get("principal_error") or Unauthenticated("sign in first")
    return principal


def address_of(connection: HTTPConnection) -> str:
    """The network address that asks, for the audit trail and for throttling."""
    return connection.client.host if connection.client else ""


ServicesOf = Annotated[Services, Depends(services_of)]
PrincipalOf = Annotated[Principal, Depends(principal_of)]
AddressOf = Annotated[str, Depends(address_of)]
