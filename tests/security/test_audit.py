"""The trail of a real gateway: that all is in it, nothing secret is, and tampering is told."""

import os
import shutil
import sqlite3
import subprocess
import sys

import pytest

from pilothouse.audit import AuditLog
from pilothouse.settings import load
from pilothouse.state import open_state


async def trail(house, query=""):
    return (await house.call("GET", f"/api/v1/audit?limit=1000&{query}", token=house.admin)).body["entries"]


async def test_what_is_done_is_written_before_and_after(house):
    """A user's creation: started, then ok, each with who, from where, and by what right."""
    user = (await house.user())["user"]
    after, before = await trail(house, f"action=user.create&object={user['username']}")
    assert (before["outcome"], after["outcome"]) == ("started", "ok")
    assert after["details"]["entry"] == before["id"]
    assert after["details"]["id"] == user["id"]
    assert (after["actor"], after["address"], after["permission"]) == ("root", "127.0.0.1", "users:write")


async def test_a_failed_act_is_written_as_failed(house):
    """With the error's code."""
    await house.call("POST", "/api/v1/roles", token=house.admin, json={"name": "admin", "permissions": ["*"]})
    entry = (await trail(house, "action=role.create&object=admin"))[0]
    assert (entry["outcome"], entry["details"]["error"]) == ("failed", "ROLE_TAKEN")


async def test_logins_are_written_good_or_bad(house):
    """With the name that was given, and the session that began; never the password."""
    user = await house.user()
    name = user["user"]["username"]
    bad = {"username": name, "password": "not the right one", "client": "api"}
    await house.call("POST", "/api/v1/auth/login", json=bad, source="127.2.0.1")
    denied, good = [entry for entry in await trail(house, "action=auth.login") if entry["actor"] == name]
    assert (denied["outcome"], denied["address"]) == ("denied", "127.2.0.1")
    assert good["outcome"] == "ok"
    assert good["session"].startswith("s_")


async def test_nobody_fills_the_trail_from_outside(house):
    """Refusals of those who are not signed in are written up to a number for each address and minute."""
    source = "127.2.0.2"
    for n in range(60):
        body = {"refresh_token": f"phr_{n}"}
        answer = await house.call("POST", "/api/v1/auth/refresh", json=body, source=source)
        assert answer.status == 401
    written = [entry for entry in await trail(house, "action=auth.refresh") if entry["address"] == source]
    assert 1 <= len(written) <= 40


async def test_denied_requests_are_written(house):
    """By those who are known, and by those who are not."""
    viewer = await house.user(roles=("viewer",))
    assert (await house.call("GET", "/api/v1/audit", token=viewer["access_token"])).status == 403
    entry = (await trail(house, f"action=access.denied&actor={viewer['user']['username']}"))[0]
    assert (entry["object"], entry["permission"], entry["outcome"]) == ("/api/v1/audit", "audit:read", "denied")


async def test_reading_the_trail_is_in_the_trail(house):
    """With what was asked for."""
    await trail(house, "q=needle-in-the-trail")
    entry = (await trail(house, "action=audit.read&q=needle-in-the-trail"))[0]
    assert entry["details"]["q"] == "needle-in-the-trail"


async def test_no_secret_is_in_the_trail(house):
    """Of a life with passwords, tokens, keys and tickets, none can be read there."""
    user = await house.user(roles=("developer",))
    token = user["access_token"]
    key = (await house.call("POST", "/api/v1/auth/api-keys", token=token, json={"name": "k"})).body["key"]
    ticket = await house.call("POST", "/api/v1/auth/ws-ticket", token=key, json={"path": "/ws/logs/api"})
    await house.refused_socket(f"/ws/logs/api?ticket={ticket.body['ticket']}")
    await house.call("POST", "/api/v1/auth/refresh", json={"refresh_token": user["refresh_token"]})
    new = {"current_password": "correct horse battery", "new_password": "a password to be kept"}
    assert (await house.call("POST", "/api/v1/auth/password", token=token, json=new)).status == 204
    await house.call("GET", f"/api/v1/audit?q={key}", token=house.admin)
    text = str(await trail(house))
    for secret in (token, key, ticket.body["ticket"], user["refresh_token"], "correct horse", "a password to be kept"):
        assert secret not in text


@pytest.mark.parametrize(
    ("query", "field"),
    [("limit=0", "limit"), ("limit=1001", "limit"), ("from=yesterday", "from"), ("cursor=x", "cursor"),
     ("outcome=maybe", "outcome"), ("from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", "to")],
)  # fmt: skip
async def test_a_question_out_of_bounds_is_refused(house, query, field):
    """By the field's name."""
    answer = await house.call("GET", f"/api/v1/audit?{query}", token=house.admin)
    assert answer.status == 400
    assert field in str(answer.body)


async def test_pages_join(house):
    """By their cursors, newest first, none twice."""
    first = (await house.call("GET", "/api/v1/audit?limit=5", token=house.admin)).body
    assert first["has_more"]
    second = (await house.call("GET", f"/api/v1/audit?limit=5&cursor={first['next_cursor']}", token=house.admin)).body
    ids = [entry["id"] for entry in first["entries"] + second["entries"]]
    assert ids == list(range(ids[0], ids[0] - 10, -1))


async def test_the_state_of_the_chain_is_told(house):
    """By the status, and by the whole check."""
    status = (await house.call("GET", "/api/v1/audit/status", token=house.admin)).body
    assert status["ok"]
    assert status["entries"] > 0
    assert "user.create" in status["actions"]
    report = (await house.call("POST", "/api/v1/audit/verify", token=house.admin)).body
    assert report["ok"]
    assert report["entries"] > status["entries"]


@pytest.fixture
async def copy(house, tmp_path):
    """A copy of the gateway's data, to be tampered with: its settings and its database's path."""
    await trail(house)
    shutil.copytree(house.settings.key_dir, tmp_path / "keys")
    source, target = sqlite3.connect(house.settings.data_dir / "state.db"), sqlite3.connect(tmp_path / "state.db")
    source.backup(target)
    source.close()
    target.close()
    return load({}, data_dir=tmp_path)


@pytest.mark.parametrize(
    ("statements", "first_bad"),
    [
        ((), None),
        (("UPDATE audit_entries SET actor = 'somebody' WHERE id = 3",), 3),
        (("DELETE FROM audit_entries WHERE id = 4",), 4),
        (("UPDATE audit_entries SET id = -2 WHERE id = 2", "UPDATE audit_entries SET id = 2 WHERE id = 5",
          "UPDATE audit_entries SET id = 5 WHERE id = -2"), 2),
        (("DELETE FROM audit_entries WHERE id > 6",), 7),
        (("DELETE FROM audit_entries WHERE id > 6",
          "UPDATE audit_head SET last_id = 6, hash = (SELECT hash FROM audit_entries WHERE id = 6)"), 7),
    ],
    ids=["untouched", "changed", "deleted", "reordered", "cut short", "cut short with its head"],
)  # fmt: skip
async def test_verify_names_the_first_entry_that_does_not_fit(copy, statements, first_bad):
    """In the database of a real gateway, with the file edited as an intruder would."""
    database = sqlite3.connect(copy.data_dir / "state.db")
    with database:
        for statement in statements:
            assert database.execute(statement).rowcount > 0
    database.close()
    state = open_state(copy)
    report = await AuditLog(state, copy).verify()
    await state.close()
    assert (report.ok, report.first_bad) == (first_bad is None, first_bad)
    run = subprocess.run(
        [sys.executable, "-m", "pilothouse", "audit", "verify"],
        env={k: v for k, v in os.environ.items() if not k.startswith("PILOTHOUSE_")} | copy.environment(),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == (0 if first_bad is None else 1), run.stderr
    assert first_bad is None or f"#{first_bad} " in run.stderr
