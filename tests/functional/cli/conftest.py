"""The command line as a person runs it: real processes against a whole Pilothouse."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.served import PASSWORD, Served


@dataclass(frozen=True)
class Done:
    """How a command came out."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def fault(self) -> str:
        """The one line on stderr of a command that failed; nothing on stdout."""
        assert self.status == 1, self
        assert self.out == "", self
        (line,) = self.err.splitlines()
        assert line.startswith("pilothouse: "), line
        return line.removeprefix("pilothouse: ")


class Terminal:
    """Runs `pilothouse …` where a house lives, as its owner; `remote` runs it from elsewhere, by --url and key."""

    def __init__(self, house: Served, elsewhere: Path) -> None:
        self.house = house
        self.elsewhere = elsewhere
        key = house.call("POST", "/api/v1/auth/api-keys", {"name": "remote"})
        self.key = key["key"]

    @property
    def there(self) -> dict[str, str]:
        """The environment of another machine: it knows of no house."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.elsewhere),
            "PILOTHOUSE_DATA_DIR": str(self.elsewhere / "none"),
        }

    def run(self, *command: str, said: str = "", env: dict[str, str] | None = None, wide: bool = True) -> Done:
        environment = {**(env or self.house.environment), **({"COLUMNS": "200"} if wide else {})}
        done = subprocess.run(
            [sys.executable, "-m", "pilothouse", *command], env=environment, input=said.encode(), capture_output=True,
            cwd=self.elsewhere, timeout=60, check=False,
        )  # fmt: skip
        return Done(done.returncode, done.stdout.decode(), done.stderr.decode())

    def good(self, *command: str, **more: Any) -> Done:
        done = self.run(*command, **more)
        assert (done.status, done.err) == (0, ""), done
        return done

    def remote(self, *command: str, **more: Any) -> Done:
        return self.run(*command, "--url", self.house.url, "--key", self.key, env=self.there, **more)

    def start(self, *command: str) -> subprocess.Popen[str]:
        """A command that goes on."""
        return subprocess.Popen(
            [sys.executable, "-m", "pilothouse", *command], env=self.house.environment, cwd=self.elsewhere,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def log(self, service: str, *lines: str, **labels: str) -> None:
        now = time.time_ns()
        self.house.push(service, [(now + n * 1000, line) for n, line in enumerate(lines)], **labels)


@pytest.fixture(scope="session")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """One house for all tests that do not stop it."""
    where = tmp_path_factory.mktemp("cli")
    house = Served(where / "data", ADMIN_PASSWORD=PASSWORD)
    try:
        house.wait_for("ready in")
        (where / "elsewhere").mkdir()
        yield Terminal(house, where / "elsewhere")
    finally:
        house.stop()
