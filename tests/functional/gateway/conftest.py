"""A real gateway on a real socket, in front of a real store, each in a process of its own."""

import asyncio
import contextlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from pilothouse.settings import Settings, load

PASSWORD = "a quiet harbour at dawn"
METRICS_TOKEN = "scrape-scrape-scrape-scrape-scrape"
READY = "GET /ready HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Answer:
    status: int
    body: Any
    headers: Any

    @property
    def code(self) -> str:
        return self.body["error"]["code"] if isinstance(self.body, dict) and "error" in self.body else ""


@dataclass
class Tail:
    """A client of a live tail: it collects what comes."""

    ws: aiohttp.ClientWebSocketResponse
    frames: list[dict[str, Any]] = field(default_factory=list)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [line for frame in self.frames if frame["type"] == "lines" for line in frame["lines"]]

    @property
    def messages(self) -> list[str]:
        return [line["message"] for line in self.lines]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame["type"] == kind]

    async def one(self, seconds: float = 10) -> dict[str, Any]:
        message = await self.ws.receive(timeout=seconds)
        assert message.type is aiohttp.WSMsgType.TEXT, (message, self.ws.close_code)
        self.frames.append(json.loads(message.data))
        return self.frames[-1]

    async def until(self, condition: Any, seconds: float = 15) -> None:
        deadline = time.monotonic() + seconds
        while not condition(self):
            left = deadline - time.monotonic()
            assert left > 0, f"{len(self.lines)} lines came, {[f for f in self.frames if f['type'] != 'lines']}"
            with contextlib.suppress(TimeoutError):
                await self.one(left)

    async def closed(self, seconds: float = 5) -> tuple[int | None, Any]:
        """The close code, and the reason."""
        deadline = time.monotonic() + seconds
        while True:
            message = await self.ws.receive(timeout=max(0.01, deadline - time.monotonic()))
            if message.type is aiohttp.WSMsgType.TEXT:
                self.frames.append(json.loads(message.data))
            elif message.type is aiohttp.WSMsgType.CLOSE:
                return message.data, json.loads(message.extra) if message.extra else None
            elif message.type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.ERROR}:
                return self.ws.close_code, None


class House:
    """A gateway and a store on a directory of their own."""

    def __init__(self, where: Path, **settings: Any) -> None:
        self.where = where
        self.settings: Settings = load(
            {}, data_dir=where / "data", listen=f"127.0.0.1:{free_port()}", docker=False, journal=False,
            admin_password=PASSWORD, metrics_token=METRICS_TOKEN, **settings,
        )  # fmt: skip
        self.url = self.settings.base_url
        self.token, self.signed_in = "", float("-inf")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PILOTHOUSE_")}
        with (self.where / f"{name}.said").open("ab") as said:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "pilothouse", name], env=environment | self.settings.environment(),
                stdout=said, stderr=said, cwd=self.where,
            )  # fmt: skip
        address = str(self.settings.store_socket) if name == "store" else (self.settings.host, self.settings.port)
        deadline = time.monotonic() + 30
        while not self._answers(address):
            assert self.processes[name].poll() is None, self.said(name)
            assert time.monotonic() < deadline, self.said(name)
            time.sleep(0.05)

    @staticmethod
    def _answers(address: str | tuple[str, int]) -> bool:
        family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
        with socket.socket(family) as probe:
            probe.settimeout(5)
            try:
                probe.connect(address)
                probe.sendall(READY.encode())
                answer = probe.recv(100)
            except OSError:
                return False
        return b" 200 " in answer if isinstance(address, str) else bool(answer)

    def said(self, name: str) -> str:
        return (self.where / f"{name}.said").read_text()

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].wait(10)

    def terminate(self, name: str) -> None:
        self.processes[name].send_signal(signal.SIGTERM)

    def stop(self) -> None:
        for name in ("gateway", "store"):
            process = self.processes.get(name)
            if process is not None and process.poll() is None:
                process.terminate()
                process.wait(20)

    async def call(self, method: str, path: str, *, token: str | None = None, **more: Any) -> Answer:
        headers = dict(more.pop("headers", {}))
        token = self.token if token is None else token
        if token:
            headers["Authorization"] = f"Bearer {token}"
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.request(method, self.url + path, headers=headers, allow_redirects=False, **more) as response,
        ):
            data = await response.read()
            is_json = response.headers.get("content-type", "").startswith("application/json")
            return Answer(response.status, json.loads(data) if is_json and data else data, response.headers)

    async def get(self, path: str, *, token: str | None = None, **params: Any) -> Answer:
        """GET below /api/v1/logs/."""
        pairs = [(n, str(one)) for n, v in params.items() for one in (v if isinstance(v, list) else [v])]
        return await self.call("GET", f"/api/v1/logs/{path}", token=token, params=pairs)

    async def raw(
        self, method: str, target: str, body: bytes = b"", *, token: str, **headers: str
    ) -> tuple[int, bytes]:
        """A request that no client has tidied up; `headers` have _ for -."""
        given = {"Host": f"{self.settings.host}:{self.settings.port}", "Connection": "close",
                 "Authorization": f"Bearer {token}", "Content-Length": str(len(body)),
                 **{name.replace("_", "-"): value for name, value in headers.items()}}  # fmt: skip
        head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        reader, writer = await asyncio.open_connection(self.settings.host, self.settings.port)
        writer.write(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + body)
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        return int(answer.split(b" ", 2)[1]), answer.partition(b"\r\n\r\n")[2]

    async def key(self, *permissions: str) -> str:
        """A new API key of the administrator's."""
        body = {"name": "test", "permissions": list(permissions)}
        made = await self.call("POST", "/api/v1/auth/api-keys", json=body)
        assert made.status == 201, made
        return str(made.body["key"])

    async def sign_in(self, username: str = "admin") -> str:
        answer = await self.call(
            "POST", "/api/v1/auth/login", token="",
            json={"username": username, "password": PASSWORD, "client": "api"},
        )  # fmt: skip
        assert answer.status == 200, answer
        return str(answer.body["access_token"])

    async def user(self, name: str, *, roles: tuple[str, ...] = (), permissions: tuple[str, ...] = ()) -> str:
        """The token of a new user."""
        body = {"username": name, "password": PASSWORD, "roles": roles, "permissions": permissions}
        made = await self.call("POST", "/api/v1/users", json=body)
        assert made.status == 201, made
        return await self.sign_in(name)

    async def push(
        self, service: str, lines: list[str], *, at: int | None = None, apart: int = 1000, **labels: str
    ) -> int:
        """Push lines, `apart` nanoseconds from one another from `at` or now on; gives the time of the first."""
        first = time.time_ns() if at is None else at
        values = [[str(first + n * apart), line] for n, line in enumerate(lines)]
        body = json.dumps({"streams": [{"stream": {"service_name": service, **labels}, "values": values}]}).encode()
        answer = await self.call(
            "POST", "/loki/api/v1/push", data=io.BytesIO(body), headers={"Content-Type": "application/json"}
        )
        assert answer.status == 204, answer
        return first

    @contextlib.asynccontextmanager
    async def tail(
        self, service: str, *, token: str | None = None, headers: dict[str, str] | None = None, **params: Any
    ) -> AsyncIterator[Tail]:
        """A live tail of a service; of a LogQL query where that is empty."""
        token = self.token if token is None else token
        sent = ({"Authorization": f"Bearer {token}"} if token else {}) | (headers or {})
        path = f"/ws/logs/{service}" if service else "/ws/logs"
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(f"{self.url}{path}?{urlencode(params, doseq=True)}", headers=sent) as ws,
        ):
            yield Tail(ws)

    async def live(self, service: str, tail: Tail) -> None:
        """Push until the tail shows it, so that what comes after is live for certain."""
        for number in range(100):
            await self.push(service, [f"knock {number}"])
            with contextlib.suppress(TimeoutError):
                await tail.one(0.3)
                return
        raise AssertionError("the tail never became live")


@pytest.fixture(scope="session")
def shared_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One for all tests that neither stop it nor fill it."""
    one = House(tmp_path_factory.mktemp("gateway"))
    try:
        one.start("store")
        one.start("gateway")
        yield one
    finally:
        one.stop()


@pytest.fixture
async def house(shared_house: House) -> House:
    """The shared house, with a token that is good for this test."""
    if time.monotonic() - shared_house.signed_in > 300:
        shared_house.token, shared_house.signed_in = await shared_house.sign_in(), time.monotonic()
    return shared_house


@pytest.fixture
async def own_house(tmp_path: Path) -> AsyncIterator[House]:
    """A house for one test, which may break it."""
    one = House(tmp_path)
    try:
        await asyncio.to_thread(one.start, "store")
        await asyncio.to_thread(one.start, "gateway")
        one.token = await one.sign_in()
        yield one
    finally:
        await asyncio.to_thread(one.stop)
