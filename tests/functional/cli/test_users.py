"""`pilothouse users` and `pilothouse audit`."""

import contextlib
import sqlite3

from tests.served import PASSWORD, Served

OTHER = "another harbour at dusk"


def test_a_users_life(terminal):
    """Added, listed, given roles and a password, shut out and let in again, removed; each told in a line."""
    users = ["users"]
    assert (
        "added ann"
        in terminal.good(*users, "add", "ann", "--role", "developer", "--password-stdin", said=PASSWORD + "\n").out
    )
    (ann,) = [user for user in terminal.good(*users, "ls", "--json").json if user["username"] == "ann"]
    assert (ann["roles"], ann["disabled"]) == (["developer"], False)
    assert "ann" in terminal.remote(*users, "ls").out
    access = terminal.good(*users, "access", "ann").json
    assert {one["permission"]: one["allowed"] for one in access["permissions"]}["logs:read"] is True
    terminal.good(*users, "passwd", "ann", "--password-stdin", said=OTHER + "\n")
    body = {"username": "ann", "password": OTHER, "client": "api"}
    assert terminal.house.call("POST", "/api/v1/auth/login", body)["user"]["username"] == "ann"
    terminal.good(*users, "disable", "ann")
    assert [u["disabled"] for u in terminal.good(*users, "ls", "--json").json if u["username"] == "ann"] == [True]
    terminal.good(*users, "enable", "ann")
    assert terminal.run(*users, "rm", "ann", said="n\n").status == 1
    assert "removed" in terminal.good(*users, "rm", "ann", "--yes").out
    assert terminal.run(*users, "disable", "ann").fault == "there is no user ann"
    trail = terminal.good("audit", "ls", "--action", "user.create", "--json").json
    assert trail[0]["object"] in {"ann", ann["id"]}
    assert trail[0]["actor"].startswith("local:")


def test_what_a_user_may_not_be(terminal):
    """A weak password, an unknown role, a name that is taken: the server's reason in a line."""
    add = ["users", "add"]
    assert "password" in terminal.run(*add, "bob", "--password-stdin", said="short\n").fault.lower()
    assert (
        "harbourmaster"
        in terminal.run(*add, "bob", "--role", "harbourmaster", "--password-stdin", said=PASSWORD + "\n").fault
    )
    assert terminal.run(*add, "admin", "--password-stdin", said=PASSWORD + "\n").fault


def test_the_trail(terminal):
    """Listed as a table and as JSON, filtered; the chain is checked."""
    assert "outcome" in terminal.remote("audit", "ls", "-n", "3").out
    entries = terminal.good("audit", "ls", "--action", "auth.login", "-n", "2", "--json").json
    assert {entry["action"] for entry in entries} <= {"auth.login"}
    assert terminal.good("audit", "verify").out.strip().endswith("entries, each fits")
    report = terminal.good("audit", "verify", "--json").json
    assert (report["ok"], report["first_bad"]) == (True, None)


def test_a_trail_that_was_changed(terminal, tmp_path):
    """verify names the entry, with status 1; and needs no running house."""
    house = Served(tmp_path / "data", ADMIN_PASSWORD=PASSWORD)
    try:
        house.wait_for("ready in")
        house.call("GET", "/api/v1/logs/services")
    finally:
        house.stop()
    with contextlib.closing(sqlite3.connect(tmp_path / "data/state.db")) as db, db:
        (table,) = [
            name for (name,) in db.execute("select name from sqlite_master where type = 'table'") if "audit" in name
        ][:1]
        db.execute(f"update {table} set actor = 'somebody else' where id = 2")
    done = terminal.run("audit", "verify", env=house.environment)
    assert (done.status, done.out) == (1, "")
    assert "entry #2 does not fit" in done.err
    report = terminal.run("audit", "verify", "--json", env=house.environment)
    assert (report.status, report.json["first_bad"]) == (1, 2)
