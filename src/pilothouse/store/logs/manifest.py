"""The truth about which segments exist, which streams are known, and from which file the WAL is to be replayed."""

import os
import zlib
from pathlib import Path

import msgspec

from pilothouse.core.errors import PilothouseError
from pilothouse.store.logs.wal import sync_directory

VERSION = 1


class Entry(msgspec.Struct, frozen=True):
    """A segment, by its path under the store's directory."""

    path: str
    merged: bool


class Manifest(msgspec.Struct, frozen=True):
    """One state of the store. `wal` is the first file whose lines are in no segment."""

    version: int = VERSION
    wal: int = 1
    next_segment: int = 1
    segments: tuple[Entry, ...] = ()


class ManifestDamaged(PilothouseError):
    """The manifest can't be trusted; the store does not guess."""

    default_code = "MANIFEST_DAMAGED"


def load(directory: Path) -> Manifest:
    """The manifest, or an empty one for a new directory. Raises ManifestDamaged."""
    path = directory / "manifest.json"
    try:
        crc, _, body = path.read_bytes().partition(b"\n")
    except FileNotFoundError:
        # Segments that no manifest names would be taken for leftovers and be deleted.
        if any((directory / "segments").glob("*/*.parquet")):
            raise ManifestDamaged(f"{path} is missing, but there are segments; restore it from a backup") from None
        return Manifest()
    try:
        sound = int(crc, 16) == zlib.crc32(body)
        manifest = msgspec.json.decode(body, type=Manifest) if sound else None
    except (ValueError, msgspec.DecodeError):
        manifest = None
    if manifest is None:
        raise ManifestDamaged(f"{path} is damaged; restore it from a backup")
    if manifest.version != VERSION:
        raise ManifestDamaged(f"{path} is of version {manifest.version}; this Pilothouse reads version {VERSION}")
    return manifest


def save(directory: Path, manifest: Manifest) -> None:
    """Replace the manifest at once or not at all. Raises OSError."""
    body = msgspec.json.encode(manifest)
    replace_durably(directory / "manifest.json", f"{zlib.crc32(body):08x}\n".encode() + body)


def replace_durably(path: Path, content: bytes) -> None:
    """Put `content` in the place of `path` at once or not at all, on disk when this returns. Raises OSError."""
    fresh = path.with_name(path.name + ".tmp")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)
    sync_directory(path.parent)


class StreamFile:
    """`streams.jsonl`: a line a stream, in the order of their ids, `crc {labels}`; only ever appended to."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "streams.jsonl"
        self.written = 0

    def load(self) -> list[dict[str, str]]:
        """The labels of each stream by id. A torn last line is cut: the WAL still has what it held."""
        labels: list[dict[str, str]] = []
        if not self._path.exists():
            return labels
        good = 0
        data = self._path.read_bytes()
        for line in data.splitlines(keepends=True):
            crc, _, body = line.rstrip(b"\n").partition(b" ")
            if not line.endswith(b"\n") or len(crc) != 8 or f"{zlib.crc32(body):08x}".encode() != crc:
                break
            labels.append(msgspec.json.decode(body, type=dict[str, str]))
            good += len(line)
        if good != len(data):
            if data.find(b"\n", good) not in {-1, len(data) - 1}:
                raise ManifestDamaged(f"{self._path} is damaged at byte {good}; restore it from a backup")
            os.truncate(self._path, good)
        self.written = len(labels)
        return labels

    def append(self, streams: list[dict[str, str]]) -> None:
        """Add the next streams, on disk when this returns. Raises OSError."""
        if not streams:
            return
        with self._path.open("ab") as file:
            before = file.tell()
            try:
                for labels in streams:
                    body = msgspec.json.encode(labels)
                    file.write(f"{zlib.crc32(body):08x} ".encode() + body + b"\n")
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.truncate(self._path, before)
                raise
        self.written += len(streams)
