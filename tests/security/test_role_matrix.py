"""Each route of the table, tried by everybody. Nothing here names a route: one that is added is tried too."""

import re
import time
from datetime import UTC, datetime, timedelta

import pytest
from joserfc import jwt

from pilothouse.access import Permission
from pilothouse.gateway.app import build
from pilothouse.gateway.routes import ROUTES
from pilothouse.gateway.table import Kind, Needs, Route, UndeclaredRoute
from pilothouse.identity.signing import load_keys
from pilothouse.settings import Settings

READS = {"logs:read", "metrics:read", "containers:read", "alerts:read"}
SCOPED = tuple(f'{name}{{project="shop"}}' for name in sorted(READS))
MAY = {
    "viewer": {"dashboards:read"},
    "developer": READS | {"dashboards:read"},
    "scoped developer": READS,
    "admin": {permission.value for permission in Permission},
    "api key": {"logs:read", "dashboards:read"},
}
"""What each may, written out by hand: the code under test has no part in it."""
UNKNOWN = {"nobody", "expired", "revoked", "expired api key", "revoked api key"}
EVERYBODY = (*MAY, *sorted(UNKNOWN))


@pytest.fixture(scope="session")
def tokens():
    """Filled by the first test that needs them, since making them takes logins."""
    return {}


@pytest.fixture
async def credentials(house, tokens):
    """A token for each; the viewer's and so on are real logins of real users."""
    if tokens:
        return tokens
    for name, given in (
        ("viewer", {"roles": ("viewer",)}),
        ("developer", {"roles": ("developer",)}),
        ("scoped developer", {"permissions": SCOPED}),
        ("admin", {"roles": ("admin",)}),
    ):
        tokens[name] = (await house.user(**given))["access_token"]
    tokens["nobody"] = ""
    tokens["api key"] = await key(house, permissions=["logs:read", "dashboards:read"])
    tokens["expired api key"] = await key(house, expires_at=(datetime.now(UTC) + timedelta(seconds=1)).isoformat())
    gone = await house.call("POST", "/api/v1/auth/api-keys", token=house.admin, json={"name": "gone"})
    await house.call("DELETE", f"/api/v1/auth/api-keys/{gone.body['id']}", token=house.admin)
    tokens["revoked api key"] = gone.body["key"]
    revoked = await house.user(roles=("admin",))
    assert (await house.call("POST", "/api/v1/auth/logout", token=revoked["access_token"])).status == 204
    tokens["revoked"] = revoked["access_token"]
    live = await house.user(roles=("admin",))
    tokens["expired"] = aged(house, live["access_token"])
    time.sleep(1.1)  # the API key's expiry
    return tokens


async def key(house, **body):
    made = await house.call("POST", "/api/v1/auth/api-keys", token=house.admin, json={"name": "matrix"} | body)
    assert made.status == 201, made
    return made.body["key"]


def aged(house, token):
    """The same token, with the same true signature, as it will be once it has expired."""
    signing = next(iter(load_keys(house.settings.key_dir / "jwt.json").values()))
    claims = jwt.decode(token, signing, algorithms=["Ed25519"]).claims
    return jwt.encode(
        {"alg": "Ed25519", "kid": signing.thumbprint(), "typ": "at+jwt"},
        claims | {"iat": claims["iat"] - 1000, "exp": int(time.time()) - 60},
        signing,
        algorithms=["Ed25519"],
    )


def filled(route):
    """The path with something in its parameters that does not exist."""
    return re.sub(r"\{[^}]*\}", "none", route.path)


def name_of(route):
    return f"{route.method} {route.path}" if route.kind is not Kind.WEBSOCKET else f"WS {route.path}"


async def status(house, route, token):
    """401, 403, or None where the guard lets them in, whatever comes then."""
    if route.kind is Kind.WEBSOCKET:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return {4001: 401, 4003: 403}.get(code := await house.refused_socket(filled(route), headers=headers), code)
    answer = await house.call(route.method, filled(route), token=token, json=None if route.method == "GET" else {})
    return answer.status if answer.status in {401, 403} else None


@pytest.mark.parametrize("who", EVERYBODY)
@pytest.mark.parametrize("route", [r for r in ROUTES if r.needs is not Needs.OPEN], ids=name_of)
async def test_a_route_lets_in_who_holds_its_permission_and_nobody_else(house, credentials, route, who):
    """401 for those who are not known, 403 for those who may not, and neither for those who may."""
    if who in UNKNOWN:
        expected = 401
    elif isinstance(route.needs, Permission):
        expected = None if route.needs.value in MAY[who] else 403
    elif route.needs is Needs.OWN and who == "api key":
        expected = 403
    else:
        expected = None
    assert await status(house, route, credentials[who]) == expected


OPEN = {
    "GET /health", "GET /ready", "GET /api/v1/setup", "POST /api/v1/setup", "POST /api/v1/auth/login",
    "POST /api/v1/auth/refresh", "POST /api/v1/auth/logout", "GET /api/v1/openapi.json", "GET /api/docs",
}  # fmt: skip
"""What needs nobody, by name: one that is added is a decision."""


def test_what_is_open_is_so_by_decision():
    """No route is open that is not on the list above."""
    assert {name_of(route) for route in ROUTES if route.needs is Needs.OPEN} <= OPEN


@pytest.mark.parametrize("route", [r for r in ROUTES if r.needs is Needs.OPEN and "logout" not in r.path], ids=name_of)
async def test_what_is_open_is_open_alike(house, credentials, route):
    """A credential, good or bad, changes nothing of it."""
    answers = {
        (await house.call(route.method, filled(route), token=token, json=None if route.method == "GET" else {})).status
        for token in credentials.values()
    }
    assert len(answers) == 1


@pytest.mark.parametrize("needs", [None, "", "logs:read "])
def test_a_route_without_a_need_does_not_start(needs):
    """The app is not built at all."""

    async def endpoint() -> None: ...

    with pytest.raises((UndeclaredRoute, ValueError, TypeError)):
        build(Settings(), (Route(method="GET", path="/x", needs=needs, endpoint=endpoint),))


@pytest.mark.parametrize("path", ["/api/v1/nothing", "/api/v1/users/", "/api/v1//users", "/ws/nothing"])
async def test_beside_the_table_there_is_nothing(house, path):
    """A path that only looks like one of a route gets nobody anywhere."""
    for token in ("", house.admin):
        assert (await house.call("GET", path, token=token)).status == 404


@pytest.mark.parametrize("method", ["PUT", "TRACE", "OPTIONS", "PROPFIND", "POST"])
async def test_another_method_is_not_a_way_around(house, method):
    """405, or 401 before it: never an answer."""
    answer = await house.call(method, "/api/v1/audit")
    assert answer.status in {401, 404, 405}


@pytest.mark.parametrize(
    "header",
    [
        "X-HTTP-Method-Override",
        "X-Original-URL",
        "X-Rewrite-URL",
        "X-Forwarded-User",
        "X-Remote-User",
        "X-Webauth-User",
    ],
)
async def test_headers_that_others_trust_are_nothing_here(house, header):
    """Nobody becomes somebody by saying so."""
    for value in ("root", "GET", "/health"):
        assert (await house.call("GET", "/api/v1/users", headers={header: value})).status == 401
