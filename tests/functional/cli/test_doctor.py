"""`pilothouse doctor`: what is wrong, and how to mend it."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests.served import free_port


@pytest.fixture
def examined(terminal, tmp_path):
    """Runs the doctor on a machine without a house; findings by check."""

    def run(status, **settings):
        env = {
            "PATH": os.environ["PATH"], "PILOTHOUSE_DATA_DIR": str(tmp_path / "data"), "PILOTHOUSE_JOURNAL": "false",
            "PILOTHOUSE_LISTEN": f"127.0.0.1:{free_port()}", "PILOTHOUSE_DOCKER": "false",
            **{f"PILOTHOUSE_{name}": value for name, value in settings.items()},
        }  # fmt: skip
        done = terminal.run("doctor", "--json", env=env)
        findings = {}
        for finding in done.json:
            if finding["check"] not in findings or finding["verdict"] != "ok":
                findings[finding["check"]] = finding
            assert set(finding) == {"check", "verdict", "found", "mend"}
            assert finding["verdict"] == "ok" or finding["mend"]
        # Whether the pages are built is the checkout's affair.
        wrong = [one for one in done.json if one["verdict"] == "fail" and one["check"] != "pages"]
        assert bool(wrong) is bool(status), done
        return findings

    return run


def test_a_machine_that_is_well(examined, terminal):
    """Everything is looked at, in words and as JSON; a house that runs is known by its port."""
    findings = examined(0)
    assert set(findings) >= {"settings", "data directory", "disk", "port", "docker", "journal", "pages", "python"}
    assert findings["port"]["found"].endswith("is free")
    plain = terminal.run("doctor").out
    assert f"a Pilothouse answers on 127.0.0.1:{terminal.house.port}" in plain


@pytest.mark.parametrize(
    ("name", "value", "wants"),
    [
        ("LISTEN", "4080", "host:port"),
        ("RETENTION", "soon", "duration"),
        ("LOG_LEVEL", "LOUD", "DEBUG"),
        ("NO_SUCH", "x", ""),
    ],
)
def test_a_wrong_setting(examined, name, value, wants):
    """Its name, and what it wants; nothing else is guessed from wrong settings."""
    findings = examined(1, **{name: value})
    assert list(findings) == ["settings"]
    assert name.lower() in findings["settings"]["found"].lower()
    assert wants in findings["settings"]["found"]


def test_a_port_that_is_taken(examined):
    """By something else: how to find it, and how to go elsewhere."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        finding = examined(1, LISTEN=f"127.0.0.1:{taken.getsockname()[1]}")["port"]
    assert finding["verdict"] == "fail"
    assert "PILOTHOUSE_LISTEN" in finding["mend"]


def test_an_open_port_in_clear(examined):
    """Passwords would cross the network."""
    finding = examined(0, LISTEN=f"0.0.0.0:{free_port()}")["transport"]
    assert (finding["verdict"], "https" in finding["mend"]) == ("warn", True)


def test_sockets_of_docker(examined, tmp_path):
    """None, one that nobody answers, one that does."""
    where = tmp_path / "docker.sock"
    given = {"DOCKER": "true", "DOCKER_HOST": f"unix://{where}"}
    assert examined(0, **given)["docker"]["verdict"] == "warn"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(where))
        listener.listen()
        assert examined(0, **given)["docker"]["found"].endswith("answers")
    assert examined(1, **given)["docker"]["verdict"] == "fail"
    assert examined(1, DOCKER="true", DOCKER_HOST=f"tcp://127.0.0.1:{free_port()}")["docker"]["verdict"] == "fail"


def test_files_to_collect(examined, tmp_path):
    """Found, or not there yet."""
    (tmp_path / "a.log").write_text("x\n")
    assert examined(0, LOG_FILES=f"a={tmp_path}/a*.log")["files"]["found"].endswith("1 files")
    assert examined(0, LOG_FILES=f"{tmp_path}/b*.log")["files"]["verdict"] == "warn"


@pytest.fixture
def open_path():
    """A directory that everybody may enter, which the runner's own are not."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o755)
        yield Path(made)


def test_rights(open_path):
    """What this user may not: the data directory, the socket, a file. Asked as a user with no rights."""
    private = open_path / "private"
    private.mkdir(mode=0o700)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(open_path / "docker.sock"))
    (open_path / "docker.sock").chmod(0o600)
    (open_path / "app.log").write_text("x\n")
    (open_path / "app.log").chmod(0o600)
    env = {
        "PATH": os.environ["PATH"], "PILOTHOUSE_DATA_DIR": str(private / "data"), "PILOTHOUSE_JOURNAL": "false",
        "PILOTHOUSE_DOCKER_HOST": f"unix://{open_path}/docker.sock", "PILOTHOUSE_LOG_FILES": f"{open_path}/app.log",
        "PILOTHOUSE_LISTEN": f"127.0.0.1:{free_port()}",
    }  # fmt: skip
    # As root, give the rights up within the interpreter: its own files may lie where nobody else can read.
    give_up = "import os; os.setgid(65534) or os.setuid(65534) if os.getuid() == 0 else None; "
    load = (
        "import pilothouse.cli.main, pilothouse.settings, pilothouse.supervisor, asyncio, glob, json, encodings.idna; "
    )
    run = "import sys; sys.argv = ['pilothouse', 'doctor', '--json']; pilothouse.cli.main.main()"
    if os.getuid():
        private.chmod(0o500)
    done = subprocess.run(
        [sys.executable, "-c", load + give_up + run],
        env=env,
        capture_output=True,
        cwd=open_path,
        timeout=60,
        check=False,
    )
    listener.close()
    assert (done.returncode, done.stderr) == (1, b"")
    failed = {one["check"]: one for one in json.loads(done.stdout) if one["verdict"] == "fail"}
    assert "PILOTHOUSE_DATA_DIR" in failed["data directory"]["mend"]
    if not os.getuid():
        assert "group" in failed["docker"]["mend"]
        assert "app.log" in failed["files"]["found"]
