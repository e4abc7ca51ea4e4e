"""The hashes that make the trail a chain, and the seals that make it ours.

hash(n) = SHA-256(canonical(n) ‖ hash(n-1)), where hash(0) is 32 zero bytes. A hash alone can be made again by whoever
can write to the database; so each entry also carries seal(n) = HMAC-SHA-256(key, "entry" ‖ hash(n)), and the row of
the head HMAC-SHA-256(key, "head" ‖ id ‖ hash). The key is a file beside the database, never in it.
"""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from pilothouse.audit.entry import Entry
from pilothouse.settings import SettingsError

GENESIS = bytes(32)
KEY_BYTES = 32


def chain_hash(entry: Entry, previous: bytes) -> bytes:
    """The hash of `entry` after the entry whose hash is `previous`."""
    return hashlib.sha256(entry.canonical() + previous).digest()


class Seals:
    """Makes and checks seals with one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def entry(self, hash_: bytes) -> bytes:
        """The seal of the entry with this hash."""
        return hmac.digest(self._key, b"entry" + hash_, "sha256")

    def head(self, last_id: int, hash_: bytes) -> bytes:
        """The seal of a chain that ends with entry `last_id`."""
        return hmac.digest(self._key, b"head" + last_id.to_bytes(8, "big") + hash_, "sha256")


def load_key(path: Path) -> bytes:
    """The key in `path`, made (0600) where the file is not there yet; safe for processes that start at once.

    Raises SettingsError where it is damaged or open to others.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        fresh = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(fresh)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    if path.stat().st_mode & 0o077:
        raise SettingsError(f"{path} can be read by others: chmod 600 {path}")
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise SettingsError(f"{path} must hold {KEY_BYTES} bytes, it has {len(key)}")
    return key
