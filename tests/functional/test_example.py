"""The sample application beside a whole Pilothouse: its lines reach the Logs page's API as they were meant."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.served import PASSWORD, Served, free_port

SHOP = Path(__file__).parents[2] / "examples/fastapi_app"
WRITER = """
import logging, sys, time
from pilothouse_sdk import setup_structured_logging
setup_structured_logging(log_path=sys.argv[1], max_bytes=40_000, backups=500)
for n in range(4000):
    logging.getLogger("turning").warning("line of a file that turns over", extra={"n": n})
    time.sleep(0.0005)
"""


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[str]:
    """The application's address; it logs to shop.log."""
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "SHOP_LOG": str(tmp_path / "shop.log")}
    command = [sys.executable, "-m", "uvicorn", "shop:asgi", "--port", str(port)]
    process = subprocess.Popen(command, cwd=SHOP, env=environment)
    try:
        deadline = time.monotonic() + 30
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A Pilothouse that reads the shop's file, and that of WRITER."""
    files = f"shop={tmp_path / 'shop.log'},turning={tmp_path / 'turning.log'}"
    served = Served(tmp_path / "data", ADMIN_PASSWORD=PASSWORD, LOG_FILES=files)
    try:
        served.wait_for("ready in")
        yield served
    finally:
        served.stop()


def ask(method: str, url: str, body: Any = None, **headers: str) -> tuple[int, str]:
    """The status, and the request id that was answered."""
    sent = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = urllib.request.Request(url, None if body is None else json.dumps(body).encode(), sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers["X-Request-ID"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers["X-Request-ID"]


def found(served: Served, service: str, query: str) -> dict[str, Any]:
    """What the API answers; nothing while the service is unknown."""
    try:
        return served.call("GET", f"/api/v1/logs/{service}?{query}")
    except urllib.error.HTTPError as error:
        with error:
            return {"logs": [], "total": 0}


def test_its_lines_are_found_by_level_and_request(shop, served):
    """Level, service, time, request id, user and exception of each line; the card's number nowhere."""
    order = {"item": "lamp", "cents": 0, "card": "4111 1111 1111 1111"}
    assert ask("POST", f"{shop}/orders", order, X_User="ann", X_Request_ID="take-1") == (201, "take-1")
    assert ask("POST", f"{shop}/orders/1/refund", {}, X_User="bob", X_Request_ID="refund-1") == (500, "refund-1")
    status, given = ask("GET", f"{shop}/orders/77?token=hunter2")
    assert status == 404

    def of(request_id: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        lines = found(served, "shop", f"search={request_id}&direction=forward")["logs"]
        return [(line, json.loads(line["message"])) for line in lines]

    served.until(lambda: [len(of(one)) for one in ("take-1", "refund-1", given)] == [2, 1, 2])
    (taken, line), (_, access) = of("take-1")
    assert (line["message"], line["item"], line["user"], line["order"]) == ("order taken", "lamp", "ann", 1)
    assert (access["message"], access["user"], access["status"]) == ("POST /orders 201", "ann", 201)
    assert (taken["level"], taken["service"]) == ("INFO", "shop")
    # What the application says is the time of the line.
    assert taken["timestamp"].startswith(line["timestamp"].rstrip("Z"))

    ((broken, line),) = of("refund-1")
    assert broken["level"] == "ERROR"
    assert (line["exception"]["type"], line["exception"]["frames"][-1]["function"]) == ("ZeroDivisionError", "refund")
    assert (line["user"], line["status"], line["request_id"]) == ("bob", 500, "refund-1")
    assert [entry["message"] for entry in found(served, "shop", "level=ERROR")["logs"]] == [broken["message"]]

    assert [entry["level"] for entry, _ in of(given)] == ["WARN", "WARN"]
    assert found(served, "shop", "level=WARN")["total"] == 2
    assert [found(served, "shop", f"search={one}")["total"] for one in ("4111", "hunter2")] == [0, 0]
    (service,) = [one for one in served.call("GET", "/api/v1/logs/services") if one["id"] == "shop"]
    assert service["levels"]["ERROR"] == 1


def test_no_line_is_missed_or_doubled_as_the_file_turns_over(tmp_path, served):
    """Sixteen times and more, while it is followed."""
    subprocess.run([sys.executable, "-c", WRITER, str(tmp_path / "turning.log")], check=True, timeout=120)
    assert len(list(tmp_path.glob("turning.log.[0-9]*"))) >= 10
    served.until(lambda: found(served, "turning", "limit=1")["total"] >= 4000, 60)
    lines = found(served, "turning", "limit=10000")
    assert sorted(json.loads(line["message"])["n"] for line in lines["logs"]) == list(range(4000))
    assert lines["total"] == 4000
    assert {line["level"] for line in lines["logs"]} == {"WARN"}
