"""Positions survive what happens to their file."""

import os
from pathlib import Path

import pytest

from pilothouse.worker.collect.assembler import ContainerPosition, Mark
from pilothouse.worker.collect.follower import FilePosition
from pilothouse.worker.positions import Positions


def test_what_is_saved_is_read_again(tmp_path: Path) -> None:
    """Positions of each kind come back as they were, those that are forgotten do not."""
    files = Positions(tmp_path / "positions", "files", FilePosition)
    one = FilePosition(path="/var/log/ä.log", pattern="/var/log/*.log", offset=5, upto=9, stamp=3, told=2, repeats=1)
    files.set("1:2", one)
    files.set("1:3", FilePosition(path="/var/log/gone.log"))
    files.forget("1:3")
    files.forget("never there")
    files.sync()
    again = Positions(tmp_path / "positions", "files", FilePosition)
    assert again.keys() == ["1:2"]
    assert again.get("1:2") == one
    assert again.get("1:3") is None
    containers = Positions(tmp_path / "positions", "docker", ContainerPosition)
    position = ContainerPosition(acked={"stdout": Mark(7, 2)}, upto={"stderr": Mark(9, 1)}, since=4)
    containers.set("abc", position)
    assert Positions(tmp_path / "positions", "docker", ContainerPosition).get("abc") == position


@pytest.mark.parametrize(
    "text", [b"", b"{", b'{"1:2": {"path": "/x", "offs', b"\0" * 40, b'{"1:2": {"offset": 1}}', b"[]"]
)
def test_a_damaged_file_is_set_aside(tmp_path: Path, text: bytes) -> None:
    """A torn or nonsensical file neither stops the worker nor is lost: it is kept beside."""
    (tmp_path / "files.json").write_bytes(text)
    positions = Positions(tmp_path, "files", FilePosition)
    assert positions.keys() == []
    assert (tmp_path / "files.damaged").read_bytes() == text
    positions.set("1:2", FilePosition(path="/x"))
    assert Positions(tmp_path, "files", FilePosition).keys() == ["1:2"]


def test_a_save_is_whole_or_not_at_all(tmp_path: Path) -> None:
    """A reader at any moment sees a whole file: it is replaced, never written over."""
    positions = Positions(tmp_path, "files", FilePosition)
    positions.set("1:1", FilePosition(path="/x"))
    before = (tmp_path / "files.json").open("rb")
    text = before.read()
    positions.set("1:2", FilePosition(path="/y"))
    before.seek(0)
    assert before.read() == text
    assert os.fstat(before.fileno()).st_nlink == 0
    before.close()


def test_a_save_that_was_cut_off_changes_nothing(tmp_path: Path) -> None:
    """What a crash left of a half-written save beside the file is not read."""
    positions = Positions(tmp_path, "files", FilePosition)
    positions.set("1:1", FilePosition(path="/x", offset=3))
    (tmp_path / "files.tmp").write_bytes(b'{"1:1": {"path": "/x", "of')
    assert Positions(tmp_path, "files", FilePosition).get("1:1") == FilePosition(path="/x", offset=3)


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """A save that fails raises, and what was saved before is still there."""
    positions = Positions(tmp_path, "files", FilePosition)
    positions.set("1:1", FilePosition(path="/x"))
    (tmp_path / "files.tmp").mkdir()
    with pytest.raises(OSError):
        positions.set("1:2", FilePosition(path="/y"))
    assert Positions(tmp_path, "files", FilePosition).keys() == ["1:1"]
