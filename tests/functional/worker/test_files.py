"""Files are read to the last line, each exactly once: through rotation, truncation, crashes and the store's absence."""

import asyncio
import gzip
import os
import shutil
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.functional.store.conftest import StoreProcess
from tests.functional.worker.conftest import WorkerProcess, settled, until

MakeWorker = Callable[..., Awaitable[WorkerProcess]]
ALL = '{service_name="app"}'


def numbered(first: int, last: int) -> list[str]:
    return [f"line {i} of the application, of some length" for i in range(first, last)]


def append(path: Path, lines: list[str], end: str = "\n") -> None:
    with path.open("a") as file:
        file.write("".join(line + end for line in lines))


async def test_what_is_there_and_what_comes(store: StoreProcess, logs: Path, make_worker: MakeWorker) -> None:
    """A file is read from its start and followed; one that appears later too; labels and metadata tell which."""
    append(logs / "app.log", ["there before"])
    await make_worker(LOG_FILES=f"app={logs}/*.log,{logs}/deep/**/other.txt")
    append(logs / "app.log", ["there after"])
    await settled(store, ALL, ["there before", "there after"], ordered=True)
    (logs / "deep" / "er").mkdir(parents=True)
    append(logs / "deep" / "er" / "other.txt", ["appeared later"])
    await settled(store, '{service_name="other"}', ["appeared later"])
    labels = (await store.lines('{service_name="other"}'))[0][0]
    assert labels["host"] == "here"
    assert labels["filename"] == str(logs / "deep" / "er" / "other.txt")


async def test_texts_of_all_kinds(store: StoreProcess, logs: Path, make_worker: MakeWorker) -> None:
    """Invalid UTF-8 stays readable, CR LF is an end, empty lines are none, the last line needs no newline."""
    (logs / "app.log").write_bytes(b"caf\xe9\r\n\n\r\n\xe2\x82\xac and \x00 and \xff\nthe last")
    await make_worker(LOG_FILES=f"{logs}/app.log")
    await settled(store, ALL, ["caf\\xe9", "€ and \0 and \\xff", "the last"], ordered=True)
    append(logs / "app.log", [" has no end, and gets", "more"])
    await settled(
        store, ALL, ["caf\\xe9", "€ and \0 and \\xff", "the last", " has no end, and gets", "more"], ordered=True
    )


async def test_a_line_written_in_two_halves_is_one(store: StoreProcess, logs: Path, make_worker: MakeWorker) -> None:
    """A program with a buffered output writes in the middle of a line: the halves wait for each other."""
    append(logs / "app.log", ["one"])
    await make_worker(LOG_FILES=f"{logs}/app.log")
    await settled(store, ALL, ["one"])
    append(logs / "app.log", ["first half,"], end="")
    await asyncio.sleep(1.5)
    append(logs / "app.log", [" second half"])
    await settled(store, ALL, ["one", "first half, second half"])


async def test_long_lines_are_cut_and_marked(store: StoreProcess, logs: Path, make_worker: MakeWorker) -> None:
    """Over 256 kB a line is kept, cut, and says how long it was; short lines around it are whole."""
    lines = ["short", "x" * 300_000, "between", "y" * (256 * 1024), "é" * 200_000, "z" * 3_000_000, "end"]
    append(logs / "app.log", lines)
    await make_worker(LOG_FILES=f"{logs}/app.log")
    limit = 256 * 1024
    pieces = ["z" * limit] * 3  # without a newline within 1 MB, a piece is a line

    async def check() -> None:
        found = await store.lines(ALL)
        assert [text for _, _, text in found] == [
            "short", "x" * limit, "between", "y" * limit, "é" * (limit // 2), *pieces, "end",
        ]  # fmt: skip
        assert [labels.get("truncated", "") for labels, _, _ in found] == [
            "", "300000", "", "", "400000", "1048576", "1048576", "902848", "",
        ]  # fmt: skip

    await until(check)


async def test_stack_traces_are_joined(store: StoreProcess, logs: Path, make_worker: MakeWorker) -> None:
    """A trace is one line of the log, though it is written piece by piece."""
    trace = [
        "ERROR it failed",
        "Traceback (most recent call last):",
        '  File "x", line 1',
        "    boom()",
        "ValueError: y",
    ]
    append(logs / "app.log", ["before"])
    await make_worker(LOG_FILES=f"{logs}/app.log")
    for line in trace:
        append(logs / "app.log", [line])
        await asyncio.sleep(0.02)
    append(logs / "app.log", ["after"])
    await settled(store, ALL, ["before", "\n".join(trace), "after"], ordered=True)


async def test_times_that_lines_tell(store: StoreProcess, logs: Path, make_worker: MakeWorker) -> None:
    """A line with a time has it; alike lines of one second are all kept, in order."""
    second = time.time_ns() // 10**9 - 3600
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
    lines = [f"{stamp} GET / 200"] * 5 + [f"{stamp} GET /x 200", "no time"]
    append(logs / "app.log", lines[:3])
    await make_worker(LOG_FILES=f"{logs}/app.log")

    async def check(count: int) -> None:
        found = await store.lines(ALL)
        assert [text for _, _, text in found] == lines[:count]
        assert [ts for _, ts, text in found if "GET" in text] == [second * 10**9 + i for i in range(min(count, 6))]

    await until(lambda: check(3))
    append(logs / "app.log", lines[3:])
    await until(lambda: check(7))


async def test_rename_rotation_under_load(store: StoreProcess, logs: Path, make_worker: MakeWorker) -> None:
    """A writer that rotates as it writes, in its old file for a while after: nothing missing, nothing twice."""
    await make_worker(LOG_FILES=f"{logs}/app.log")
    lines = numbered(0, 20_001)
    path = logs / "app.log"
    append(path, lines[20_000:])
    await settled(store, ALL, lines[20_000:])
    file = path.open("a")
    for turn in range(20):
        part = lines[turn * 1000 : (turn + 1) * 1000]
        file.write("\n".join(part[:800]) + "\n")
        file.flush()
        for old in range(turn, 0, -1):
            with_number = logs / f"app.log.{old}"
            if with_number.exists():
                with_number.rename(logs / f"app.log.{old + 1}")
        path.rename(logs / "app.log.1")
        file.write("\n".join(part[800:]) + "\n")
        file.close()
        file = path.open("a")
        await asyncio.sleep(0.05 * (turn % 5))
    file.close()
    await settled(store, ALL, lines)


async def test_rotated_names_that_the_glob_matches(store: StoreProcess, logs: Path, make_worker: MakeWorker) -> None:
    """With a glob that matches rotated names too, a renamed file is known; gzip'd ones are passed over."""
    first, second, third = numbered(0, 500), numbered(500, 1000), numbered(1000, 1500)
    append(logs / "app.log", first)
    await make_worker(LOG_FILES=f"app={logs}/app.log*")
    await settled(store, ALL, first)
    (logs / "app.log").rename(logs / "app.log.1")
    append(logs / "app.log", second)
    await settled(store, ALL, first + second)
    packed = logs / "app.log.2.gz"
    packed.write_bytes(gzip.compress((logs / "app.log.1").read_bytes()))
    (logs / "app.log.1").unlink()
    (logs / "app.log").rename(logs / "app.log.1")
    append(logs / "app.log", third)
    shutil.copy(packed, logs / "app.log-by-another-name")
    await settled(store, ALL, first + second + third)


async def test_truncation(store: StoreProcess, logs: Path, make_worker: MakeWorker) -> None:
    """A file that is cut to nothing is read from its start, also where it has grown past its old length at once."""
    first, second, third = numbered(0, 100), numbered(100, 200), numbered(200, 900)
    append(logs / "app.log", first)
    await make_worker(LOG_FILES=f"{logs}/app.log")
    await settled(store, ALL, first)
    (logs / "app.log").write_text("")
    await asyncio.sleep(0.5)
    append(logs / "app.log", second)
    await settled(store, ALL, first + second)
    (logs / "app.log").write_text("\n".join(third) + "\n")
    await settled(store, ALL, first + second + third)
    # The same length to the byte, another content.
    fourth = [line.replace("line", "LINE") for line in third]
    (logs / "app.log").write_text("\n".join(fourth) + "\n")
    await settled(store, ALL, first + second + third + fourth)


async def test_copytruncate_under_load(store: StoreProcess, logs: Path, make_worker: MakeWorker) -> None:
    """What was written but not yet read when the file was truncated is read from the copy, and only that."""
    for glob in (f"app={logs}/app.log", f"star={logs}/star.log*"):
        name = glob.partition("=")[0]
        worker = await make_worker(LOG_FILES=glob)
        lines = numbered(0, 20_000)
        path = logs / f"{name}.log"
        for turn in range(8):
            append(path, lines[turn * 2500 : (turn + 1) * 2500])
            for old in range(8, 0, -1):
                if (logs / f"{name}.log.{old}").exists():
                    (logs / f"{name}.log.{old}").rename(logs / f"{name}.log.{old + 1}")
            # Read a little or nothing of what was just written, then copied and truncated.
            await asyncio.sleep(0.3 if turn == 0 else 0.15 * (turn % 3))
            shutil.copyfile(path, logs / f"{name}.log.1")
            os.truncate(path, 0)
            await asyncio.sleep(0.7)
        await settled(store, f'{{service_name="{name}"}}', lines)
        await worker.stop()


async def test_a_copy_that_takes_its_time(store: StoreProcess, logs: Path, make_worker: MakeWorker) -> None:
    """A copy that is empty at first, then half there, is no new file; what it has more than was read is read once."""
    path, copy = logs / "app.log", logs / "app.log.1"
    append(path, numbered(0, 500))
    await make_worker(LOG_FILES=f"app={logs}/app.log*")
    await settled(store, ALL, numbered(0, 500))
    copy.touch()
    await asyncio.sleep(1.2)
    text = path.read_bytes()
    copy.write_bytes(text[: len(text) // 2])
    await asyncio.sleep(1.2)
    append(path, numbered(500, 600))
    shutil.copyfile(path, copy)
    os.truncate(path, 0)
    await settled(store, ALL, numbered(0, 600))
    append(path, numbered(600, 700))
    await settled(store, ALL, numbered(0, 700))


async def test_an_inode_used_again(store: StoreProcess, logs: Path, make_worker: MakeWorker) -> None:
    """A new file that gets the inode of a removed one is read from its start, before and after a restart."""
    path = logs / "app.log"
    lines = []
    worker = await make_worker(LOG_FILES=f"{logs}/app.log")
    for turn in range(4):
        part = [f"turn {turn} line {i}" for i in range(50 + turn)]
        append(path, part)
        lines += part
        await settled(store, ALL, lines)
        if turn % 2:
            await worker.end()
        path.unlink()
        append(path, [f"turn {turn} anew {i}" for i in range(60 + turn)])
        lines += [f"turn {turn} anew {i}" for i in range(60 + turn)]
        if turn % 2:
            await worker.start()
        await settled(store, ALL, lines)


async def test_rotated_while_nobody_looked(store: StoreProcess, logs: Path, make_worker: MakeWorker) -> None:
    """Lines written before, between and after two rotations while the worker was away are read; what was before not."""
    append(logs / "app.log.1", ["from before anybody looked"])
    os.utime(logs / "app.log.1", (time.time() - 3600, time.time() - 3600))
    append(logs / "app.log", numbered(0, 100))
    worker = await make_worker(LOG_FILES=f"{logs}/app.log")
    await settled(store, ALL, numbered(0, 100))
    await worker.end()
    (logs / "app.log.1").rename(logs / "app.log.3")
    append(logs / "app.log", numbered(100, 200))
    (logs / "app.log").rename(logs / "app.log.2")
    append(logs / "app.log", numbered(200, 300))
    (logs / "app.log").rename(logs / "app.log.1")
    append(logs / "app.log", numbered(300, 400))
    await worker.start()
    await settled(store, ALL, numbered(0, 400), ordered=True)


async def test_copied_and_truncated_while_nobody_looked(
    store: StoreProcess, logs: Path, make_worker: MakeWorker
) -> None:
    """The same by copytruncate: the rest of the file is in its copy."""
    append(logs / "app.log", numbered(0, 100))
    worker = await make_worker(LOG_FILES=f"{logs}/app.log")
    await settled(store, ALL, numbered(0, 100))
    await worker.end()
    append(logs / "app.log", numbered(100, 200))
    shutil.copyfile(logs / "app.log", logs / "app.log.1")
    os.truncate(logs / "app.log", 0)
    append(logs / "app.log", numbered(200, 300))
    await worker.start()
    await settled(store, ALL, numbered(0, 300), ordered=True)


async def test_a_late_writer_to_a_rotated_file(store: StoreProcess, logs: Path, make_worker: MakeWorker) -> None:
    """A program that keeps writing to its renamed file, long after, is heard."""
    append(logs / "app.log", ["before"])
    await make_worker(LOG_FILES=f"{logs}/app.log")
    await settled(store, ALL, ["before"])
    (logs / "app.log").rename(logs / "app.log.1")
    append(logs / "app.log", ["new file"])
    await asyncio.sleep(7)
    append(logs / "app.log.1", ["late in the old file"])
    await settled(store, ALL, ["before", "new file", "late in the old file"])


async def test_killed_in_the_middle_again_and_again(store: StoreProcess, logs: Path, make_worker: MakeWorker) -> None:
    """kill -9 of the worker while files grow, with traces, rotation and lines without a time: each line exactly once."""
    worker = await make_worker(LOG_FILES=f"{logs}/app.log")
    lines = ["seen at first"]
    append(logs / "app.log", lines)
    await settled(store, ALL, lines)
    done = asyncio.Event()

    async def write() -> None:
        number = 0
        while not done.is_set():
            batch = []
            for _ in range(40):
                number += 1
                batch.append(f"line {number}")
                if number % 37 == 0:
                    batch.append(
                        f"ERROR {number}\nTraceback (most recent call last):\n  File {number}\nValueError: {number}"
                    )
            append(logs / "app.log", batch)
            lines.extend(batch)
            if number % 2000 == 0:
                (logs / "app.log").rename(logs / f"app.log.{number}")
            await asyncio.sleep(0.01)

    writing = asyncio.create_task(write())
    for turn in range(12):
        await asyncio.sleep(0.1 + 0.07 * turn)
        await worker.restart()
    done.set()
    await writing
    await settled(store, ALL, lines)


async def test_the_store_away_for_a_while(store: StoreProcess, logs: Path, make_worker: MakeWorker) -> None:
    """The worker waits, says so, holds what is rotated away meanwhile, and reads on: nothing is missing."""
    worker = await make_worker(LOG_FILES=f"{logs}/app.log")
    append(logs / "app.log", numbered(0, 1000))
    await settled(store, ALL, numbered(0, 1000))
    await store.kill(signal.SIGTERM)
    append(logs / "app.log", numbered(1000, 2000))

    async def waits() -> None:
        figures = await worker.figures()
        assert figures['pilothouse_worker_waiting{source="file:app"}'] == 1
        assert figures['pilothouse_worker_retries_total{source="file:app"}'] > 0
        assert figures['pilothouse_worker_lag_seconds{source="file:app"}'] > 0

    await until(waits)
    assert "the log backend is away" in worker.said()
    (logs / "app.log").rename(logs / "app.log.1")
    append(logs / "app.log", numbered(2000, 3000))
    await asyncio.sleep(1.5)
    (logs / "app.log.1").unlink()
    (logs / "app.log").rename(logs / "app.log.1")
    append(logs / "app.log", numbered(3000, 4000))
    await asyncio.sleep(1.5)
    await store.start()
    await settled(store, ALL, numbered(0, 4000), ordered=True)
    assert (await worker.figures())['pilothouse_worker_waiting{source="file:app"}'] == 0


async def test_store_and_worker_killed_together(store: StoreProcess, logs: Path, make_worker: MakeWorker) -> None:
    """kill -9 of both, at any moment of a load, in any order: each line exactly once."""
    worker = await make_worker(LOG_FILES=f"{logs}/app.log")
    lines = numbered(0, 60_000)
    for turn in range(6):
        append(logs / "app.log", lines[turn * 10_000 : (turn + 1) * 10_000])
        await asyncio.sleep(0.1 + 0.1 * turn)
        if turn % 2:
            await store.kill()
            await worker.end()
        else:
            await worker.end()
            await store.kill()
        await store.start()
        await worker.start()
    await settled(store, ALL, lines)


async def test_what_the_store_refuses_is_told(store: StoreProcess, logs: Path, make_worker: MakeWorker) -> None:
    """Labels that no store takes are counted and told with its words; other files go on."""
    bad = "n" * 2100
    append(logs / "bad.txt", ["refused"])
    append(logs / "app.log", ["taken"])
    worker = await make_worker(LOG_FILES=f"{logs}/app.log,{bad}={logs}/bad.txt")
    await settled(store, ALL, ["taken"])

    async def told() -> None:
        assert "the log backend refused lines" in worker.said()
        figures = await worker.figures()
        assert figures[f'pilothouse_worker_lines_refused_total{{source="file:{bad}"}}'] == 1

    await until(told)


async def test_metrics_of_a_file(store: StoreProcess, logs: Path, make_worker: MakeWorker) -> None:
    """/metrics tells lines, bytes, lag and what is still to be read, for each source."""
    append(logs / "app.log", numbered(0, 100))
    worker = await make_worker(LOG_FILES=f"{logs}/app.log")
    await settled(store, ALL, numbered(0, 100))
    figures = await worker.figures()
    assert figures['pilothouse_worker_lines_total{source="file:app"}'] == 100
    assert figures['pilothouse_worker_bytes_total{source="file:app"}'] == sum(map(len, numbered(0, 100)))
    assert 0 <= figures['pilothouse_worker_lag_seconds{source="file:app"}'] < 60
    assert figures[f'pilothouse_worker_file_bytes_behind{{file="{logs}/app.log",source="file:app"}}'] == 0
    assert figures['pilothouse_worker_waiting{source="file:app"}'] == 0
    await store.kill(signal.SIGTERM)
    append(logs / "app.log", ["x" * 99])

    async def behind() -> None:
        figures = await worker.figures()
        assert figures[f'pilothouse_worker_file_bytes_behind{{file="{logs}/app.log",source="file:app"}}'] == 100

    await until(behind)
    await store.start()


async def test_a_file_that_may_not_be_read(store: StoreProcess, logs: Path, make_worker: MakeWorker) -> None:
    """What matches but is no file that can be read is passed over; the others go on."""
    (logs / "a.log").mkdir()
    os.mkfifo(logs / "b.log")
    (logs / "c.log").symlink_to(logs / "nowhere")
    (logs / "d.log").symlink_to(logs / "real")
    append(logs / "real", ["by a link"])
    await make_worker(LOG_FILES=f"app={logs}/*.log")
    await settled(store, ALL, ["by a link"])


async def test_own_logs(store: StoreProcess, make_worker: MakeWorker) -> None:
    """Pilothouse's own log is a source like any other: what the worker says can be read in the store."""
    worker = await make_worker(LOG_FILES="/nowhere/*.log")
    own = store.data / "own"
    append(
        own / "gateway.log",
        [time.strftime('{"timestamp":"%FT%TZ","level":"ERROR","message":"said"}', time.gmtime())],
    )

    async def check() -> None:
        found = await store.lines('{project="pilothouse", service_name="pilothouse-gateway"} | detected_level="error"')
        assert len(found) == 1

    await until(check)
    await worker.restart(signal.SIGTERM)
    await until(check)


async def test_damaged_positions(store: StoreProcess, logs: Path, make_worker: MakeWorker) -> None:
    """A torn file of positions is set aside and told; lines that tell their time are not there twice."""
    now = time.time_ns() // 10**9
    lines = [time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now - 300 + i)) + f" line {i}" for i in range(200)]
    append(logs / "app.log", lines)
    worker = await make_worker(LOG_FILES=f"{logs}/app.log")
    await settled(store, ALL, lines)
    await worker.end()
    path = store.data / "positions" / "files.json"
    path.write_bytes(path.read_bytes()[:-20])
    await worker.start()
    await settled(store, ALL, lines)
    assert "positions were damaged" in worker.said()
