"""Secrets that mean nothing by themselves: made at random, given out once, kept as hashes."""

import base64
import hashlib
import secrets

SECRET_BYTES = 32
"""256 random bits: no search finds one, so that a plain SHA-256 keeps it."""
API_KEY_PREFIX = "ph_"


def new_secret(prefix: str = "") -> str:
    """A fresh secret as URL-safe text."""
    return prefix + encode(secrets.token_bytes(SECRET_BYTES))


def encode(raw: bytes) -> str:
    """URL-safe Base64 without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def hash_secret(text: str) -> bytes:
    """What the database keeps of a secret."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def new_id(prefix: str) -> str:
    """An identifier such as `u_3f9c…`: not secret, never used twice."""
    return f"{prefix}_{secrets.token_hex(10)}"
