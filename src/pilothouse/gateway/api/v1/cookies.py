"""The browser's refresh token: one cookie, and the proof that our own page sent it.

SameSite=Strict keeps other sites from sending it; the header and the Origin, which is compared exactly, hold where a
browser does not know SameSite, and against other ports and subdomains of this host, which count as the same site.
"""

import ipaddress

from fastapi import Request, Response

from pilothouse.core.errors import Forbidden
from pilothouse.core.times import SECOND, now_ns
from pilothouse.gateway.middleware.authentication import is_own_origin
from pilothouse.identity import Login
from pilothouse.settings import Settings

COOKIE = "ph_refresh"
PATH = "/api/v1/auth"
HEADER = "x-pilothouse"


def set_cookie(request: Request, response: Response, settings: Settings, login: Login) -> None:
    """Hand the refresh token to the browser, out of reach of scripts."""
    response.set_cookie(
        COOKIE,
        login.refresh_token,
        max_age=(login.refresh_expires_at - now_ns()) // SECOND,
        path=PATH,
        secure=is_secure(request, settings),
        httponly=True,
        samesite="strict",
    )


def clear_cookie(request: Request, response: Response, settings: Settings) -> None:
    """Take it back."""
    response.delete_cookie(COOKIE, path=PATH, secure=is_secure(request, settings), httponly=True, samesite="strict")


def is_secure(request: Request, settings: Settings) -> bool:
    """Whether the browser keeps a Secure cookie: under TLS, and on this machine itself.

    A plain http:// address of another machine can have no Secure cookie, nor any secret: docs/security.md.
    """
    if settings.public_url.startswith("https://") or request.url.scheme == "https":
        return True
    host = request.url.hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_page(request: Request, settings: Settings, *, by_cookie: bool) -> None:
    """Raises Forbidden where a browser sent this for another site's page.

    What a cookie proves needs our header and an Origin; what else signs in or out needs none, but not a wrong one.
    """
    origin = request.headers.get("origin")
    if origin is not None and not is_own_origin(request, settings):
        raise Forbidden("this page is not Pilothouse's own", code="WRONG_ORIGIN", details={"origin": origin[:200]})
    if by_cookie and (origin is None or request.headers.get(HEADER) != "1"):
        raise Forbidden("a request by cookie needs an Origin and the header X-Pilothouse: 1", code="CSRF")
