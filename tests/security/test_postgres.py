"""A whole gateway on PostgreSQL: the same promises by another URL."""

import asyncio

import psycopg
import pytest

from pilothouse.settings import load


@pytest.fixture(scope="module")
def house(postgres, build_house, tmp_path_factory):
    """In place of the one on SQLite."""
    with psycopg.connect(f"host={postgres} user=pilothouse dbname=postgres", autocommit=True) as connection:
        connection.execute("CREATE DATABASE house")
    url = f"postgresql://pilothouse@/house?host={postgres}"
    with build_house(load({}, data_dir=tmp_path_factory.mktemp("pg"), database_url=url)) as one:
        yield one


async def test_a_life_on_postgresql(house):
    """Set-up, login, a user, a key, a ticket, logout; and every step is in a chain that verifies."""
    login = await house.user(roles=("developer",))
    token = login["access_token"]
    key = (await house.call("POST", "/api/v1/auth/api-keys", token=token, json={"name": "k"})).body["key"]
    assert (await house.call("GET", "/api/v1/auth/me", token=key)).status == 200
    assert (await house.call("GET", "/api/v1/users", token=key)).status == 403
    tabs = await asyncio.gather(
        *(house.call("POST", "/api/v1/auth/refresh", json={"refresh_token": login["refresh_token"]}) for _ in range(4))
    )
    assert {answer.status for answer in tabs} == {200}
    assert len({answer.body["refresh_token"] for answer in tabs}) == 1
    assert (await house.call("POST", "/api/v1/auth/logout", token=token)).status == 204
    assert (await house.call("GET", "/api/v1/auth/me", token=token)).status == 401
    for name in ("a\x00b", "\ud800"):
        body = {"username": name, "password": name, "client": "api"}
        assert (await house.call("POST", "/api/v1/auth/login", json=body, source="127.3.0.1")).status in {400, 401}
        assert (await house.call("GET", "/api/v1/users/a%00b", token=house.admin)).status in {400, 404}
    report = (await house.call("POST", "/api/v1/audit/verify", token=house.admin)).body
    assert report["ok"]
    assert report["entries"] > 10
