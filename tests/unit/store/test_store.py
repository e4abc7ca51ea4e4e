"""A line that was acknowledged is held exactly once: through flush, merge, restart, repetition and full disks."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from pilothouse.core.errors import StorageFull, Unavailable
from pilothouse.core.times import DAY, HOUR, now_ns
from pilothouse.settings import Settings
from pilothouse.store.logs import manifest, wal
from pilothouse.store.logs import store as store_module
from pilothouse.store.logs.store import LogStore


@pytest.fixture
def fresh(settings: Settings) -> Callable[[], LogStore]:
    """Another store on the same directory, not opened yet."""
    return lambda: LogStore(settings)


async def abandon(store: LogStore) -> None:
    """Leave a store as `kill -9` would: nothing is flushed."""
    store._upkeep.cancel()
    await asyncio.gather(store._upkeep, return_exceptions=True)
    await store._wal.close()


async def test_lines_can_be_queried_as_soon_as_they_are_acknowledged(store, stream, held, rows_of) -> None:
    """The head shows what append has returned for."""
    given = stream("api", ["one", "two", "three"])
    await store.append([given])
    assert held(store) == rows_of(given)


async def test_lines_come_back_after_a_crash(fresh, stream, held, rows_of) -> None:
    """What was never flushed is replayed, with its streams, order, levels and metadata."""
    first = fresh()
    await first.open()
    given = [stream("api", ["info: one", "[error] two"]), stream("web", ["x" * 1000])]
    given[0].metadata = [{"trace_id": "ab"}, None]
    await first.append(given)
    await first.append([late := stream("db", ["later"])])
    await abandon(first)
    again = fresh()
    await again.open()
    assert held(again) == rows_of(*given, late)
    head = again.snapshot().head
    assert head["metadata"].to_pylist()[:2] == [[("trace_id", "ab")], None]
    assert head["level"].to_pylist()[:2] == [3, 5]
    await again.close()


async def test_flush_moves_lines_to_a_segment_and_forgets_their_log(store, settings, stream, held, rows_of) -> None:
    """After a flush the same lines are shown, now from a file, and the files of the log are gone."""
    given = stream("api", [f"line {n}" for n in range(1000)])
    await store.append([given])
    await store.flush()
    assert store.head_rows == 0
    assert held(store) == rows_of(given)
    assert wal.files(settings.logs_dir / "wal") == []


async def test_lines_of_two_days_go_to_two_directories(store, settings, stream, held, rows_of) -> None:
    """A day is a directory, so that retention can drop whole files."""
    today, yesterday = stream("api", ["today"]), stream("api", ["yesterday"], start=now_ns() - DAY)
    await store.append([yesterday, today])
    await store.flush()
    assert len(list((settings.logs_dir / "segments").iterdir())) == 2
    assert held(store) == rows_of(today, yesterday)


@pytest.mark.parametrize("when", ["before the manifest", "before the log is removed"])
async def test_a_crash_within_a_flush_neither_loses_nor_doubles(
    when, fresh, stream, held, rows_of, monkeypatch
) -> None:
    """The manifest decides: before it is replaced the log counts, after it the segment does."""
    first = fresh()
    await first.open()
    await first.append([given := stream("api", [f"line {n}" for n in range(100)])])

    def crash(*_: object) -> None:
        raise OSError("power failed")

    with monkeypatch.context() as patch:
        if when == "before the manifest":
            patch.setattr(manifest, "save", crash)
        else:
            patch.setattr(first._wal, "remove_before", crash)
        with pytest.raises(OSError, match="power failed"):
            await first.flush()
    await abandon(first)
    again = fresh()
    await again.open()
    assert held(again) == rows_of(given)
    await again.flush()
    assert held(again) == rows_of(given)
    await again.close()


async def test_lines_that_arrive_while_a_flush_runs_are_kept_once(fresh, stream, held, rows_of) -> None:
    """Pushes and flushes race, a crash follows, and every acknowledged line is there once."""
    first = fresh()
    await first.open()
    given = []

    async def push(worker: int) -> None:
        for turn in range(40):
            one = stream(f"s{worker}", [f"{worker} {turn} {n}" for n in range(20)])
            await first.append([one])
            given.append(one)

    async def flush() -> None:
        for _ in range(15):
            await first.flush()
            assert held(first).keys() >= rows_of(*given).keys()

    await asyncio.gather(*(push(worker) for worker in range(4)), flush())
    assert held(first) == rows_of(*given)
    await abandon(first)
    again = fresh()
    await again.open()
    assert held(again) == rows_of(*given)
    await again.close()


async def test_merge_keeps_every_row_in_order(store, stream, held, rows_of) -> None:
    """Eight segments become one that is sorted by stream and time, with nothing lost or doubled."""
    given, base = [], now_ns() - HOUR
    for turn in range(8):
        batch = [
            stream(f"s{n}", [f"{turn} {n} {i}" for i in range(700)], start=base + turn * 500 + n, step=3)
            for n in range(3)
        ]
        given += batch
        await store.append(batch)
        await store.flush()
    await store.merge()
    (one,) = store.segments
    assert one.merged
    assert held(store) == rows_of(*given)
    table = one.read(range(len(one.row_groups)))
    keys = list(zip(table["stream"].to_pylist(), table["ts"].to_pylist(), strict=True))
    assert keys == sorted(keys)


async def test_what_a_query_reads_stays_while_it_is_merged_away(store, stream) -> None:
    """A snapshot keeps its files; they go when it does."""
    for turn in range(8):
        await store.append([stream("api", [f"{turn}"])])
        await store.flush()
    moment = store.snapshot()
    paths = [one.path for one in moment.segments]
    await store.merge()
    assert len(store.segments) == 1
    assert [one.read([0]).num_rows for one in moment.segments] == [1] * 8
    del moment
    assert not any(path.exists() for path in paths)


async def test_files_that_no_manifest_names_are_removed(fresh, settings, stream, held, rows_of) -> None:
    """What a crash left half done is no part of the store."""
    first = fresh()
    await first.open()
    await first.append([given := stream("api", ["one"])])
    await first.close()
    (path,) = (settings.logs_dir / "segments").glob("*/*.parquet")
    for name in ("00000099.parquet", "00000099.idx", "00000100.tmp", "00000100.idx.tmp"):
        path.with_name(name).write_bytes(path.read_bytes())
    again = fresh()
    await again.open()
    assert held(again) == rows_of(given)
    assert sorted(one.name for one in path.parent.iterdir()) == [path.with_suffix(".idx").name, path.name]
    await again.close()


async def test_segments_without_a_manifest_are_not_taken_for_leftovers(fresh, settings, stream) -> None:
    """A lost manifest stops the store; it must not make it delete everything."""
    first = fresh()
    await first.open()
    await first.append([stream("api", ["one"])])
    await first.close()
    (settings.logs_dir / "manifest.json").unlink()
    with pytest.raises(manifest.ManifestDamaged, match="is missing"):
        await fresh().open()
    assert len(list((settings.logs_dir / "segments").glob("*/*.parquet"))) == 1


async def test_any_changed_byte_of_the_manifest_is_noticed(settings) -> None:
    """The store does not guess which segments exist."""
    manifest.save(settings.logs_dir, manifest.Manifest(wal=7, next_segment=9))
    path = settings.logs_dir / "manifest.json"
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(manifest.ManifestDamaged):
            manifest.load(settings.logs_dir)


@pytest.mark.parametrize("harm", ["deleted", "cut", "flipped", "emptied"])
async def test_an_index_is_made_anew_from_its_lines(harm, fresh, settings, stream, held, rows_of) -> None:
    """Nothing that it says is lost with it."""
    first = fresh()
    await first.open()
    await first.append([kept := stream("api", ["one", "two"]), other := stream("web", ["three"])])
    await first.close()
    (path,) = (settings.logs_dir / "segments").glob("*/*.idx")
    whole = path.read_bytes()
    if harm == "deleted":
        path.unlink()
    else:
        flipped = whole[:40] + bytes([whole[40] ^ 1]) + whole[41:]
        path.write_bytes({"cut": whole[:-3], "flipped": flipped, "emptied": b""}[harm])
    again = fresh()
    await again.open()
    assert again.damaged == ()
    assert held(again) == rows_of(kept, other)
    assert path.read_bytes() == whole
    await again.close()


async def test_a_deleted_segment_is_reported_and_the_rest_is_served(fresh, settings, stream, held, rows_of) -> None:
    """A missing file costs its own lines, is named, and stays named after the next flush."""
    first = fresh()
    await first.open()
    await first.append([stream("api", ["lost"])])
    await first.flush()
    await first.append([kept := stream("api", ["kept"])])
    await first.close()
    lost = min((settings.logs_dir / "segments").glob("*/*.parquet"))
    lost.unlink()
    for _ in range(2):
        again = fresh()
        await again.open()
        assert again.damaged == (str(lost.with_suffix(".parquet").relative_to(settings.logs_dir)),)
        assert held(again) == rows_of(kept)
        kept_too = stream("api", ["more"])
        await again.append([kept_too])
        kept.ts += kept_too.ts
        kept.lines += kept_too.lines
        await again.close()


async def test_a_segment_whose_lines_are_damaged_is_not_merged_and_is_reported(store, settings, stream) -> None:
    """A changed byte in a page is noticed by its checksum; the segment stays, for its other parts may be read."""
    for turn in range(9):
        await store.append([stream("api", [f"{turn} {'x' * 500} {n}" for n in range(50)])])
        await store.flush()
    hurt = store.segments[0]
    raw = bytearray(hurt.path.read_bytes())
    column = pq.ParquetFile(hurt.path).metadata.row_group(0).column(3)
    raw[column.data_page_offset + column.total_compressed_size // 2] ^= 0x10
    hurt.path.write_bytes(bytes(raw))
    await store.merge()
    assert store.damaged == (str(hurt.path.relative_to(settings.logs_dir)),)
    assert sorted(one.merged for one in store.segments) == [False, True]


async def test_damage_in_the_log_is_set_aside_and_stays_reported(fresh, settings, stream, held, rows_of) -> None:
    """The damaged record is in quarantine, the others are served, also after the log itself has gone."""
    first = fresh()
    await first.open()
    given = [stream("api", [f"{turn} " * 50]) for turn in range(3)]
    for one in given:
        await first.append([one])
    await abandon(first)
    (path,) = wal.files(settings.logs_dir / "wal")
    raw = bytearray(path.read_bytes())
    raw[raw.find(b"1 1 1")] ^= 1
    path.write_bytes(bytes(raw))
    for _ in range(2):
        again = fresh()
        await again.open()
        ((name, size),) = again.quarantined
        assert name.startswith(path.name)
        assert size > 100
        assert held(again) == rows_of(given[0], given[2])
        await again.close()


async def test_lines_whose_stream_is_in_a_damaged_record_can_be_found(fresh, settings, stream, held) -> None:
    """Their labels are lost, not they."""
    first = fresh()
    await first.open()
    await first.append([stream("vanished-service", ["still here"], start=(at := now_ns()))])
    await abandon(first)
    (path,) = wal.files(settings.logs_dir / "wal")
    raw = bytearray(path.read_bytes())
    raw[raw.find(b"vanished")] ^= 1
    path.write_bytes(bytes(raw))
    again = fresh()
    await again.open()
    assert held(again) == {("recovered", at, "still here"): 1}
    await again.close()


async def test_a_crash_with_a_torn_tail_is_no_damage_at_the_second_start_either(fresh, settings, stream) -> None:
    """Restarting twice before a flush must not report what was never acknowledged."""
    first = fresh()
    await first.open()
    await first.append([stream("api", ["one"])])
    await abandon(first)
    (path,) = wal.files(settings.logs_dir / "wal")
    with path.open("ab") as file:
        file.write(wal.MARK + b"\x02\xff")
    for turn in range(3):
        again = fresh()
        await again.open()
        await again.append([stream("api", [f"after {turn}"])])
        assert again.quarantined == ()
        await abandon(again)


# Repetitions


@pytest.mark.parametrize("state", ["head", "flushed", "merged", "restarted"])
async def test_a_line_that_is_held_already_is_dropped(state, fresh, stream, held, rows_of) -> None:
    """A client that never saw its answer may push again: the same stream, time and line is one line."""
    store = fresh()
    await store.open()
    given = [stream("api", [f"line {n}" for n in range(50)]), stream("web", ["line 1"])]
    await store.append(given)
    if state != "head":
        await store.flush()
    if state == "merged":
        await store.merge(everything=True)
    if state == "restarted":
        await store.close()
        store = fresh()
        await store.open()
    await store.append(given)
    assert held(store) == rows_of(*given)
    assert store.duplicates == 51
    await store.close()


async def test_a_line_that_is_being_written_is_dropped_too(store, stream, held, rows_of) -> None:
    """The repetition may come before the first is on disk; both are answered, one is kept."""
    given = stream("api", [f"line {n}" for n in range(50)])
    await asyncio.gather(store.append([given]), store.append([given]))
    assert held(store) == rows_of(given)


async def test_equal_times_with_other_lines_are_all_kept(store, stream, held, rows_of) -> None:
    """Only time and line and stream together make a repetition."""
    at = now_ns()
    given = [stream("api", ["a", "b", "c"], start=at, step=0), stream("web", ["a"], start=at)]
    await store.append(given)
    await store.append([more := stream("api", ["d"], start=at)])
    await store.append([older := stream("api", ["a"], start=at - 5)])
    assert held(store) == rows_of(*given, more, older)


async def test_a_line_twice_in_one_push_is_one(store, stream, held, rows_of) -> None:
    """The same line at the same time within a push."""
    await store.append([stream("api", ["a", "b", "a"], start=(at := now_ns()), step=0)])
    assert held(store) == rows_of(stream("api", ["a", "b"], start=at, step=0))


# Limits of the machine


async def test_a_full_disk_refuses_a_push_and_room_mends_it(store, stream, held, rows_of, failing_disk, settings):
    """Nothing of the refused push is kept, what was acknowledged stays, and its retry is no repetition."""
    await store.append([before := stream("api", ["before"])])
    failing_disk((settings.logs_dir / "wal" / "00000001.wal").stat().st_size + 50)
    refused = stream("api", ["x" * 5000])
    with pytest.raises(StorageFull, match="nothing of this push was kept"):
        await store.append([refused])
    assert "disk is full" in store.write_trouble
    assert held(store) == rows_of(before)
    failing_disk(-1)
    await store.append([refused])
    assert held(store) == rows_of(before, refused)
    assert store.write_trouble == ""


async def test_a_flush_that_finds_no_room_keeps_the_head(store, stream, held, rows_of, failing_disk) -> None:
    """It fails, the lines stay where they are, and the next one succeeds."""
    await store.append([given := stream("api", [os.urandom(200).hex() for _ in range(500)])])
    failing_disk(1000)
    with pytest.raises(OSError):
        await store.flush()
    assert held(store) == rows_of(given)
    failing_disk(-1)
    await store.flush()
    assert held(store) == rows_of(given)
    assert store.head_rows == 0


async def test_a_head_that_cannot_be_flushed_does_not_grow_without_end(store, stream, monkeypatch) -> None:
    """Past its bound pushes wait, and are refused if waiting does not help."""
    monkeypatch.setattr(store_module, "MOST_HEAD", 1000)
    monkeypatch.setattr(store_module, "WAIT_FOR_ROOM", 0.05)
    await store.append([stream("api", ["x" * 2000])])
    with pytest.raises(Unavailable, match="nothing of this push was kept"):
        await store.append([stream("api", ["y"])])
    await store.flush()
    await store.append([stream("api", ["y"])])


async def test_many_lines_are_flushed_by_themselves(store, stream, monkeypatch) -> None:
    """Nobody has to ask for a flush."""
    monkeypatch.setattr(store_module, "FLUSH_ROWS", 100)
    await store.append([stream("api", [f"{n}" for n in range(200)])])
    until = time.monotonic() + 10
    while store.head_rows:
        assert time.monotonic() < until
        await asyncio.sleep(0.01)


# Retention


async def test_retention_drops_whole_segments_and_only_those_past_it(store, settings, stream, held, rows_of) -> None:
    """A segment goes when its newest line is too old, not before."""
    over = stream("api", ["over"], start=now_ns() - settings.retention - HOUR)
    await store.append([over])
    await store.flush()
    mixed = [
        stream("api", ["old"], start=now_ns() - settings.retention + HOUR),
        stream("api", ["new"]),
    ]
    await store.append(mixed)
    await store.flush()
    await store.prune()
    assert held(store) == rows_of(*mixed)


async def test_max_disk_drops_the_oldest_first(tmp_path: Path, stream, held, rows_of) -> None:
    """As many segments go as are needed, oldest first, and no more."""
    bound = 30_000
    bounded = LogStore(SimpleNamespace(logs_dir=tmp_path / "logs", retention=7 * DAY, max_disk=bound))
    await bounded.open()
    given = []
    for days in (3, 2, 1):
        given.append(stream("api", [os.urandom(80).hex() for _ in range(100)], start=now_ns() - days * DAY))
        await bounded.append([given[-1]])
        await bounded.flush()
    sizes = [one.disk_bytes for one in bounded.segments]
    assert sum(sizes) > bound > sum(sizes[1:])
    await bounded.prune()
    assert held(bounded) == rows_of(*given[1:])
    await bounded.close()


# Tails


async def test_a_tail_gets_every_batch_once_after_it_is_acknowledged(store, stream) -> None:
    """In the order of arrival, and what comes before the subscription is not among it."""
    await store.append([stream("api", ["before"])])
    tail = store.subscribe()
    await store.append([stream("api", ["one", "two"])])
    await store.append([stream("web", ["three"])])
    batches, dropped = await tail.take()
    assert [line for batch in batches for line in batch.column("line").to_pylist()] == ["one", "two", "three"]
    assert dropped == 0
    store.unsubscribe(tail)
    await store.append([stream("web", ["after"])])
    assert not tail.batches


async def test_a_slow_tail_is_told_how_much_it_missed(store, stream, monkeypatch) -> None:
    """The oldest go, the count of them is exact."""
    monkeypatch.setattr("pilothouse.store.logs.subscription.SUBSCRIBER_ROWS", 100)
    tail = store.subscribe()
    for turn in range(5):
        await store.append([stream("api", [f"{turn} {n}" for n in range(60)])])
    batches, dropped = await tail.take()
    assert sum(batch.num_rows for batch in batches) + dropped == 300
    assert dropped == 240
    assert batches[-1].column("line")[59].as_py() == "4 59"
