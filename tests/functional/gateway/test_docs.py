"""docs/api.md says what the app does."""

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest

from pilothouse.core import errors
from pilothouse.gateway.routes import ROUTES
from pilothouse.gateway.table import Kind

PAGE = (Path(__file__).parents[3] / "docs" / "api.md").read_text()
ROWS = dict(re.findall(r"^\| `((?:GET|POST|PUT|PATCH|DELETE|WS) /\S*)` \| `?([a-z:]+)`? \|", PAGE, re.MULTILINE))
"""What a route needs, by `METHOD /path`, as the page says it."""


def named(route):
    return f"{'WS' if route.kind is Kind.WEBSOCKET else route.method} {route.path}"


@pytest.mark.parametrize("route", ROUTES, ids=named)
def test_every_route_is_on_the_page(route):
    """In a table, with what it needs."""
    assert ROWS.get(named(route)) == route.needs.value


def test_the_page_names_no_route_that_is_not_there():
    """Neither in a table nor in the text and the examples."""
    assert set(ROWS) == {named(route) for route in ROUTES}
    patterns = [re.compile(re.sub(r"\\\{[^}]*\\\}", ".+", re.escape(route.path)) + r"\Z") for route in ROUTES]
    for path in re.findall(r"(?:\$PH|`(?:GET |POST )?)(/(?:api|ws|loki|otlp)/[\w/.{}:-]+)", PAGE):
        assert any(pattern.match(path) for pattern in patterns), path


def test_every_kind_of_error_is_on_the_page():
    """With its status and its code."""
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.PilothouseError)
    ]
    for kind in kinds:
        (row,) = [line for line in PAGE.splitlines() if f"`{kind.default_code}`" in line and line.startswith("| ")]
        assert str(kind.status) in row.split("|")[1]


def examples():
    """The commands of the page: lines that begin with four spaces and a command, with those that go on from them."""
    blocks = re.findall(r"(?:^    .*\n)+", PAGE, re.MULTILINE)
    return [block for block in blocks if re.match(r" +(?:curl|page=)", block)]


async def test_the_examples_work(house, tmp_path):
    """Each command of the page, run as it stands by a shell."""
    assert shutil.which("curl")
    key = await house.key("logs:read", "logs:write")
    await house.push("api", ['{"user": "ann", "level": "error"}', *(f"line {n}" for n in range(150))])
    assert len(examples()) >= 4
    (tmp_path / "jq").write_text(
        "#!/bin/sh\nexec python3 -c 'import json, sys\nvalue = json.load(sys.stdin)\n"
        'for name in sys.argv[2].split(".")[1:]: value = value[name]\nprint(value)\' "$@"\n'
    )
    (tmp_path / "jq").chmod(0o755)
    for block in examples():
        script = block.replace('"password": "…"', '"password": "a quiet harbour at dawn"').replace(
            "curl -s", "curl -sS -f"
        )
        process = await asyncio.create_subprocess_exec(
            "bash", "-euo", "pipefail", "-c", script, cwd=tmp_path,
            env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "PH": house.url, "KEY": key},
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await asyncio.wait_for(process.communicate(), 60)
        assert (process.returncode, err) == (0, b""), (script, out, err)
    assert (tmp_path / "api.csv").read_text().count("\n") == 152
    assert (await house.get("cron")).body["logs"][0]["metadata"]["job_id"] == "7"
