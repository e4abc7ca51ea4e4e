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


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[str]:
    """The application's address; it logs to shop.log."""
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "SHOP_LOG": str(tmp_path / "shop.log")}
    command = [sys.executable, "-m", "uvicorn", "shop:app", "--port", str(port)]
    process = subprocess.Popen(command, cwd=SHOP, env=environment)
    deadline = time.monotonic() + 30
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(30)


def post(url: str, body: Any = None, **headers: str) -> int:
    sent = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    request = urllib.request.Request(url, json.dumps(body or {}).encode(), sent, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_its_lines_are_found_by_level_and_request(tmp_path, shop):
    """Level, request id, user and exception of each line; the card's number nowhere."""
    served = Served(tmp_path / "data", ADMIN_PASSWORD=PASSWORD, LOG_FILES=f"shop={tmp_path / 'shop.log'}")
    try:
        served.wait_for("ready in")
        order = {"item": "lamp", "cents": 0, "card": "4111 1111 1111 1111"}
        assert post(f"{shop}/orders", order, X_User="ann", X_Request_ID="take-1") == 201
        assert post(f"{shop}/orders/1/refund", X_Request_ID="refund-1") == 500

        def found(query: str) -> list[dict[str, Any]]:
            try:
                return served.call("GET", f"/api/v1/logs/shop?{query}")["logs"]
            except urllib.error.HTTPError as error:
                with error:
                    return []

        served.until(lambda: len(found("search=take-1")) == 2 and len(found("search=refund-1")) == 1)
        taken, access = sorted(found("search=take-1"), key=lambda line: line["timestamp"])
        assert json.loads(taken["message"])["message"] == "order taken"
        assert json.loads(access["message"])["message"] == "POST /orders 201"
        assert json.loads(taken["message"])["user"] == json.loads(access["message"])["user"] == "ann"
        assert {taken["level"], taken["service"]} == {"INFO", "shop"}
        (broken,) = found("level=ERROR")
        assert json.loads(broken["message"])["exception"]["type"] == "ZeroDivisionError"
        assert json.loads(broken["message"])["request_id"] == "refund-1"
        assert found("search=4111") == []
        # What the application's line says of its time is the time of the line.
        assert abs(time.time() - time.mktime(time.strptime(taken["timestamp"][:19], "%Y-%m-%dT%H:%M:%S"))) < 90_000
    finally:
        served.stop()
