"""A real gateway, in a process of its own, on a real socket, with a real database."""

import asyncio
import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from pilothouse.settings import Settings, load
from pilothouse.state import State, open_state

PASSWORD = "correct horse battery"
ADMIN = "root"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: Any
    headers: Mapping[str, str]
    cookies: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        return self.body["error"]["code"] if isinstance(self.body, dict) and "error" in self.body else ""


@dataclass
class House:
    """A running gateway, and how to talk to it."""

    settings: Settings
    admin: str = ""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def url(self) -> str:
        return self.settings.base_url

    async def call(
        self, method: str, path: str, *, token: str = "", json: Any = None, headers: Mapping[str, str] | None = None,
        source: str = "127.0.0.1", data: bytes | None = None,
    ) -> Answer:  # fmt: skip
        """One request, from the loopback address `source`."""
        sent = dict(headers or {}) | ({"Authorization": f"Bearer {token}"} if token else {})
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(local_addr=(source, 0)), cookie_jar=aiohttp.DummyCookieJar()
            ) as session,
            session.request(
                method, self.url + path, json=json, data=data, headers=sent, allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=30),
            ) as response,
        ):  # fmt: skip
            body: Any = None
            try:
                text = await response.read()
                body = await response.json(content_type=None) if text else None
            except ValueError:
                body = text
            except aiohttp.ClientPayloadError:
                pass  # the answer had begun, and broke off
            return Answer(response.status, body, response.headers, tuple(response.headers.getall("Set-Cookie", [])))

    async def login(self, username: str = ADMIN, password: str = PASSWORD, **more: Any) -> Any:
        """The answer of a login that works, with the refresh token in its body."""
        answer = await self.call(
            "POST", "/api/v1/auth/login", json={"username": username, "password": password, "client": "api"}, **more
        )
        assert answer.status == 200, answer
        return answer.body

    async def user(self, *, roles: tuple[str, ...] = (), permissions: tuple[str, ...] = ()) -> Any:
        """A new user with a name of its own, signed in: the login's answer."""
        name = f"user{next(self._numbers)}"
        made = await self.call(
            "POST", "/api/v1/users", token=self.admin,
            json={"username": name, "password": PASSWORD, "roles": roles, "permissions": permissions},
        )  # fmt: skip
        assert made.status == 201, made
        return await self.login(name)

    async def refused_socket(self, path: str, *, headers: Mapping[str, str] | None = None) -> int | None:
        """The close code, or the status, with which a WebSocket is refused; None where it is let in."""
        async with aiohttp.ClientSession() as session:
            try:
                async with session.ws_connect(self.url + path, headers=headers) as ws:
                    message = await ws.receive(timeout=10)
                    if message.type in {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED}:
                        return ws.close_code if ws.close_code in {4001, 4003} else None
                    return None
            except aiohttp.WSServerHandshakeError as error:
                return error.status
            except TimeoutError:
                return None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(settings: Settings) -> Iterator[House]:
    """A store and a gateway with these settings, set up by the one-time link, the administrator signed in."""
    where = settings.data_dir
    changed = {"listen": f"127.0.0.1:{free_port()}", "docker": False, "journal": False}
    settings = settings.model_copy(update=changed)
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PILOTHOUSE_")} | settings.environment()
    link = subprocess.run(
        [sys.executable, "-m", "pilothouse", "init"], env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()
    (where / "run").mkdir(mode=0o700)
    processes = []
    try:
        for name in ("store", "gateway"):
            with (where / f"{name}.log").open("wb") as log:
                command = [sys.executable, "-m", "pilothouse", name]
                processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        until = time.monotonic() + 30
        while not asyncio.run(is_ready(settings)):
            for process, name in zip(processes, ("store", "gateway"), strict=True):
                if process.poll() is not None:
                    pytest.fail(f"{name} ended: {(where / f'{name}.log').read_text()[-500:]}", pytrace=False)
            assert time.monotonic() < until, "the gateway did not start"
            time.sleep(0.05)
        one = House(settings)
        asyncio.run(set_up(one, link))
        yield one
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(20)


@pytest.fixture(scope="session")
def build_house() -> Callable[[Settings], AbstractContextManager[House]]:
    """For a suite that wants one on other settings."""
    return running


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One gateway for all tests. Those that change what others see make their own users."""
    with running(load({}, data_dir=tmp_path_factory.mktemp("house"))) as one:
        yield one


async def is_ready(settings: Settings) -> bool:
    """Whether both listen."""
    for address in ((socket.AF_INET, (settings.host, settings.port)), (socket.AF_UNIX, str(settings.store_socket))):
        with socket.socket(address[0]) as probe:
            if probe.connect_ex(address[1]):
                return False
    return True


async def set_up(house: House, link: str) -> None:
    """Use the one-time link, as the page does."""
    body = {"token": link.partition("#token=")[2], "username": ADMIN, "password": PASSWORD}
    made = await house.call("POST", "/api/v1/setup", json=body)
    assert made.status == 201, made
    house.admin = (await house.login())["access_token"]


@pytest.fixture
async def house_state(house: House) -> AsyncIterator[State]:
    """The gateway's own database, from beside it."""
    state = open_state(house.settings)
    yield state
    await state.close()
