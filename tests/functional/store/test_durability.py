"""What a real store acknowledged over its socket outlives kill -9, damage, and disks that are full or read-only."""

import asyncio
import random
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest

LABELS = {"service_name": "load"}
ROUNDS, WORKERS, LINES = 20, 4, 25


async def test_every_acknowledged_line_is_there_once_after_twenty_kills(store) -> None:
    """Workers push, and push again what got no answer; kill -9 strikes at random; none is lost, none doubled."""
    acknowledged: set[str] = set()
    offered: set[str] = set()
    chance = random.Random(20)
    up = asyncio.Event()
    over = False

    async def push(worker: int) -> None:
        number = 0
        while not over:
            now = time.time_ns()
            values = [[str(now + n), f"w{worker} n{number + n}"] for n in range(LINES)]
            offered.update(line for _, line in values)
            while not over:
                try:
                    status, text = await store.push({**LABELS, "worker": str(worker)}, values)
                except aiohttp.ClientError:
                    await up.wait()
                    await asyncio.sleep(0.001)
                    continue
                assert status == 204, text
                acknowledged.update(line for _, line in values)
                break
            number += LINES

    async def flush() -> None:
        while not over:
            await asyncio.sleep(chance.uniform(0.05, 0.3))
            try:
                await store.post("/flush", b"", "text/plain")
            except aiohttp.ClientError:
                await up.wait()

    up.set()
    tasks = [asyncio.create_task(push(worker)) for worker in range(WORKERS)]
    tasks.append(asyncio.create_task(flush()))
    for _ in range(ROUNDS):
        await asyncio.sleep(chance.uniform(0.05, 0.5))
        up.clear()
        await store.kill()
        await store.start()
        up.set()
    over = True
    await asyncio.gather(*tasks)

    seen: dict[str, int] = {}
    for worker in range(WORKERS):
        for line, times in (await store.count_all(f'{{worker="{worker}"}}')).items():
            seen[line] = seen.get(line, 0) + times
    assert len(acknowledged) > ROUNDS * LINES
    assert not acknowledged - seen.keys(), "an acknowledged line is lost"
    assert not [line for line, times in seen.items() if times != 1], "a line is doubled"
    assert seen.keys() <= offered
    assert (await store.get("/ready"))[1]["set_aside"] == []


async def test_sigterm_flushes_and_ends_well(store) -> None:
    """After a stop the log is empty and a segment has the lines; the next start shows them."""
    await store.push(LABELS, [[str(time.time_ns()), "last words"]])
    assert await store.kill(signal.SIGTERM) == 0
    assert list((store.logs / "wal").iterdir()) == []
    assert len(list((store.logs / "segments").glob("*/*.parquet"))) == 1
    await store.start()
    assert await store.count('{service_name="load"}') == {"last words": 1}


async def test_a_changed_byte_in_the_log_is_set_aside_reported_and_costs_no_other_line(store) -> None:
    """/ready and /metrics say it, quarantine has it, all other lines are answered."""
    for number in range(3):
        await store.push(LABELS, [[str(time.time_ns()), f"line {number} " + "x" * 100]])
    await store.kill()
    (path,) = (store.logs / "wal").iterdir()
    raw = bytearray(path.read_bytes())
    raw[raw.find(b"line 1")] ^= 1
    path.write_bytes(bytes(raw))
    await store.start()
    (aside,) = (await store.get("/ready"))[1]["set_aside"]
    assert (store.logs / aside["file"]).stat().st_size == aside["bytes"]
    assert "pilothouse_store_wal_damage 1.0" in await store.text("/metrics")
    assert [line[:6] for _, _, line in await store.lines('{service_name="load"}')] == ["line 0", "line 2"]


async def test_a_deleted_segment_is_named_and_the_rest_is_answered(store) -> None:
    """The store starts without it and says which."""
    await store.push(LABELS, [[str(time.time_ns()), "lost"]])
    await store.post("/flush", b"", "text/plain")
    await store.push(LABELS, [[str(time.time_ns()), "kept"]])
    await store.kill(signal.SIGTERM)
    lost = min((store.logs / "segments").glob("*/*.parquet"))
    lost.unlink()
    await store.start()
    assert (await store.get("/ready"))[1]["damaged_segments"] == [str(lost.relative_to(store.logs))]
    assert await store.count('{service_name="load"}') == {"kept": 1}


async def test_two_stores_never_share_a_directory(store, make_store) -> None:
    """The second says so in one line and ends with status 1; the first goes on."""
    second = await asyncio.create_subprocess_exec(
        *store.command, env=store.environment, stderr=subprocess.PIPE, cwd=store.data.parent
    )
    _, said = await asyncio.wait_for(second.communicate(), 30)
    assert second.returncode == 1
    assert said.decode().splitlines() == [f"pilothouse store: another store is running on {store.logs}"]
    assert (await store.get("/ready"))[0] == 200


@pytest.fixture
async def small_disk(make_store: Callable[..., object]) -> AsyncIterator[object]:
    """A store whose logs are on a file system of their own, of 3 MB."""
    where = Path(tempfile.mkdtemp(prefix="ph-"))
    store = make_store(where / "data")
    store.logs.mkdir(mode=0o700, parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", store.logs]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        shutil.rmtree(where)
        pytest.skip("only root can mount a small disk")
    try:
        await store.start()
        yield store
    finally:
        await store.stop()
        subprocess.run(["umount", "-l", store.logs], check=True)
        shutil.rmtree(where)


def remount(store: object, options: str) -> None:
    """Change the store's file system under it."""
    subprocess.run(["mount", "-o", f"remount,{options}", store.logs], check=True)


async def test_a_full_disk_refuses_in_words_loses_nothing_and_mends_by_itself(small_disk) -> None:
    """507 while there is no room; every line acknowledged before is answered; with room, pushes work again."""
    store = small_disk
    kept, number = {}, 0
    while True:
        line = f"{number} " + random.Random(number).randbytes(10_000).hex()
        status, text = await store.push(LABELS, [[str(time.time_ns()), line]])
        if status != 204:
            break
        kept[line] = 1
        number += 1
        assert number < 1000
    assert status == 507
    assert "the disk is full: nothing of this push was kept" in text
    assert any("disk is full" in one for one in (await store.get("/ready"))[1]["trouble"])
    assert await store.count('{service_name="load"}') == kept
    remount(store, "size=30m")
    status, text = await store.push(LABELS, [[str(time.time_ns()), line]])
    assert status == 204, text
    kept[line] = 1
    await store.kill()
    await store.start()
    assert await store.count('{service_name="load"}') == kept
    detail = (await store.get("/ready"))[1]
    assert (detail["trouble"], detail["set_aside"]) == ([], [])


async def test_a_disk_that_turns_read_only_refuses_and_mends_by_itself(small_disk) -> None:
    """Pushes are refused with the system's reason, what is held is answered, and writing again needs no restart."""
    store = small_disk
    await store.push(LABELS, [[str(time.time_ns()), "before"]])
    await store.post("/flush", b"", "text/plain")  # no file is open for writing, so that the remount is allowed
    remount(store, "ro")
    status, text = await store.push(LABELS, [[str(time.time_ns()), "refused"]])
    assert status == 503
    assert "Read-only file system" in text
    assert await store.count('{service_name="load"}') == {"before": 1}
    remount(store, "rw")
    assert (await store.push(LABELS, [[str(time.time_ns()), "after"]]))[0] == 204
    assert await store.count('{service_name="load"}') == {"before": 1, "after": 1}


async def test_a_read_only_directory_stops_the_start_in_one_line(small_disk) -> None:
    """The store says what it can't write and ends with status 1."""
    store = small_disk
    await store.kill(signal.SIGTERM)
    remount(store, "ro")
    process = await asyncio.create_subprocess_exec(
        *store.command, env=store.environment, stderr=subprocess.PIPE, cwd="/"
    )
    _, said = await asyncio.wait_for(process.communicate(), 30)
    remount(store, "rw")
    assert process.returncode == 1
    (line,) = said.decode().splitlines()
    assert line.startswith("pilothouse store: ")
    assert "Read-only file system" in line
