"""A whole Pilothouse as a user runs it: `pilothouse serve`, and a client of its API."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

PASSWORD = "a quiet harbour at dawn"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Served:
    """One `pilothouse serve` with its own data directory and port, and what it said on stderr."""

    def __init__(self, data_dir: Path, **settings: str) -> None:
        self.port = free_port()
        self.data_dir = data_dir
        self._token = ""
        self.said = data_dir.with_suffix(".stderr")
        self.environment = {
            "PATH": os.environ["PATH"],
            "PILOTHOUSE_DATA_DIR": str(data_dir),
            "PILOTHOUSE_LISTEN": f"127.0.0.1:{self.port}",
            "PILOTHOUSE_DOCKER": "false",
            "PILOTHOUSE_JOURNAL": "false",
            **{f"PILOTHOUSE_{name}": value for name, value in settings.items()},
        }
        with self.said.open("ab") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "pilothouse", "serve"], env=self.environment, stderr=stderr, cwd=data_dir.parent
            )

    def stderr(self) -> str:
        return self.said.read_text()

    def wait_for(self, text: str, seconds: float = 30) -> str:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if text in self.stderr():
                return self.stderr()
            if self.process.poll() is not None:
                break
            time.sleep(0.05)
        raise AssertionError(f"{text!r} was not said: {self.stderr()}")

    def status(self, path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return 0

    def processes(self) -> dict[str, dict[str, int]]:
        return json.loads((self.data_dir / "run/processes.json").read_text())

    def until(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.stderr()
            time.sleep(0.05)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON that the administrator is answered; raises HTTPError."""
        if not self._token and not path.endswith("/auth/login"):
            asked = {"username": "admin", "password": PASSWORD, "client": "api"}
            self._token = self.call("POST", "/api/v1/auth/login", asked)["access_token"]
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {self._token}"} if self._token else {}
        )
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def push(self, service: str, lines: Sequence[tuple[int, str]], **labels: str) -> None:
        """Push lines as (nanoseconds, text) of one stream."""
        values = [[str(ts), line] for ts, line in lines]
        stream = {"stream": {"service_name": service, **labels}, "values": values}
        self.call("POST", "/loki/api/v1/push", {"streams": [stream]})

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)
