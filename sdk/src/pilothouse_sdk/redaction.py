"""Make anything at all a plain, bounded value of JSON without secrets."""

import math
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, time
from itertools import islice
from typing import Any

from pilothouse_sdk.forms import REDACTED, Forms, is_card
from pilothouse_sdk.names import SecretNames

MAX_TEXT = 32_768
"""Characters of one text: a line stays well under what collectors cut."""
MAX_DEPTH, MAX_ITEMS = 8, 200
OVERLAP = 4096
"""Characters that are looked at behind a cut, so that half a secret is not left before it."""
NODE = 8
"""Characters that a value costs besides its own, so that a structure of many small ones is bounded too."""


class Room:
    """How many characters a line may still take."""

    __slots__ = ("left",)

    def __init__(self, left: int) -> None:
        self.left = left


class Redactor:
    """Makes values plain, bounded and free of secrets; never raises.

    `names` are further names of fields whose values are never shown; `personal` also takes out e-mail addresses and
    card numbers. May be used from several threads.
    """

    def __init__(self, names: Iterable[str] = (), *, personal: bool = True) -> None:
        self._names = SecretNames(tuple(names))
        self._forms = Forms(self._names, personal=personal)
        self._personal = personal

    def value(self, value: Any, name: str = "", room: Room | None = None, depth: int = 0) -> Any:
        """A JSON value for anything at all, as the value of the field `name`."""
        room = room or Room(MAX_TEXT * 4)
        room.left -= NODE
        if value is None or isinstance(value, bool):
            return value
        number = isinstance(value, int | float)
        if name and self._names.hide(name, number=number):
            return value if isinstance(value, str | bytes) and not value else REDACTED
        if number:
            return self._number(value)
        if isinstance(value, str):
            return self.text(value, room)
        if isinstance(value, bytes | bytearray | memoryview):
            return self.text(bytes(value[: MAX_TEXT + OVERLAP]).decode("utf-8", "backslashreplace"), room)
        if isinstance(value, Mapping | list | tuple | AbstractSet):
            try:
                return self._container(value, room, depth)
            except Exception as error:  # noqa: BLE001 - the application's own class may do anything
                return f"<unreadable {type(value).__name__}: {type(error).__name__}>"
        if isinstance(value, date | time):
            return value.isoformat()
        if isinstance(value, BaseException):
            return self.text(f"{type(value).__name__}: {shown(value)}", room)
        return self.text(shown(value), room)

    def text(self, text: str, room: Room | None = None) -> str:
        """A text with what looks like a secret taken out, cut at MAX_TEXT characters or what room is left."""
        text = str.__str__(text)
        limit = MAX_TEXT if room is None else max(min(MAX_TEXT, room.left), 0)
        whole = len(text)
        if whole > limit:
            text = text[: limit + OVERLAP]
        if not text.isascii():
            # Half a surrogate pair, as in names of files that are not UTF-8, has no place in JSON.
            text = text.encode("utf-8", "backslashreplace").decode()
        if whole > 4:
            text = self._forms.hide(text)
        if whole > limit:
            text = (
                f"{text[: max(min(limit, len(text) - min(OVERLAP, whole - limit)), 0)]}… [cut, of {whole} characters]"
            )
        if room is not None:
            room.left -= len(text)
        return text

    def _number(self, value: Any) -> Any:
        if isinstance(value, float):
            return value if math.isfinite(value) else shown(value)
        if self._personal and 10**12 <= value < 10**19 and is_card(str(int(value))):
            return REDACTED
        return value if -(1 << 63) <= value < 1 << 64 else shown(value)

    def _container(self, value: Any, room: Room, depth: int) -> Any:
        size = len(value)
        if depth >= MAX_DEPTH or room.left <= 0:
            return f"<{type(value).__name__} of {size}>"
        if isinstance(value, Mapping):
            pairs = [(_key(key), one) for key, one in islice(value.items(), MAX_ITEMS)]
            out: dict[str, Any] = {}
            for key, one in pairs:
                if room.left <= 0:
                    break
                out[self.text(key, room)] = self.value(one, key, room, depth + 1)
            if size > len(pairs) or room.left <= 0:
                out["…"] = f"of {size}"
            return out
        items: list[Any] = []
        for one in list(islice(value, MAX_ITEMS)):
            if room.left <= 0:
                break
            items.append(self._item(one, room, depth + 1))
        if size > len(items):
            items.append(f"… of {size}")
        return items

    def _item(self, value: Any, room: Room, depth: int) -> Any:
        """A pair in a list, such as a header of ASGI, is a name and its value."""
        if isinstance(value, tuple | list) and len(value) == 2 and isinstance(value[0], str | bytes):
            name = _key(value[0])
            return [self.text(name, room), self.value(value[1], name, room, depth + 1)]
        return self.value(value, "", room, depth)


def _key(key: Any) -> str:
    return key.decode("utf-8", "backslashreplace") if isinstance(key, bytes) else shown(key)


def shown(value: Any) -> str:
    """The text of anything, also of what has none. Never raises."""
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - the application's own __str__ may do anything
        return f"<unprintable {type(value).__name__}: {type(error).__name__}>"
