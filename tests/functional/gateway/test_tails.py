"""Live tails over the gateway's WebSocket: every line once, and what is missing is said."""

import asyncio
import contextlib
import json
import time
from collections import Counter
from datetime import UTC, datetime

import aiohttp
import pytest


async def test_a_line_comes_live_in_the_shape_of_the_api(house):
    """A pushed line reaches a tail in well under a second, as the REST API shows it too."""
    async with house.tail("shape", limit=0) as tail:
        await house.live("shape", tail)
        began = time.monotonic()
        await house.push("shape", ['{"level":"error","msg":"it broke"}'], project="shop")
        await tail.until(lambda t: any("it broke" in m for m in t.messages))
        assert time.monotonic() - began < 2
    live = next(line for line in tail.lines if "it broke" in line["message"])
    stored = await house.call("GET", "/api/v1/logs/shape", params={"search": "it broke"})
    assert stored.body["logs"] == [live]
    assert set(live) == {"timestamp", "level", "service", "message", "metadata", "cursor"}
    assert live["level"] == "ERROR"


async def test_the_backlog_comes_first(house):
    """`limit` newest stored lines, oldest first, then live ones."""
    await house.push("backlog", [f"line {n}" for n in range(10)])
    async with house.tail("backlog", limit=3) as tail:
        await tail.until(lambda t: len(t.lines) >= 3)
        assert tail.messages[:3] == ["line 7", "line 8", "line 9"]
        await house.push("backlog", ["after"])
        await tail.until(lambda t: "after" in t.messages)
    assert tail.messages == ["line 7", "line 8", "line 9", "after"]


async def test_everything_after_a_cursor_once_under_load(house):
    """Clients that come while lines are pushed get all after their cursor, each once, with no hole at the seam."""
    await house.push("seam", ["first"])
    start = (await house.call("GET", "/api/v1/logs/seam")).body["logs"][0]["cursor"]
    total, going = 0, True

    async def pour() -> None:
        nonlocal total
        while going:
            await house.push("seam", [f"line {n}" for n in range(total, total + 50)])
            total += 50

    async def follow(delay: float) -> list[str]:
        await asyncio.sleep(delay)
        async with house.tail("seam", since=start) as tail:
            await tail.until(lambda t: not going and len(set(t.messages)) >= total, seconds=20)
            await asyncio.sleep(0.3)
            return tail.messages

    followers = [asyncio.create_task(follow(0.25 * n)) for n in range(6)]
    pouring = asyncio.create_task(pour())
    await asyncio.sleep(3)
    going = False
    await pouring
    await house.push("seam", ["end"])
    total += 1
    for messages in await asyncio.gather(*followers):
        counted = Counter(messages)
        assert [m for m, n in counted.items() if n > 1] == []
        assert set(counted) == {"end"} | {f"line {n}" for n in range(total - 1)}


async def test_a_time_is_a_place_too(house):
    """`since` takes an RFC 3339 time as well as a cursor."""
    at = await house.push("times", ["old", "new"])
    moment = datetime.fromtimestamp(at / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S") + f".{at % 10**9:09d}Z"
    async with house.tail("times", since=moment) as tail:
        await tail.until(lambda t: len(t.lines) == 2)
    assert tail.messages == ["old", "new"]


async def test_filters_narrow_a_tail(house):
    """level and search keep lines out, stored and live; a search text is plain text."""
    await house.push("narrow", ["level=info a.c", "level=error abc", "level=error a.c"])
    async with house.tail("narrow", level="ERROR", search="a.c") as tail:
        await tail.until(lambda t: t.lines)
        await house.push("narrow", ["level=error a.c again", "level=info a.c no"])
        await tail.until(lambda t: len(t.lines) == 2)
        await asyncio.sleep(0.3)
    assert tail.messages == ["level=error a.c", "level=error a.c again"]


async def test_a_query_of_logql_is_followed(house):
    """/ws/logs?query= takes LogQL that gives lines."""
    async with house.tail("", query='{service_name=~"logql-.*"} |= "yes"', limit=10) as tail:
        await house.push("logql-a", ["yes a", "no a"])
        await house.push("logql-b", ["yes b"])
        await tail.until(lambda t: len(t.lines) == 2)
    assert sorted(tail.messages) == ["yes a", "yes b"]


async def test_pause_holds_and_resume_goes_on(house):
    """Nothing comes while paused, all of it after."""
    async with house.tail("pause", limit=0) as tail:
        await house.live("pause", tail)
        await tail.ws.send_json({"type": "pause"})
        await asyncio.sleep(0.2)
        await house.push("pause", [f"held {n}" for n in range(20)])
        with pytest.raises(TimeoutError):
            await tail.one(0.5)
        await tail.ws.send_json({"type": "resume"})
        await tail.until(lambda t: len([m for m in t.messages if m.startswith("held")]) == 20)
    assert not tail.of("gap")


async def test_what_a_slow_client_misses_is_told(house):
    """More than the queue holds: the oldest go, a gap names their number and range, and storage has them all."""
    async with house.tail("slow", limit=0) as tail:
        await house.live("slow", tail)
        await tail.ws.send_json({"type": "pause"})
        await asyncio.sleep(0.2)
        for part in range(13):
            await house.push("slow", [f"line {part * 1000 + n}" for n in range(1000)])
        await asyncio.sleep(1)
        await tail.ws.send_json({"type": "resume"})
        await tail.until(lambda t: "line 12999" in t.messages)
    got = [m for m in tail.messages if m.startswith("line ")]
    (gap,) = tail.of("gap")
    assert gap["dropped"] + len(got) == 13_000
    assert gap["dropped"] > 0
    fill = await house.call(
        "GET", "/api/v1/logs/slow",
        params={"start_time": gap["from"], "end_time": gap["to"], "limit": 10_000, "direction": "forward"},
    )  # fmt: skip
    missed = [line["message"] for line in fill.body["logs"]]
    assert set(missed) | set(got) == {f"line {n}" for n in range(13_000)}
    assert len(missed) == gap["dropped"]


async def test_a_client_that_acknowledges_is_not_overrun(house):
    """Once a client acks, no more than a bounded number of lines is on the way to it; acks let more come."""
    async with house.tail("acks", limit=0) as tail:
        await house.live("acks", tail)
        await tail.ws.send_json({"type": "ack", "cursor": tail.lines[-1]["cursor"]})
        await asyncio.sleep(0.2)
        for part in range(9):
            await house.push("acks", [f"line {part * 1000 + n}" for n in range(1000)])
        with contextlib.suppress(TimeoutError):
            while len(tail.lines) < 9_001:
                await tail.one(1.5)
        before = len(tail.lines)
        assert 5_000 <= before <= 5_600
        await tail.ws.send_json({"type": "ack", "cursor": tail.lines[-1]["cursor"]})
        await tail.until(lambda t: "line 8999" in t.messages)
    assert not tail.of("gap")


async def test_nonsense_from_a_client_is_an_error_frame(house):
    """The tail goes on after it."""
    async with house.tail("nonsense", limit=0) as tail:
        await house.live("nonsense", tail)
        await tail.ws.send_str("not json")
        await tail.ws.send_bytes(b"\xff\xfe")
        await tail.until(lambda t: len(t.of("error")) == 2)
        assert tail.of("error")[0]["error"]["code"] == "INVALID_FRAME"
        await house.push("nonsense", ["still here"])
        await tail.until(lambda t: "still here" in t.messages)


async def test_an_unknown_service_is_4004(house):
    """What never logged is told apart from what is quiet."""
    async with house.tail("never-was") as tail:
        code, reason = await tail.closed()
    assert (code, reason["error"]["code"]) == (4004, "UNKNOWN_SERVICE")


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"limit": "10001"}, "INVALID_REQUEST"),
        ({"limit": "-1"}, "INVALID_REQUEST"),
        ({"since": "yesterday"}, "INVALID_TIME"),
        ({"since": "z" * 32}, "INVALID_CURSOR"),
        ({"level": "LOUD"}, "INVALID_LEVEL"),
        ({"search": "(", "regex": "true"}, "INVALID_REGEX"),
    ],
)
async def test_a_wrong_parameter_is_said_in_the_close(house, params, code):
    """The reason is the envelope, and fits into a close frame."""
    await house.push("params", ["x"])
    async with house.tail("params", **params) as tail:
        closed, reason = await tail.closed()
    assert (closed, reason["error"]["code"]) == (4008, code)


async def test_a_scope_holds_on_a_tail(house):
    """A scoped reader gets lines of her project alone, stored and live, by service and by LogQL."""
    token = await house.user("scoped-tail", permissions=('logs:read{project="shop"}',))
    await house.push("scoped", ["shop line"], project="shop")
    await house.push("scoped", ["bank line"], project="bank")
    for service, params in (("scoped", {}), ("", {"query": '{service_name="scoped"}'})):
        async with house.tail(service, token=token, **params) as tail:
            await tail.until(lambda t: t.lines)
            await house.push("scoped", ["bank live"], project="bank")
            await house.push("scoped", ["shop live"], project="shop")
            await tail.until(lambda t: "shop live" in t.messages)
        assert not [m for m in tail.messages if "bank" in m]


async def test_who_may_not_read_logs_is_4003(house):
    """A viewer's socket is refused with the envelope, and the trail says so."""
    token = await house.user("tail-viewer", roles=("viewer",))
    async with house.tail("any", token=token) as tail:
        code, reason = await tail.closed()
    assert (code, reason["error"]["code"]) == (4003, "FORBIDDEN")
    trail = await house.call("GET", "/api/v1/audit", params={"actor": "tail-viewer", "action": "access.denied"})
    assert trail.body["entries"][0]["object"] == "/ws/logs/any"


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://{host}", "http://{host}.evil.example"])
async def test_another_sites_page_can_open_nothing(house, origin):
    """A wrong Origin is refused whatever else it brings."""
    given = origin.format(host=house.url.removeprefix("http://"))
    async with house.tail("any", headers={"Origin": given}) as tail:
        code, reason = await tail.closed()
    assert (code, reason["error"]["code"]) == (4003, "WRONG_ORIGIN")


async def test_our_own_page_comes_by_ticket_once(house):
    """A browser's socket: right Origin, one-use ticket for just this path."""
    await house.push("ticket", ["hello"])
    made = await house.call("POST", "/api/v1/auth/ws-ticket", json={"path": "/ws/logs/ticket"})
    ticket, headers = made.body["ticket"], {"Origin": house.url}
    async with house.tail("ticket", token="", headers=headers, ticket=ticket) as tail:
        await tail.until(lambda t: t.messages == ["hello"])
    async with house.tail("ticket", token="", headers=headers, ticket=ticket) as tail:
        code, reason = await tail.closed()
    assert (code, reason["error"]["code"]) == (4001, "INVALID_TICKET")


async def test_logout_closes_within_two_seconds(house):
    """A session's sockets end with 4001 soon after it; another's go on."""
    token = await house.user("leaver", roles=("developer",))
    await house.push("leave", ["x"])
    async with house.tail("leave", token=token) as tail, house.tail("leave") as other:
        await tail.until(lambda t: t.lines)
        await other.until(lambda t: t.lines)
        began = time.monotonic()
        assert (await house.call("POST", "/api/v1/auth/logout", token=token)).status == 204
        code, reason = await tail.closed()
        assert time.monotonic() - began < 2
        assert (code, reason["error"]["code"]) == (4001, "SESSION_ENDED")
        await house.push("leave", ["y"])
        await other.until(lambda t: "y" in t.messages)


async def test_a_changed_role_closes_within_two_seconds(house):
    """Whose rights change must connect again."""
    token = await house.user("demoted", roles=("developer",))
    (one,) = [u for u in (await house.call("GET", "/api/v1/users")).body["users"] if u["username"] == "demoted"]
    await house.push("role", ["x"])
    async with house.tail("role", token=token) as tail:
        await tail.until(lambda t: t.lines)
        began = time.monotonic()
        changed = await house.call("PATCH", f"/api/v1/users/{one['id']}", json={"roles": ["viewer"]})
        assert changed.status == 200, changed
        code, _ = await tail.closed()
        assert code == 4001
        assert time.monotonic() - began < 2


async def test_a_user_has_ten_sockets(house):
    """The eleventh is refused with 4008; when one closes there is room again."""
    token = await house.user("many", roles=("developer",))
    await house.push("many", ["x"])
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
        held = [await session.ws_connect(f"{house.url}/ws/logs/many") for _ in range(10)]
        for ws in held:
            assert (await ws.receive(timeout=10)).type is aiohttp.WSMsgType.TEXT
        more = await session.ws_connect(f"{house.url}/ws/logs/many")
        message = await more.receive(timeout=10)
        assert (message.data, json.loads(message.extra)["error"]["code"]) == (4008, "TOO_MANY_SOCKETS")
        await held.pop().close()
        again = await session.ws_connect(f"{house.url}/ws/logs/many")
        assert (await again.receive(timeout=10)).type is aiohttp.WSMsgType.TEXT


async def test_late_lines_come_too(house):
    """A line whose own time lies before the tail began is live when it arrives."""
    async with house.tail("late", limit=0) as tail:
        await house.live("late", tail)
        await house.push("late", ["a minute late"], at=time.time_ns() - 60 * 10**9)
        await tail.until(lambda t: "a minute late" in t.messages)


async def test_one_upstream_serves_all_who_ask_the_same(house):
    """Five clients of one query cost the backend one tail."""
    await house.push("fan", ["x"])
    async with house.tail("fan") as a, house.tail("fan") as b, house.tail("fan") as c:
        for tail in (a, b, c):
            await tail.until(lambda t: t.lines)
        text = (await house.call("GET", "/metrics")).body.decode()
        tails = [line for line in text.splitlines() if line.startswith("pilothouse_tails ")]
        sockets = [line for line in text.splitlines() if line.startswith("pilothouse_websockets ")]
        assert float(sockets[0].split()[1]) >= 3
        before = float(tails[0].split()[1])
        async with house.tail("fan") as d:
            await d.until(lambda t: t.lines)
            text = (await house.call("GET", "/metrics")).body.decode()
            assert f"pilothouse_tails {before}" in text


async def test_a_silent_tail_has_a_heartbeat(house):
    """Within 20 s, paused or not."""
    async with house.tail("beat", limit=0) as tail, house.tail("beat", limit=0) as paused:
        await paused.ws.send_json({"type": "pause"})
        assert (await tail.one(20))["type"] == "heartbeat"
        assert (await paused.one(5))["type"] == "heartbeat"


async def test_a_store_that_dies_leaves_no_hole(own_house):
    """kill -9 of the store under a tail: an error frame, then all that was acknowledged, each line once."""
    house = own_house
    async with house.tail("phoenix", limit=0) as tail:
        await house.live("phoenix", tail)
        for number in range(20):
            await house.push("phoenix", [f"before {number}"])
        house.kill("store")
        await tail.until(lambda t: t.of("error"))
        assert tail.of("error")[0]["error"]["code"] == "UPSTREAM_FAILED"
        await asyncio.to_thread(house.start, "store")
        for number in range(20):
            await house.push("phoenix", [f"after {number}"])
        wanted = [f"before {n}" for n in range(20)] + [f"after {n}" for n in range(20)]
        await tail.until(lambda t: set(wanted) <= set(t.messages), seconds=20)
        await asyncio.sleep(0.5)
        counted = Counter(m for m in tail.messages if not m.startswith("knock"))
    assert sorted(counted.elements()) == sorted(wanted)


async def test_sigterm_tells_the_sockets(own_house):
    """The gateway ends with a close frame for each socket, soon, and with status 0."""
    house = own_house
    await house.push("term", ["x"])
    async with house.tail("term") as tail:
        await tail.until(lambda t: t.lines)
        began = time.monotonic()
        house.terminate("gateway")
        code, _ = await tail.closed()
        assert code in {1001, 1012}
        assert await asyncio.to_thread(house.processes["gateway"].wait, 10) == 0
        assert time.monotonic() - began < 5
