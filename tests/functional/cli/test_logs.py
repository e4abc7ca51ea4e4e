"""`pilothouse services`, `logs` and `query`."""

import contextlib
import json
import signal
import subprocess
import sys
import time

import pytest

from pilothouse.core.times import format_instant


@pytest.fixture(scope="module", autouse=True)
def _lines(terminal):
    terminal.log("web", "level=info started", "level=error a.c failed", "level=warn abc slow", "plain", project="shop")
    terminal.log("noisy", *(f"line {n} " + "x" * 200 for n in range(3000)))
    now = time.time_ns()
    terminal.house.push("aged", [(now - 3 * 3600 * 10**9, "three hours ago"), (now, "just now")])


def read_until(process, text):
    """What a going command prints, up to the line with `text`."""
    lines = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if text in line:
            return lines
    raise AssertionError(f"{text!r} never came: {lines} {process.stderr.read()}")


def end(process, number):
    """The exit status and stderr after a signal."""
    process.send_signal(number)
    err = process.communicate(timeout=20)[1]
    return process.returncode, err


def test_a_services_newest_lines(terminal):
    """The oldest first, with time and level; the same from here and from afar."""
    local, remote = terminal.good("logs", "web"), terminal.remote("logs", "web")
    assert [line.split("Z ", 1)[1] for line in local.lines] == [
        "INFO  level=info started", "ERROR level=error a.c failed", "WARN  level=warn abc slow", "UNKNOWN plain",
    ]  # fmt: skip
    assert (remote.out, remote.status) == (local.out, 0)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        (["--level", "ERROR"], ["level=error a.c failed"]),
        (["--level", "error", "--level", "WARN"], ["level=error a.c failed", "level=warn abc slow"]),
        (["--search", "a.c"], ["level=error a.c failed"]),
        (["--search", "a.c", "--regex"], ["level=error a.c failed", "level=warn abc slow"]),
        (["-n", "1"], ["plain"]),
        (["--search", 'nothing "} or {a="b'], []),
        (["--since", "1h", "--lines", "2"], ["level=warn abc slow", "plain"]),
    ],
)
def test_filters(terminal, given, wanted):
    """As the API's own."""
    done = terminal.remote("logs", "web", "--json", *given)
    assert (done.status, done.err) == (0, "")
    assert [json.loads(line)["message"] for line in done.lines] == wanted


@pytest.mark.parametrize(
    ("since", "wanted"),
    [("15m", 1), ("10800s", 1), ("4h", 2), ("1000h", 2), ("1h30m", 1), (format_instant(0), 2), ("2026-11-01", None),
     ("yesterday", None), ("-5m", None), ("", None)],
)  # fmt: skip
def test_since(terminal, since, wanted):
    """A duration or a time; anything else is said in one line."""
    if since == format_instant(0):
        since = format_instant(time.time_ns() - 5 * 3600 * 10**9)
    done = terminal.remote("logs", "aged", "--json", f"--since={since}")
    if wanted is None:
        assert "--since must be" in done.fault
    else:
        assert len(done.lines) == wanted, done


def test_following(terminal):
    """New lines come as they are logged, none twice and none lost at the seam; Ctrl-C ends it cleanly."""
    process = terminal.start("logs", "web", "-f", "--json")
    try:
        lines = read_until(process, "plain")
        for number in range(20):
            terminal.log("web", f"live {number}")
        lines += read_until(process, "live 19")
        status, err = end(process, signal.SIGINT)
    finally:
        process.kill()
    messages = [json.loads(line)["message"] for line in lines]
    assert messages[-21:] == ["plain", *(f"live {n}" for n in range(20))]
    assert (status, err) == (130, "")


def test_following_what_is_quiet(terminal):
    """A service that logged before, but not lately; filters hold live."""
    process = terminal.start("logs", "web", "-f", "--search", "only this", "--since", "1s")
    try:
        for number in range(100):
            terminal.log("web", "not that", f"only this {number}")
            time.sleep(0.1)
            if process.poll() is not None or number > 30:
                break
        lines = read_until(process, "only this 2")
        status, err = end(process, signal.SIGINT)
    finally:
        process.kill()
    assert not [line for line in lines if "not that" in line]
    assert (status, err) == (130, "")


def test_the_key_is_given_back(terminal):
    """Each command borrows a key under the name of the system's user, and revokes it, Ctrl-C or not."""
    process = terminal.start("logs", "web", "-f")
    try:
        read_until(process, "plain")
        end(process, signal.SIGINT)
    finally:
        process.kill()
    entries = terminal.house.call("GET", "/api/v1/audit?limit=1000")["entries"]
    lent = [entry for entry in entries if entry["details"].get("lent")]
    revoked = {entry["object"] for entry in entries if entry["action"] == "api_key.revoke"}
    assert lent
    assert {entry["object"] for entry in lent} <= revoked
    assert {entry["actor"].partition(":")[0] for entry in lent} == {"local"}


def test_a_closed_pipe(terminal):
    """`| head -1` ends it without a word, however much there was to say."""
    for command in (["logs", "noisy", "-n", "3000"], ["logs", "noisy", "-f"], ["query", '{service_name="noisy"}'],
                    ["services"], ["doctor"], ["query", '{service_name="noisy"}', "--json", "--limit", "3000"]):  # fmt: skip
        process = terminal.start(*command)
        try:
            assert process.stdout.readline()
            process.stdout.close()
            for _ in range(200):
                if process.poll() is not None:
                    break
                # A tail finds out when it next has something to say.
                terminal.log("noisy", "x" * 1000)
                time.sleep(0.05)
            assert process.wait(20) in {0, 1}
            assert process.stderr.read() == ""
        finally:
            process.kill()
            process.stderr.close()


def test_through_a_real_pipe(terminal):
    """As a shell does it, with pipefail."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{sys.executable} -m pilothouse logs noisy -n 3000 | head -1"],
        env=terminal.house.environment, capture_output=True, cwd=terminal.elsewhere, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b"\n") == 1


def test_a_line_cannot_drive_the_terminal(terminal):
    """Escapes are shown, not sent."""
    terminal.log("escapes", "\x1b[31mred\x1b]52;c;eA==\x07", "two\nlines")
    out = terminal.good("logs", "escapes").out
    assert "\x1b" not in out
    assert "\\x1b[31mred" in out
    assert "two\n    lines\n" in out


def test_queries(terminal):
    """Lines with their service, numbers as a table, everything with --json."""
    lines = terminal.good("query", '{service_name="web"} |= "started"').lines
    assert lines[0].endswith("INFO  web level=info started")
    table = terminal.good("query", 'sum by (service_name) (count_over_time({service_name=~"web|aged"}[1h]))').out
    assert "service_name=web" in table
    answer = terminal.good("query", '{service_name="web"} |= "started"', "--json").json
    assert (answer["resultType"], answer["total"]) == ("streams", 1)
    matrix = terminal.good("query", "vector(1)", "--json", "--step", "60").json
    assert matrix["resultType"] == "matrix"
    assert terminal.good("query", "rate({service_name='x'}[1m])".replace("'", '"')).out.strip().startswith("series")


def test_services(terminal):
    """A table, or JSON."""
    assert "web" in terminal.good("services").out
    assert {"web", "noisy", "aged"} <= {service["id"] for service in terminal.good("services", "--json").json}
    assert terminal.remote("services", "--json").status == 0


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["logs", "no-such-service"], "no service 'no-such-service' has logged"),
        (["logs", "no-such-service", "-f"], "no service 'no-such-service' has logged"),
        (["logs", "web", "--level", "LOUD"], "level must be"),
        (["logs", "web", "--search", "(", "--regex"], "not a regular expression"),
        (["query", '{service_name="web"'], "parse error at line 1, col 20"),
        (["query", "1", "--step", "x"], "step"),
    ],
)
def test_what_is_wrong_is_one_line(terminal, command, words):
    """On stderr, with status 1; nothing on stdout."""
    assert words in terminal.run(*command).fault


@pytest.mark.parametrize(
    "command",
    [["logs"], ["logs", "web", "-n", "0"], ["logs", "web", "-n", "10001"], ["query"], ["nonsense"], ["logs", "--nope"]],
)
def test_wrong_usage_is_status_2(terminal, command):
    """With how it is meant."""
    done = terminal.run(*command)
    assert (done.status, done.out) == (2, "")
    assert "Usage: " in done.err
    assert "Traceback" not in done.err


def test_a_wrong_key(terminal):
    """One line; so is none at all, and one that may not."""
    there = terminal.there
    url = ["--url", terminal.house.url]
    assert terminal.run("services", *url, "--key", "ph_wrong", env=there).fault
    assert "--key" in terminal.run("services", *url, env=there).fault
    weak = terminal.house.call("POST", "/api/v1/auth/api-keys", {"name": "weak", "permissions": ["dashboards:read"]})
    assert "logs:read" in terminal.run("services", *url, "--key", weak["key"], env=there).fault
    assert (
        terminal.run("services", env={**there, "PILOTHOUSE_URL": url[1], "PILOTHOUSE_API_KEY": terminal.key}).status
        == 0
    )


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:9", "no Pilothouse answers at 127.0.0.1:9"),
        ("nonsense", "no address"),
        ("http://", "no address"),
        ("ftp://x", "no address"),
        ("http://x:port", "no address"),
        ("http://does-not-exist.invalid", "no Pilothouse answers at does-not-exist.invalid"),
    ],
)
def test_a_house_that_is_away(terminal, url, words):
    """One line that says where it was looked for."""
    assert words in terminal.run("logs", "web", "-f", "--url", url, "--key", "ph_x", env=terminal.there).fault


def test_something_else_at_the_address(terminal):
    """What answers without being a Pilothouse is named."""
    done = terminal.run("services", "--url", terminal.house.url + "/login", "--key", "ph_x", env=terminal.there)
    assert "no Pilothouse" in done.fault


def test_no_house_here(terminal):
    """Without --url on a machine without one: what to do is said."""
    words = terminal.run("services", env=terminal.there).fault
    assert "there is no Pilothouse in" in words
    assert "--url" in words


def test_completion(terminal):
    """Commands and options complete in a shell."""
    for shell, typed, wanted in (("bash", "pilothouse que", "query"), ("zsh", "pilothouse do", "doctor"),
                                 ("fish", "pilothouse us", "users")):  # fmt: skip
        env = {**terminal.house.environment, "_PILOTHOUSE_COMPLETE": f"complete_{shell}", "COMP_WORDS": typed,
               "COMP_CWORD": "1", "_TYPER_COMPLETE_ARGS": typed, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-c", "import sys; sys.argv[0] = 'pilothouse'; from pilothouse.cli.main import main; main()"],
            env=env, capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        assert wanted in done.stdout.decode(), done


def test_a_tail_that_the_house_ends(terminal, tmp_path):
    """The reason of the close is the one line."""
    with contextlib.ExitStack() as stack:
        weak = terminal.house.call("POST", "/api/v1/auth/api-keys", {"name": "short", "permissions": ["logs:read"]})
        command = ["logs", "web", "-f", "--url", terminal.house.url, "--key", weak["key"]]
        process = terminal.start(*command)
        stack.callback(process.kill)
        read_until(process, "plain")
        time.sleep(1)
        terminal.house.call("DELETE", f"/api/v1/auth/api-keys/{weak['id']}")
        err = process.communicate(timeout=20)[1]
    assert process.returncode == 1
    assert err.startswith("pilothouse: the tail ended: ")
    assert len(err.splitlines()) == 1
