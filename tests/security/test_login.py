"""Guessing passwords, over the wire."""

import asyncio
import statistics
import time

import pytest

BODY = {"password": "wrong password", "client": "api"}


async def attempt(house, username, source, password="wrong password"):
    return await house.call(
        "POST", "/api/v1/auth/login", json={"username": username, "password": password, "client": "api"}, source=source
    )


async def test_ten_guesses_and_then_the_wait(house):
    """429 with Retry-After, for the right password too, from anywhere; told alike for names that do not exist."""
    name = (await house.user())["user"]["username"]
    for username, source in ((name, "127.1.0.1"), ("nobody-of-that-name", "127.1.0.2")):
        answers = await asyncio.gather(*(attempt(house, username, source) for _ in range(10)))
        assert {(answer.status, answer.code) for answer in answers} == {(401, "WRONG_CREDENTIALS")}
        assert len({str(answer.body) for answer in answers}) == 1
        answer = await attempt(house, username, "127.1.0.3", "correct horse battery")
        assert (answer.status, answer.code) == (429, "TOO_MANY_ATTEMPTS")
        assert 0 < int(answer.headers["Retry-After"]) <= 300


async def test_known_and_unknown_users_get_the_same_answer_in_the_same_time(house):
    """Bytes are equal; medians of the time are within a third of one another."""
    names = [(await house.user())["user"]["username"] for _ in range(2)]
    known, unknown, bodies = [], [], set()
    for n in range(12):
        for times, username in ((known, names[n % 2]), (unknown, f"unknown{n % 2}")):
            began = time.perf_counter()
            answer = await attempt(house, username, "127.1.0.4")
            times.append(time.perf_counter() - began)
            assert answer.status == 401
            bodies.add(str(answer.body))
    assert len(bodies) == 1
    assert 0.67 < statistics.median(known) / statistics.median(unknown) < 1.5


async def test_a_disabled_user_gets_that_answer_too(house):
    """Whether the password was right is not told."""
    user = (await house.user())["user"]
    await house.call("PATCH", f"/api/v1/users/{user['id']}", token=house.admin, json={"disabled": True})
    answer = await attempt(house, user["username"], "127.1.0.5", "correct horse battery")
    assert (answer.status, answer.code) == (401, "WRONG_CREDENTIALS")


async def test_the_present_password_is_not_guessed_at_either(house):
    """An open screen is not ten thousand tries."""
    login = await house.user()
    body = {"current_password": "wrong password", "new_password": "another password"}
    codes = [
        (
            await house.call(
                "POST", "/api/v1/auth/password", token=login["access_token"], json=body, source="127.1.0.6"
            )
        ).code
        for _ in range(11)
    ]
    assert codes == ["WRONG_PASSWORD"] * 10 + ["TOO_MANY_ATTEMPTS"]


async def test_set_up_is_closed_once_it_is_done(house):
    """And says so; any token is as good as none."""
    assert (await house.call("GET", "/api/v1/setup")).body == {"needed": False}
    body = {"token": "x", "username": "second", "password": "correct horse battery"}
    answer = await house.call("POST", "/api/v1/setup", json=body)
    assert (answer.status, answer.code) == (409, "ALREADY_SET_UP")


@pytest.mark.parametrize(
    "username", ["", "\x00", "ro\x00ot", "' OR '1'='1", "root\n", "é" * 250, "../../etc/passwd", "\ud800"]
)
async def test_strange_names_are_only_wrong(house, username):
    """401 as any other; never an error."""
    for given in ((username, "wrong password"), ("nobody", username)):
        answer = await attempt(house, given[0], "127.1.0.7", given[1])
        assert answer.status in {400, 401, 429}
