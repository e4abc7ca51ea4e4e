"""The keys that sign access tokens: one algorithm, a file that only we read, old keys kept to verify with."""

import json
import os
import re
import secrets
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from pilothouse.settings import Settings, SettingsError

ALGORITHM: Final = "Ed25519"
"""RFC 9864's name for EdDSA on this curve. Keys have one size: none of them is weak."""
KEPT = 2
"""Keys after a rotation: tokens live for minutes, so that one old key is enough."""
LOOK_EVERY = 1.0
"""Seconds between two looks at the file, so that a rotation counts in every process without a restart."""
_PEM = re.compile(r"-----BEGIN [A-Z ]+-----.+?-----END [A-Z ]+-----", re.DOTALL)


class SigningKeys:
    """The first key of the file signs, all of them verify. Raises SettingsError where a key is not fit."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.jwt_key_file or settings.key_dir / "jwt.json"
        if settings.jwt_key_file is None and not self._path.exists():
            make_key_file(self._path)
        self._keys = load_keys(self._path)
        self._stamp = self._look()
        self._looked_at = time.monotonic()

    def signer(self) -> OKPKey:
        """The key that signs now."""
        self._reload()
        return next(iter(self._keys.values()))

    def find(self, kid: str) -> OKPKey | None:
        """The key with this id, if it still verifies."""
        self._reload()
        return self._keys.get(kid)

    def _look(self) -> tuple[int, int]:
        there = self._path.stat()
        return there.st_mtime_ns, there.st_ino

    def _reload(self) -> None:
        if time.monotonic() - self._looked_at < LOOK_EVERY:
            return
        self._looked_at = time.monotonic()
        try:
            stamp = self._look()
            if stamp != self._stamp:
                self._keys, self._stamp = load_keys(self._path), stamp
        except (OSError, SettingsError):
            return  # a file being replaced, or a wrong one: those we hold stay good until it is right again


def load_keys(path: Path) -> dict[str, OKPKey]:
    """The keys of a PEM file or a JWK set, by their id, in order. Raises SettingsError."""
    try:
        if path.stat().st_mode & 0o077:
            raise SettingsError(f"{path} can be read by others: chmod 600 {path}")
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"PILOTHOUSE_JWT_KEY_FILE: can't read {path}: {error}") from error
    try:
        if text.lstrip().startswith("{"):
            data = json.loads(text)
            entries = data.get("keys", [data])
            for entry in entries:
                if (entry.get("kty"), entry.get("crv")) != ("OKP", "Ed25519"):
                    raise unfit(path, f"it holds a key of type {entry.get('kty')} {entry.get('crv', '')}".rstrip())
            keys = [OKPKey.import_key(entry) for entry in entries]
        else:
            keys = [OKPKey.import_key(block) for block in _PEM.findall(text)]
    except (JoseError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise unfit(path, f"it can't be read as one ({type(error).__name__})") from error
    if not keys:
        raise unfit(path, "it holds none")
    for key in keys:
        if key.curve_name != "Ed25519" or not key.is_private:
            raise unfit(path, f"it holds a {'public' if not key.is_private else key.curve_name} key")
    return {key.thumbprint(): key for key in keys}


def unfit(path: Path, fault: str) -> SettingsError:
    """What is wrong with a key file, and how to make a right one."""
    return SettingsError(
        f"PILOTHOUSE_JWT_KEY_FILE: want Ed25519 private keys, PEM or JWK set, in {path}; {fault}. "
        f"`openssl genpkey -algorithm ed25519` makes one"
    )


def make_key_file(path: Path) -> None:
    """A file with one fresh key, 0600; of several processes that start at once, one makes it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = _write(path, [OKPKey.generate_key(ALGORITHM)])
    try:
        path.hardlink_to(fresh)
    except FileExistsError:
        pass
    finally:
        fresh.unlink()


def rotate(settings: Settings) -> str:
    """Sign with a fresh key from now on; returns its id. Tokens of the key before stay good. Raises SettingsError."""
    if settings.jwt_key_file is not None:
        raise SettingsError("PILOTHOUSE_JWT_KEY_FILE is yours to change: put the new key first, keep the old after it")
    path = settings.key_dir / "jwt.json"
    fresh = OKPKey.generate_key(ALGORITHM)
    _write(path, [fresh, *list(load_keys(path).values())[: KEPT - 1]]).replace(path)
    return fresh.thumbprint()


def _write(path: Path, keys: Iterable[OKPKey]) -> Path:
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w") as file:
        json.dump({"keys": [key.as_dict(private=True) | {"kid": key.thumbprint()} for key in keys]}, file)
        file.flush()
        os.fsync(file.fileno())
    return beside
