"""What another site's page could make a browser send."""

import re

import pytest


@pytest.fixture
async def browser(house):
    """A user who signed in as a browser does: name, login answer, cookie."""
    name = (await house.user(roles=("viewer",)))["user"]["username"]
    answer = await house.call(
        "POST", "/api/v1/auth/login", json={"username": name, "password": "correct horse battery"},
        headers={"Origin": house.url},
    )  # fmt: skip
    assert answer.status == 200
    (cookie,) = answer.cookies
    return answer.body, cookie


def sent(house, cookie, **changed):
    """The headers of our own page; None leaves one out."""
    headers = {"Cookie": cookie.partition(";")[0], "Origin": house.url, "X-Pilothouse": "1"} | changed
    return {name: value for name, value in headers.items() if value is not None}


async def test_the_cookie_is_out_of_reach(house, browser):
    """HttpOnly, Strict, Secure, for the one path, for as long as the session; and the token not in the body."""
    body, cookie = browser
    assert re.fullmatch(
        r"ph_refresh=phr_[\w-]{43}; HttpOnly; Max-Age=\d+; Path=/api/v1/auth; SameSite=strict; Secure", cookie
    )
    assert "refresh_token" not in body


async def test_our_own_page_refreshes_and_logs_out(house, browser):
    """With the header and its Origin."""
    _, cookie = browser
    answer = await house.call("POST", "/api/v1/auth/refresh", headers=sent(house, cookie))
    assert answer.status == 200
    token = answer.body["access_token"]
    out = await house.call("POST", "/api/v1/auth/logout", headers=sent(house, answer.cookies[0]))
    assert out.status == 204
    assert "Max-Age=0" in out.cookies[0]
    assert (await house.call("GET", "/api/v1/auth/me", token=token)).status == 401


@pytest.mark.parametrize(
    "changed",
    [
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ""}, {"Origin": None},
        {"Origin": "http://127.0.0.1"}, {"Origin": "http://127.0.0.1:1"}, {"X-Pilothouse": None}, {"X-Pilothouse": "0"},
        {"X-Pilothouse": ""},
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/api/v1/auth/refresh", "/api/v1/auth/logout"])
async def test_another_page_can_do_nothing_with_the_cookie(house, browser, path, changed):
    """Refused with 403, and the session lives on: the token in the cookie was not used up."""
    _, cookie = browser
    refused = await house.call("POST", path, headers=sent(house, cookie, **changed))
    assert refused.status == 403
    assert refused.code in {"CSRF", "WRONG_ORIGIN"}
    assert refused.cookies == ()
    assert (await house.call("POST", "/api/v1/auth/refresh", headers=sent(house, cookie))).status == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_another_page_can_not_sign_somebody_in(house, origin):
    """Login CSRF: being signed in as somebody else without noticing. Nor can it set Pilothouse up."""
    body = {"username": "root", "password": "correct horse battery"}
    answer = await house.call("POST", "/api/v1/auth/login", json=body, headers={"Origin": origin})
    assert (answer.status, answer.code, answer.cookies) == (403, "WRONG_ORIGIN", ())
    answer = await house.call("POST", "/api/v1/setup", json=body | {"token": "x"}, headers={"Origin": origin})
    assert (answer.status, answer.code) == (403, "WRONG_ORIGIN")


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
async def test_a_form_is_not_json(house, kind):
    """The kinds of body that a form of another site can send are not read as a login."""
    body = b'{"username":"root","password":"correct horse battery"}'
    answer = await house.call("POST", "/api/v1/auth/login", data=body, headers={"Content-Type": kind})
    assert answer.status in {400, 415, 422}


async def test_the_cookie_opens_nothing_else(house, browser):
    """Neither the API nor a WebSocket takes it for a proof."""
    _, cookie = browser
    for path in ("/api/v1/auth/me", "/api/v1/auth/sessions", "/api/v1/users"):
        assert (await house.call("GET", path, headers=sent(house, cookie))).status == 401


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", "http://127.0.0.1"])
async def test_a_websocket_of_another_page_is_refused(house, origin):
    """Even with a good token: the Origin is compared exactly."""
    headers = {"Authorization": f"Bearer {house.admin}", "Origin": origin}
    assert await house.refused_socket("/ws/logs/api", headers=headers) in {403, 4003}


async def test_no_other_origin_may_read_answers(house):
    """There is no CORS: no header lets another page see what came back."""
    answer = await house.call("GET", "/api/v1/setup", headers={"Origin": "https://evil.example"})
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
