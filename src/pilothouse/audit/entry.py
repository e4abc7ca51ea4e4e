"""One entry of the audit trail, and its canonical form."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

MAX_STRING = 2_000
"""Characters kept of one string: a query is read by people, a pasted file is not."""
MAX_DETAILS = 16_384
"""Bytes kept of an entry's details."""
MAX_DEPTH = 6
SECRET_NAME = re.compile(
    r"password|passwd|secret|token|credential|authorization|cookie|ticket|otp\b|^key$|api_?key$|private", re.IGNORECASE
)
SECRET_VALUE = re.compile(
    r"ph_[A-Za-z0-9_-]{20,}"
    r"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"
    r"|(?<=[?&]ticket=)[^&\s]+"
    r"|(?<=[Bb]earer )\S+|(?<=[Bb]asic )\S{8,}"
)
MASK = "•••"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """What was done. `at` is in nanoseconds; `details` is canonical JSON, masked; `id` counts from 1 without gaps."""

    id: int
    at: int
    kind: str
    actor: str
    actor_id: str
    session: str
    address: str
    action: str
    permission: str
    object: str
    outcome: str
    details: str

    def canonical(self) -> bytes:
        """The bytes that are hashed: a JSON object of every field, keys sorted, without white space."""
        return orjson.dumps({name: getattr(self, name) for name in self.__slots__}, option=orjson.OPT_SORT_KEYS)


def canonical_details(details: Mapping[str, Any]) -> str:
    """`details` as the chain keeps it: secrets masked, strings cut, keys sorted."""
    data = orjson.dumps(_clean(details, 0), option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    if len(data) > MAX_DETAILS:
        data = orjson.dumps({"cut": clean_text(data.decode(), MAX_STRING), "bytes": len(data)})
    return data.decode()


def clean_text(text: str, most: int = MAX_STRING) -> str:
    """`text` without secrets, and such as both databases and JSON can hold; longer ones are cut and marked."""
    text = SECRET_VALUE.sub(MASK, text[: most * 2]) if len(text) >= 8 else text
    text = text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    return text if len(text) <= most else text[: most - 1] + "…"


def _clean(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -(2**63) <= value < 2**64 else str(value)
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)  # noqa: PLR0124 - NaN
    if depth >= MAX_DEPTH:
        return clean_text(str(value))
    if isinstance(value, Mapping):
        return {
            clean_text(str(name)): MASK
            if SECRET_NAME.search(str(name)) and one and one is not True
            else _clean(one, depth + 1)
            for name, one in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(one, depth + 1) for one in value]
    return clean_text(str(value))
