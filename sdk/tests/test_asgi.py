"""The middleware around a real FastAPI application on a real uvicorn."""

import asyncio
import json
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pilothouse_sdk import RequestLogMiddleware, bind_user

APP = """
import asyncio, logging
from fastapi import BackgroundTasks, FastAPI, HTTPException, Request, Response, WebSocket
from pilothouse_sdk import RequestLogMiddleware, bind, bind_user, setup_structured_logging

setup_structured_logging(log_path=LOG)
app = FastAPI()
log = logging.getLogger("shop")

@app.get("/orders/{number}")
def order(number: int, request: Request):
    bind_user(request.headers.get("x-user", "nobody"))
    bind(order=number)
    log.info("read")
    if number == 404:
        raise HTTPException(404)
    return {"number": number}

@app.get("/broken")
async def broken():
    raise RuntimeError("out of cheese")

class Frozen(Exception):
    def __setattr__(self, name, value):
        raise AttributeError("frozen")

@app.get("/frozen")
async def frozen():
    raise Frozen("as a frozen dataclass is")

@app.get("/later")
async def later(tasks: BackgroundTasks):
    tasks.add_task(fail)
    return Response("ok", headers={"X-Request-ID": "the application's own"})

async def fail():
    await asyncio.sleep(0.3)
    log.info("in the background")
    raise KeyError("too late")

@app.get("/slow")
async def slow(request: Request):
    log.info("begun")
    while not await request.is_disconnected():
        await asyncio.sleep(0.01)

@app.exception_handler(OverflowError)
async def handled(request, error):
    return Response("handled", 503)

@app.get("/handled")
async def raises():
    raise OverflowError

@app.websocket("/refused")
async def refused(socket: WebSocket):
    await socket.close(4003)

@app.get("/health")
async def health():
    return "ok"

@app.websocket("/ws")
async def ws(socket: WebSocket):
    await socket.accept()
    log.info("met")
    await socket.close(1000)

def who(scope):
    if scope["path"] == "/broken":
        raise RuntimeError("in the application's function")

asgi = RequestLogMiddleware(app, user=who)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[tuple[str, Path]]:
    """Its address, and its log."""
    where = tmp_path_factory.mktemp("asgi")
    log = where / "api.log"
    (where / "shop.py").write_text(APP.replace("LOG", repr(str(log))))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "uvicorn", "shop:asgi", "--port", str(port)], cwd=where)
    deadline = time.monotonic() + 30
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}", log
    process.terminate()
    process.wait(30)


async def lines_of(log: Path, request_id: str, count: int) -> list[dict[str, Any]]:
    """The lines of one request, once there are so many."""
    for _ in range(200):
        found = [one for one in map(json.loads, log.read_text().splitlines()) if one.get("request_id") == request_id]
        if len(found) >= count:
            return found
        await asyncio.sleep(0.02)
    raise AssertionError(f"{len(found)} of {count} lines")


async def test_a_request_has_one_id_on_all_its_lines(server):
    """The caller's, if it is sane; user and fields bound in a thread are on the access line too."""
    url, log = server
    async with aiohttp.ClientSession() as session:
        headers = {"X-Request-ID": "abc-123", "X-User": "ann"}
        async with session.get(f"{url}/orders/5?token=hunter2", headers=headers) as answer:
            assert answer.headers["X-Request-ID"] == "abc-123"
    first, access = await lines_of(log, "abc-123", 2)
    assert (first["message"], first["user"], first["order"]) == ("read", "ann", 5)
    assert access["logger"] == "access"
    assert access["level"] == "INFO"
    assert access["message"] == "GET /orders/5 200"
    assert (access["method"], access["path"], access["status"]) == ("GET", "/orders/5", 200)
    assert (access["user"], access["client"], access["response_bytes"]) == ("ann", "127.0.0.1", len('{"number":5}'))
    assert access["duration_ms"] > 0
    assert "hunter2" not in log.read_text()


@pytest.mark.parametrize("given", ["a b", "x" * 129, "<script>", ""])
async def test_an_id_that_is_none_is_replaced(server, given):
    """What would break a line, a page or a shell is not taken over."""
    url, _ = server
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url}/health", headers={"X-Request-ID": given}) as answer,
    ):
        assert len(answer.headers["X-Request-ID"]) == 32


async def test_an_exception_is_written_once_with_its_request(server):
    """ERROR, with the structure; the server around it does not write it again."""
    url, log = server
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/broken", headers={"X-Request-ID": "broken-1"}) as answer:
            assert answer.status == 500
            assert answer.headers["X-Request-ID"] == "broken-1"
            sent = len(await answer.read())
        async with session.get(f"{url}/orders/404", headers={"X-Request-ID": "none-1"}) as answer:
            assert answer.status == 404
    (line,) = await lines_of(log, "broken-1", 1)
    assert (line["level"], line["status"], line["exception"]["type"]) == ("ERROR", 500, "RuntimeError")
    assert line["response_bytes"] == sent
    assert log.read_text().count("out of cheese") == 1 + log.read_text().count('raise RuntimeError(\\"out of cheese')
    assert (await lines_of(log, "none-1", 2))[-1]["level"] == "WARNING"


async def test_an_exception_that_lets_nothing_be_set_on_it_is_itself(server):
    """What is logged of it changes nothing of it, and it is written once all the same."""
    url, log = server
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/frozen", headers={"X-Request-ID": "frozen-1"}) as answer:
            assert answer.status == 500
        async with session.get(f"{url}/handled", headers={"X-Request-ID": "handled-1"}) as answer:
            assert answer.status == 503
    (line,) = await lines_of(log, "frozen-1", 1)
    assert line["exception"]["type"] == "shop.Frozen"
    assert log.read_text().count('"type":"shop.Frozen"') == 1
    (line,) = await lines_of(log, "handled-1", 1)
    assert (line["level"], line["status"]) == ("ERROR", 503)


async def test_an_answer_is_over_before_what_is_done_in_the_background(server):
    """Its line does not wait for that; an exception there has one of its own, and the application's id gives way."""
    url, log = server
    headers = {"X-Request-ID": "later-1"}
    async with aiohttp.ClientSession() as session, session.get(f"{url}/later", headers=headers) as answer:
        assert answer.headers.getall("X-Request-ID") == ["later-1"]
    access, task, error = await lines_of(log, "later-1", 3)
    assert (access["message"], access["level"]) == ("GET /later 200", "INFO")
    assert access["duration_ms"] < 300
    assert task["message"] == "in the background"
    assert (error["level"], error["exception"]["type"]) == ("ERROR", "KeyError")
    assert log.read_text().count('"type":"KeyError"') == 1


async def test_a_client_that_leaves_is_no_error_of_the_servers(server):
    """499, as nginx has it, where nothing had been answered."""
    url, log = server
    async with aiohttp.ClientSession() as session:
        request = asyncio.create_task(session.get(f"{url}/slow", headers={"X-Request-ID": "slow-1"}))
        await lines_of(log, "slow-1", 1)
        request.cancel()
        access = (await lines_of(log, "slow-1", 2))[-1]
    assert (access["status"], access["level"]) == (499, "WARNING")


async def test_a_socket_that_is_refused_says_so(server):
    """As what the client sees of it."""
    url, log = server
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(f"{url}/refused", headers={"X-Request-ID": "refused-1"})
    access = next(one for one in await lines_of(log, "refused-1", 1) if one["logger"] == "access")
    assert (access["status"], access["level"]) == (403, "WARNING")


async def test_a_socket_is_a_request_too(server):
    """One line when it closes, with its code."""
    url, log = server
    async with aiohttp.ClientSession() as session:
        await (await session.ws_connect(f"{url}/ws", headers={"X-Request-ID": "ws-1"})).receive()
    found = {one["logger"]: one["message"] for one in await lines_of(log, "ws-1", 4)}
    assert found["shop"] == "met"
    assert found["access"] == "WEBSOCKET /ws 1000"


async def test_health_checks_are_quiet_and_the_servers_own_lines_are_json(server):
    """No access line for a health check at INFO; uvicorn's start is in the log like all else."""
    url, log = server
    async with aiohttp.ClientSession() as session, session.get(f"{url}/health", headers={"X-Request-ID": "h-1"}):
        pass
    await asyncio.sleep(0.3)
    found = [json.loads(line) for line in log.read_text().splitlines()]
    assert not [one for one in found if one.get("request_id") == "h-1"]
    assert any(one["logger"] == "uvicorn.error" for one in found)
    assert not any(one["logger"] == "uvicorn.access" for one in found)


async def test_elsewhere_an_exception_of_a_request_is_written_again(log, lines):
    """Only the server's own line about it says nothing new."""

    async def broken(scope, receive, send):
        raise RuntimeError("out of cheese")

    try:
        await RequestLogMiddleware(broken)({"type": "http", "method": "GET", "path": "/"}, None, None)
    except RuntimeError:
        log.exception("giving up")
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    assert [one["message"] for one in lines()] == ["GET / 500", "giving up"]


def test_outside_of_a_request_binding_does_nothing(log, lines):
    """A job that calls what a request calls is not in its way."""
    bind_user("ann")
    logging.getLogger("job").info("ran")
    del log
    assert "user" not in lines()[0]
