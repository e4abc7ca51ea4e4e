"""Who is asking: by bearer, by HTTP basic where collectors know nothing else, by ticket for a browser's WebSocket."""

import base64
import binascii
import hmac
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from pilothouse.access import Grant, Permission, Principal, PrincipalKind
from pilothouse.core.errors import Forbidden, PilothouseError, Unauthenticated
from pilothouse.gateway.services import Services
from pilothouse.settings import Settings

BASIC_PATHS = ("/loki/", "/prometheus/", "/otlp/")
"""Where HTTP basic with an API key as password is taken: Promtail, Grafana and Prometheus speak it."""


class AuthenticationMiddleware:
    """Puts `principal`, or None and `principal_error`, into the scope's state. Says no to nobody itself.

    A WebSocket from another site's page is nobody's, whatever else it brings: the route's guard refuses it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] in {"http", "websocket"}:
            state = scope.setdefault("state", {})
            state["principal"] = None
            services: Services = scope["app"].state.services
            connection = HTTPConnection(scope)
            try:
                if scope["type"] == "websocket" and not is_own_origin(connection, services.settings):
                    raise Forbidden("this page is not Pilothouse's own", code="WRONG_ORIGIN")
                state["principal"] = await authenticate(connection, services)
            except PilothouseError as error:
                state["principal_error"] = error
        await self._app(scope, receive, send)


async def authenticate(connection: HTTPConnection, services: Services) -> Principal | None:
    """Who sent this; None where nobody says. Raises Unauthenticated where the proof does not hold."""
    scheme, _, value = connection.headers.get("authorization", "").partition(" ")
    value = value.strip()
    if scheme.lower() == "bearer" and value:
        return scraper(connection, value, services.settings) or await services.identity.authenticate_bearer(value)
    if scheme.lower() == "basic" and connection.url.path.startswith(BASIC_PATHS):
        return await services.identity.authenticate_bearer(basic_password(value))
    if scheme:
        raise Unauthenticated("this way to sign in is not known here; send a bearer token", code="UNKNOWN_SCHEME")
    ticket = connection.query_params.get("ticket")
    if connection.scope["type"] == "websocket" and ticket:
        return await services.identity.consume_ticket(ticket, connection.url.path)
    return None


def scraper(connection: HTTPConnection, token: str, settings: Settings) -> Principal | None:
    """Prometheus with METRICS_TOKEN, which opens /metrics and nothing else."""
    wanted = settings.metrics_token
    if wanted is None or connection.url.path != "/metrics":
        return None
    if not hmac.compare_digest(token.encode(), wanted.get_secret_value().encode()):
        return None
    grant = Grant(Permission.METRICS_READ.value)
    return Principal(kind=PrincipalKind.SCRAPE, id="scrape", username="scrape", session_id="scrape", grants=(grant,))


def basic_password(value: str) -> str:
    """The password of HTTP basic; the user name is free. Raises Unauthenticated."""
    try:
        _, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon = password = ""
    if not colon or not password.startswith("ph_"):
        raise Unauthenticated("HTTP basic wants an API key as its password", code="INVALID_API_KEY")
    return password


def is_own_origin(connection: HTTPConnection, settings: Settings) -> bool:
    """Whether a WebSocket comes from our own page, or from no page at all; compared exactly."""
    origin = connection.headers.get("origin")
    if origin is None:
        return True
    if settings.public_url:
        public = urlsplit(settings.public_url)
        return origin == f"{public.scheme}://{public.netloc}"
    scheme = "https" if connection.url.scheme in {"wss", "https"} else "http"
    return origin == f"{scheme}://{connection.headers.get('host', '')}"
