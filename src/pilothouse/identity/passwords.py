"""Passwords: the rules for new ones, and argon2id in a small pool of threads."""

import asyncio
import base64
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from pilothouse.core.errors import InvalidRequest, Unavailable

T = TypeVar("T")
MIN_CHARACTERS = 10
"""With the throttle on guesses, and argon2id on a stolen database, ten that are not the name itself hold."""
MIN_DISTINCT = 5
MAX_BYTES = 1_024
"""Above any passphrase; keeps a hash from being asked of megabytes."""
AT_ONCE = 2
"""Each takes 64 MiB and about 100 ms of a core."""
MAX_WAITING = 50
"""Five seconds of work at most: who comes later is told to try again rather than be kept."""
TIME_COST, MEMORY_KIB, LANES, SALT_BYTES, HASH_BYTES = 3, 65_536, 4, 16, 32
"""RFC 9106, section 4, second recommended option."""


class Passwords:
    """Hashes and checks. One for each process."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(TIME_COST, MEMORY_KIB, LANES, HASH_BYTES, SALT_BYTES)
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="argon2")
        self._waiting = 0
        self._nobody = nobodys_hash()

    async def hash(self, password: str) -> str:
        """The argon2id hash of `password`, as text with its parameters. Raises Unavailable."""
        return await self._run(self._hasher.hash, _canonical(password))

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Whether `password` is the one of `hashed`.

        None, which stands for an account that is not there, is never right and takes as long. Raises Unavailable.
        """
        right = await self._run(self._check, hashed or self._nobody, _canonical(password))
        return right and hashed is not None

    def is_dated(self, hashed: str) -> bool:
        """Whether it was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(hashed)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _check(self, hashed: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[..., T], *given: str | bytes) -> T:
        if self._waiting >= MAX_WAITING:
            raise Unavailable("too many are signing in at this moment; try again in a few seconds", code="BUSY")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work, *given)
        finally:
            self._waiting -= 1


def check_rules(password: str, *, username: str) -> None:
    """Raises InvalidRequest where `password` may not be the new one of `username`."""
    text = unicodedata.normalize("NFC", password)
    folded = text.casefold()
    if len(text) < MIN_CHARACTERS:
        fault = f"must have at least {MIN_CHARACTERS} characters"
    elif len(_canonical(password)) > MAX_BYTES:
        fault = f"may have {MAX_BYTES} bytes"
    elif username.casefold() in folded and len(folded.replace(username.casefold(), "")) < MIN_CHARACTERS:
        fault = "must not be the user name, or the user name and a little more"
    elif len(set(folded)) < MIN_DISTINCT:
        fault = f"must have at least {MIN_DISTINCT} different characters"
    else:
        return
    raise InvalidRequest(f"the password {fault}", code="WEAK_PASSWORD", details={"field": "password"})


def nobodys_hash() -> str:
    """A hash in the right form that no password has: its check takes as long as a true one."""

    def part(size: int) -> str:
        return base64.b64encode(secrets.token_bytes(size)).rstrip(b"=").decode()

    return f"$argon2id$v=19$m={MEMORY_KIB},t={TIME_COST},p={LANES}${part(SALT_BYTES)}${part(HASH_BYTES)}"


def _canonical(password: str) -> bytes:
    # The same key strokes give composed letters on one system and decomposed ones on another (RFC 8265).
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
