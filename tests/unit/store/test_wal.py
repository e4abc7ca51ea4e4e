"""What is acknowledged comes back after a crash, exactly once, and damage is never passed over in silence."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies

from pilothouse.core.errors import TooLarge
from pilothouse.store.logs import wal
from pilothouse.store.logs.wal import Damage, RecordKind, WriteAheadLog

PAYLOADS = [b"first " * 20, b"", b"the third, which is the last " * 3]


def read(path: Path, *, last: bool = True) -> tuple[list[bytes], list[Damage]]:
    damage: list[Damage] = []
    return [bytes(payload) for _, payload in wal.read(path, last=last, damaged=damage.append)], damage


def write(path: Path, payloads: list[bytes]) -> list[int]:
    """Write a file as the log does; where each record begins."""
    content, starts = wal.MAGIC, []
    for payload in payloads:
        starts.append(len(content))
        content += b"".join(bytes(part) for part in wal.encode(RecordKind.LINES, payload))
    path.write_bytes(content)
    return starts


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[WriteAheadLog]:
    opened = WriteAheadLog(tmp_path, first=1)
    yield opened
    await opened.close()


async def test_what_was_appended_is_read_back_in_order(log: WriteAheadLog, tmp_path: Path) -> None:
    """Records come back as they were given, and none is torn."""
    for payload in PAYLOADS:
        assert await log.append([(RecordKind.LINES, payload)]) == 1
    assert read(tmp_path / "00000001.wal") == (PAYLOADS, [])


async def test_all_that_wait_share_one_sync(log: WriteAheadLog) -> None:
    """A hundred appends at once cost at most two syncs: the one under way, and one for all the others."""
    futures = [log.append([(RecordKind.LINES, b"x" * number)]) for number in range(100)]
    for future in futures:
        await future
    assert log.syncs <= 2


async def test_rotation_begins_a_new_file_and_old_ones_can_go(log: WriteAheadLog, tmp_path: Path) -> None:
    """After a rotation, appends go to a file of the number it gave."""
    await log.append([(RecordKind.LINES, b"old")])
    assert await log.rotate() == 2
    assert await log.append([(RecordKind.LINES, b"new")]) == 2
    log.remove_before(2)
    assert [path.name for path in wal.files(tmp_path)] == ["00000002.wal"]


def test_a_file_torn_at_any_byte_gives_all_records_before_it(tmp_path: Path) -> None:
    """Cut anywhere in the last record, the file gives the ones before; the rest is a torn tail, never damage."""
    path = tmp_path / "00000001.wal"
    starts = write(path, PAYLOADS)
    whole = path.read_bytes()
    for size in range(starts[-1] + 1, len(whole)):
        path.write_bytes(whole[:size])
        records, damage = read(path)
        assert records == PAYLOADS[:-1], size
        assert [(one.offset, one.torn_tail) for one in damage] == [(starts[-1], True)], size


def test_a_file_torn_within_its_magic_is_an_empty_one(tmp_path: Path) -> None:
    """A crash while the very file was being made is no damage."""
    path = tmp_path / "00000001.wal"
    for size in range(len(wal.MAGIC)):
        path.write_bytes(wal.MAGIC[:size])
        records, damage = read(path)
        assert records == []
        assert all(one.torn_tail for one in damage)


def test_a_torn_tail_is_cut_so_that_newer_files_can_follow(tmp_path: Path) -> None:
    """After the cut the file is sound also where it is not the last one any more."""
    path = tmp_path / "00000001.wal"
    write(path, PAYLOADS)
    path.write_bytes(path.read_bytes()[:-5])
    (tail,) = read(path)[1]
    wal.cut_tail(path, tail)
    assert read(path, last=False) == (PAYLOADS[:-1], [])


@pytest.mark.parametrize("last", [True, False])
def test_any_changed_byte_is_reported_and_the_other_records_are_read(tmp_path: Path, *, last: bool) -> None:
    """Whichever byte of whichever record changes, that record alone is lost, and it is said where."""
    path = tmp_path / "00000001.wal"
    starts = write(path, PAYLOADS)
    whole = path.read_bytes()
    for at in range(starts[0], len(whole)):
        hurt = max(index for index, start in enumerate(starts) if start <= at)
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x40]) + whole[at + 1 :])
        records, damage = read(path, last=last)
        assert records == [payload for index, payload in enumerate(PAYLOADS) if index != hurt], at
        assert [(one.offset, one.torn_tail) for one in damage] == [(starts[hurt], False)], at


def test_a_file_cut_short_with_another_behind_it_is_damaged(tmp_path: Path) -> None:
    """Only the last file can have been being written: an earlier one that ends too soon has lost something."""
    path = tmp_path / "00000001.wal"
    write(path, PAYLOADS)
    path.write_bytes(path.read_bytes()[:-5])
    assert [one.torn_tail for one in read(path, last=False)[1]] == [False]


@settings(max_examples=200)
@given(content=strategies.binary(max_size=400), behind=strategies.binary(max_size=50))
def test_rubbish_is_read_without_an_error_and_what_follows_is_found(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, behind: bytes
) -> None:
    """Any bytes at all before a record leave it readable."""
    path = tmp_path_factory.mktemp("wal") / "00000001.wal"
    path.write_bytes(wal.MAGIC + content + b"".join(bytes(part) for part in wal.encode(RecordKind.LINES, behind)))
    records, damage = read(path)
    assert records[-1:] == [behind]
    assert bool(damage) == bool(content)


def test_a_record_that_reading_would_take_for_damage_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be replayed is not acknowledged."""
    monkeypatch.setattr(wal, "MOST_PAYLOAD", 10)
    with pytest.raises(TooLarge):
        wal.encode(RecordKind.LINES, b"x" * 11)


async def test_a_failed_write_fails_all_that_waited_and_leaves_nothing(
    log: WriteAheadLog, tmp_path: Path, failing_disk: Callable[[int], None]
) -> None:
    """When the system refuses to grow the file, the waiting appends fail, and those after it find it sound."""
    await log.append([(RecordKind.LINES, b"before")])
    path = tmp_path / "00000001.wal"
    failing_disk(path.stat().st_size + 100)
    futures = [log.append([(RecordKind.LINES, bytes([65 + number]) * 300)]) for number in range(3)]
    for future in futures:
        with pytest.raises(wal.StorageFull, match="disk is full"):
            await future
    failing_disk(-1)
    await log.append([(RecordKind.LINES, b"after")])
    assert read(path) == ([b"before", b"after"], [])
