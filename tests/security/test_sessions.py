"""What ends, ends at once; what is used once, is used once; over HTTP and WebSocket."""

import asyncio
import time

import aiohttp
import pytest
from sqlalchemy import update

from pilothouse.core.times import SECOND
from pilothouse.state import Lock
from pilothouse.state.models import RefreshToken, Ticket

SOCKET = "/ws/logs/api"
QUIET = "/ws/logs?query=%7Bservice_name%3D%22api%22%7D"
"""Waits for lines that never come."""


async def me(house, token):
    return (await house.call("GET", "/api/v1/auth/me", token=token)).status


async def test_a_login_has_the_contracts_shape(house):
    """As the clients were written against it."""
    body = await house.user(roles=("developer",))
    assert set(body) == {"access_token", "token_type", "expires_in", "user", "refresh_token"}
    assert (body["token_type"], body["expires_in"]) == ("bearer", 900)
    assert set(body["user"]) == {"id", "username", "roles", "permissions"}
    answer = await house.call("GET", "/api/v1/auth/me", token=body["access_token"])
    assert body["user"].items() <= answer.body.items()


async def test_a_token_after_logout_is_refused_at_once(house):
    """The very next request; the refresh token too; and a second logout is no error."""
    login = await house.user()
    assert await me(house, login["access_token"]) == 200
    assert (await house.call("POST", "/api/v1/auth/logout", token=login["access_token"])).status == 204
    answer = await house.call("GET", "/api/v1/auth/me", token=login["access_token"])
    assert (answer.status, answer.code) == (401, "SESSION_ENDED")
    again = await house.call("POST", "/api/v1/auth/refresh", json={"refresh_token": login["refresh_token"]})
    assert again.status == 401
    assert (
        await house.call("POST", "/api/v1/auth/logout", json={"refresh_token": login["refresh_token"]})
    ).status == 204


async def test_a_refresh_token_in_the_body_logs_out_too(house):
    """For a client whose access token has expired."""
    login = await house.user()
    assert (
        await house.call("POST", "/api/v1/auth/logout", json={"refresh_token": login["refresh_token"]})
    ).status == 204
    assert await me(house, login["access_token"]) == 401


async def test_refresh_rotates_and_reuse_ends_the_family(house, house_state):
    """What comes a second time, later, was stolen from one of two: both are out."""
    first = await house.user()
    body = {"refresh_token": first["refresh_token"]}
    second = await house.call("POST", "/api/v1/auth/refresh", json=body)
    assert second.status == 200
    assert second.cookies == ()
    assert second.body["refresh_token"] != first["refresh_token"]
    async with house_state.write(Lock.SIGN_IN) as session:
        await session.execute(
            update(RefreshToken)
            .where(RefreshToken.used_at.isnot(None))
            .values(used_at=RefreshToken.used_at - 60 * SECOND)
        )
    reused = await house.call("POST", "/api/v1/auth/refresh", json=body)
    assert (reused.status, reused.code) == (401, "REFRESH_REUSED")
    for token in (first["access_token"], second.body["access_token"]):
        assert await me(house, token) == 401
    last = await house.call("POST", "/api/v1/auth/refresh", json={"refresh_token": second.body["refresh_token"]})
    assert last.status == 401
    trail = await house.call("GET", "/api/v1/audit?action=auth.reuse&limit=1", token=house.admin)
    assert trail.body["entries"][0]["details"]["user"] == first["user"]["id"]


async def test_sessions_are_seen_and_ended_from_one_another(house):
    """The list says which one asks; ending another works, ending a stranger's does not."""
    here = await house.user()
    name = here["user"]["username"]
    there = await house.login(name)
    listed = (await house.call("GET", "/api/v1/auth/sessions", token=here["access_token"])).body["sessions"]
    assert [one["current"] for one in listed].count(True) == 1
    (other,) = [one for one in listed if not one["current"]]
    stranger = await house.user()
    path = f"/api/v1/auth/sessions/{other['id']}"
    assert (await house.call("DELETE", path, token=stranger["access_token"])).status == 404
    assert await me(house, there["access_token"]) == 200
    assert (await house.call("DELETE", path, token=here["access_token"])).status == 204
    assert await me(house, there["access_token"]) == 401
    assert await me(house, here["access_token"]) == 200


async def ticket(house, token, path=SOCKET):
    return await house.call("POST", "/api/v1/auth/ws-ticket", token=token, json={"path": path})


async def test_a_ticket_opens_its_socket_once(house):
    """The second time it is refused."""
    login = await house.user(roles=("developer",))
    made = await ticket(house, login["access_token"])
    assert (made.status, made.body["expires_in"]) == (200, 30)
    path = f"{SOCKET}?ticket={made.body['ticket']}"
    assert await house.refused_socket(path, headers={"Origin": house.url}) is None
    assert await house.refused_socket(path, headers={"Origin": house.url}) in {401, 4001}


async def test_a_ticket_for_another_path_is_refused_and_used_up(house):
    """Also where the path differs by a letter's case or a slash."""
    login = await house.user(roles=("developer",))
    for wrong in ("/ws/logs/web", "/ws/logs/API"):
        made = (await ticket(house, login["access_token"])).body["ticket"]
        assert await house.refused_socket(f"{wrong}?ticket={made}") in {401, 4001}
        assert await house.refused_socket(f"{SOCKET}?ticket={made}") in {401, 4001}


async def test_an_expired_ticket_is_refused(house, house_state):
    """After thirty seconds."""
    login = await house.user(roles=("developer",))
    made = (await ticket(house, login["access_token"])).body["ticket"]
    async with house_state.write(Lock.SIGN_IN) as session:
        await session.execute(update(Ticket).values(expires_at=Ticket.expires_at - 31 * SECOND))
    assert await house.refused_socket(f"{SOCKET}?ticket={made}") in {401, 4001}


async def test_a_ticket_needs_what_its_path_needs(house):
    """A viewer gets none for logs; nobody gets one for what is no socket."""
    viewer = await house.user(roles=("viewer",))
    assert (await ticket(house, viewer["access_token"])).status == 403
    for path in ("/api/v1/users", "/ws/nothing", "ws/logs/api", "/ws/logs/api?query=x"):
        assert (await ticket(house, house.admin, path)).status in {400, 404}


@pytest.mark.parametrize("how", ["logout", "role", "disabled", "password"])
async def test_an_open_socket_closes_within_two_seconds(house, how):
    """4001 after logout, a changed role, a disabled user, or a reset password."""
    login = await house.user(roles=("developer",))
    token, user = login["access_token"], f"/api/v1/users/{login['user']['id']}"
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(house.url + QUIET, headers={"Authorization": f"Bearer {token}"}) as ws,
    ):
        await asyncio.sleep(0.3)
        if ws.closed or (ws._reader.exception() is not None):
            pytest.fail("the socket did not stay open")
        began = time.monotonic()
        change = {
            "role": {"roles": ["viewer"]},
            "disabled": {"disabled": True},
            "password": {"password": "another password"},
        }
        if how == "logout":
            assert (await house.call("POST", "/api/v1/auth/logout", token=token)).status == 204
        else:
            assert (await house.call("PATCH", user, token=house.admin, json=change[how])).status == 200
        async for message in ws:
            assert message.type is aiohttp.WSMsgType.TEXT
        assert ws.close_code == 4001
        assert time.monotonic() - began < 2.5
