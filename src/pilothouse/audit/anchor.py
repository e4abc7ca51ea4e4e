"""A place in the chain, kept outside of the database: a trail that was rolled back or emptied no longer has it."""

import contextlib
import hmac
import os
import time
from dataclasses import dataclass
from pathlib import Path

from pilothouse.audit.chain import Seals

EVERY = 5.0
"""Seconds between two writes of the file; what was cut off since is told by the head's own seal alone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """An entry that the chain must hold."""

    id: int
    hash: bytes


class Anchor:
    """Reads and writes the file. Several processes may: each writes a place that is in the chain, the last one wins."""

    def __init__(self, path: Path, seals: Seals) -> None:
        self._path = path
        self._seals = seals
        self._written_at = float("-inf")
        self._latest: Place | None = None

    def note(self, last_id: int, hash_: bytes) -> None:
        """The chain now ends here; written to the file every few seconds."""
        self._latest = Place(id=last_id, hash=hash_)
        if time.monotonic() - self._written_at >= EVERY:
            self.flush()

    def flush(self) -> None:
        """Write the latest place. A disk that takes no more is no reason to refuse the entry, which is committed."""
        if self._latest is None:
            return
        place, self._latest, self._written_at = self._latest, None, time.monotonic()
        fresh = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            fresh.write_text(f"{place.id} {place.hash.hex()} {self._seals.head(place.id, place.hash).hex()}\n")
            fresh.chmod(0o600)
            fresh.replace(self._path)

    def read(self) -> Place | None:
        """The place in the file; None where there is no file or it is not one of ours."""
        try:
            number, hash_, seal = self._path.read_text().split()
            place = Place(id=int(number), hash=bytes.fromhex(hash_))
        except (OSError, ValueError):
            return None
        return place if hmac.compare_digest(seal, self._seals.head(place.id, place.hash).hex()) else None
