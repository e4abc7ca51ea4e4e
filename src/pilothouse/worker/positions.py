"""How far each source has been read and acknowledged, in DATA_DIR/positions."""

import os
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
import structlog

log = structlog.get_logger(__name__)
T = TypeVar("T", bound=msgspec.Struct)


class Positions(Generic[T]):
    """The positions of one kind of source, by a key. Saved whole, at once or not at all.

    A save survives the process being killed; `sync` makes it survive a power cut too. Damaged files are set aside:
    the sources are then read from where they would be at their first sight, and the backend drops what it has.
    """

    def __init__(self, directory: Path, name: str, kind: type[T]) -> None:
        self._path = directory / f"{name}.json"
        self._held: dict[str, T] = {}
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._held = msgspec.json.decode(self._path.read_bytes(), type=dict[str, kind])  # type: ignore[valid-type]
        except FileNotFoundError:
            pass
        except msgspec.DecodeError as error:
            self._path.rename(self._path.with_suffix(".damaged"))
            log.warning("positions were damaged and are set aside", file=str(self._path), error=str(error))

    def get(self, key: str) -> T | None:
        """The position of `key`."""
        return self._held.get(key)

    def keys(self) -> list[str]:
        """All keys."""
        return list(self._held)

    def set(self, key: str, position: T) -> None:
        """Save a position. Raises OSError."""
        self._held[key] = position
        self._save()

    def forget(self, key: str) -> None:
        """A source is gone for good."""
        if self._held.pop(key, None) is not None:
            self._save()

    def _save(self) -> None:
        fresh = self._path.with_suffix(".tmp")
        fresh.write_bytes(msgspec.json.encode(self._held))
        fresh.replace(self._path)

    def sync(self) -> None:
        """Put what was saved on the disk."""
        if self._path.exists():
            handle = os.open(self._path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
