"""The command line on the gateway's own machine: the data's owner, under their own name, for one command."""

import json
import os
import pwd
import subprocess
import sys

import pytest


def run(house, *arguments, **environment):
    kept = {k: v for k, v in os.environ.items() if not k.startswith("PILOTHOUSE_")}
    return subprocess.run(
        [sys.executable, "-m", "pilothouse", *arguments],
        env=kept | house.settings.environment() | environment,
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


async def test_the_owner_manages_users_under_their_own_name(house):
    """By a key that was lent to one command: the trail names the person, and the key is gone after."""
    person = f"local:{pwd.getpwuid(os.getuid()).pw_name}"
    listed = run(house, "users", "ls", "--json")
    assert listed.returncode == 0, listed.stderr
    assert "root" in {user["username"] for user in json.loads(listed.stdout)}
    entries = (await house.call("GET", f"/api/v1/audit?actor={person}&limit=3", token=house.admin)).body["entries"]
    assert [entry["action"] for entry in entries] == ["api_key.revoke", "user.list", "api_key.create"]
    assert {entry["address"] for entry in entries} == {"", "127.0.0.1"}


async def test_a_user_added_at_the_terminal_can_sign_in(house):
    """The password goes through standard input, never the command line."""
    added = subprocess.run(
        [sys.executable, "-m", "pilothouse", "users", "add", "terminal-user", "--role", "viewer", "--password-stdin"],
        env={k: v for k, v in os.environ.items() if not k.startswith("PILOTHOUSE_")} | house.settings.environment(),
        input="a password from stdin\n", capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert added.returncode == 0, added.stderr
    assert (await house.login("terminal-user", "a password from stdin"))["user"]["roles"] == ["viewer"]


async def test_verify_runs_beside_the_gateway(house):
    """On the live database, as one who looks in from time to time does."""
    verified = run(house, "audit", "verify", "--json")
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout)["ok"]


@pytest.mark.parametrize("command", [("audit", "verify"), ("users", "ls")])
async def test_where_there_is_no_pilothouse_that_is_said(house, tmp_path, command):
    """And none is begun by looking."""
    result = run(house, *command, PILOTHOUSE_DATA_DIR=str(tmp_path))
    assert (result.returncode, result.stdout) == (1, "")
    assert "there is no Pilothouse in" in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []
