"""The embedded store against a real Loki: the same lines, the same questions, the same answers."""

import asyncio
import contextlib
import gzip
import json
import math
from pathlib import Path

import aiohttp
import uvicorn
from starlette.applications import Starlette

from pilothouse.core.times import DAY
from pilothouse.settings import load
from pilothouse.store.api import labels, push, query
from pilothouse.store.logs.store import LogStore

CASES = Path(__file__).parents[1] / "cases" / "loki"
ANSWERS = [json.loads(line) for line in gzip.decompress((CASES / "answers.jsonl.gz").read_bytes()).splitlines()]


def name_of(number):
    case = ANSWERS[number]
    return f"{number}-{case['path']}-{case['params'].get('query', case['params'].get('match[]', ''))}"


@contextlib.asynccontextmanager
async def serving(data_dir, socket):
    """The store's Loki API on a unix socket, with the corpus pushed to it."""
    settings = load({}, data_dir=data_dir, retention=36_500 * DAY)
    store = LogStore(settings)
    await store.open()
    routes = [*push.routes(store, settings), *query.routes(store, settings), *labels.routes(store, settings)]
    server = uvicorn.Server(
        uvicorn.Config(Starlette(routes=routes), uds=str(socket), log_level="error", lifespan="off")
    )

    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket))) as client:
            body = gzip.decompress((CASES / "push.json.gz").read_bytes())
            async with client.post(
                "http://store/loki/api/v1/push", data=body, headers={"Content-Type": "application/json"}
            ) as answer:
                assert answer.status == 204, await answer.text()
            yield store, client
    finally:
        server.should_exit = True
        await task
        await store.close()


async def ask(client, case):
    async with client.get(f"http://store/loki/api/v1/{case['path']}", params=case["params"]) as answer:
        text = await answer.text()
        return answer.status, json.loads(text) if answer.content_type == "application/json" else text


def comparable(body):
    """An answer with what Loki leaves to chance taken out: the order of series, and of streams."""
    data = body.get("data") if isinstance(body, dict) else body
    if isinstance(data, list):
        return sorted(json.dumps(item, sort_keys=True) for item in data)
    if not isinstance(data, dict):
        return data
    if data["resultType"] == "scalar":
        return ["scalar", data["result"]]
    rows = [
        [json.dumps(one.get("stream", one.get("metric")), sort_keys=True), one.get("values") or [one["value"]]]
        for one in data["result"]
    ]
    return [data["resultType"], sorted(rows, key=lambda row: row[0])]


def agree(ours, theirs):
    """Equal, but for the last bits of numbers in text."""
    if isinstance(ours, list) and isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(agree, ours, theirs))
    if ours == theirs:
        return True
    try:
        return math.isclose(float(ours), float(theirs), rel_tol=1e-9) or math.isnan(float(ours) + float(theirs))
    except (TypeError, ValueError):
        return False


async def differences(client):
    found = []
    for number, case in enumerate(ANSWERS):
        status, body = await ask(client, case)
        if case["status"] >= 400:
            same = status // 100 == case["status"] // 100
            if str(case["body"]).startswith("parse error"):
                same = same and body == case["body"].strip()
        else:
            same = status == case["status"] and agree(comparable(body), comparable(case["body"]))
        if not same:
            found.append(
                f"{name_of(number)}\n  theirs {case['status']} {comparable(case['body'])!s:.300}\n  ours   {status} {comparable(body)!s:.300}"
            )
    return found


async def test_answers_from_memory_are_those_of_a_real_loki(tmp_path):
    """All 179 answers agree while every line is in the head."""
    async with serving(tmp_path / "data", tmp_path / "s") as (store, client):
        assert store.head_rows == 1500
        assert not await differences(client)


async def test_answers_from_segments_are_those_of_a_real_loki(tmp_path):
    """All 179 answers agree once every line is in a segment."""
    async with serving(tmp_path / "data", tmp_path / "s") as (store, client):
        await store.flush()
        assert store.head_rows == 0
        assert not await differences(client)
