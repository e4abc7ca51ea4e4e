"""Take secrets and personal data out of what is logged: by the name of a field, and by the form of a text."""

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

REDACTED = "[redacted]"
MAX_TEXT = 32_768
"""Characters of one text: a line stays well under what collectors cut."""
MAX_DEPTH, MAX_ITEMS = 8, 200

_NAMES = (
    "password", "passwd", "passphrase", "pwd", "secret", "token", "apikey", "accesskey", "privatekey", "authorization",
    "cookie", "credential", "sessionid", "csrf", "otp", "pin", "cvv", "cvc", "cardnumber", "iban", "ssn",
)  # fmt: skip
_WHOLE = {"pin", "otp", "cvv", "cvc", "ssn", "iban", "pwd"}
"""Names that are only meant as a whole: `pin`, but not `pinned`."""

_ASSIGNED = re.compile(
    r"(?i)\b([\w-]{0,40}(?:password|passwd|passphrase|secret|token|api[_-]?key|access[_-]?key|authorization))"
    r"(\\?[\"']?\s{0,3}[=:]\s{0,3}\\?[\"']?)((?:bearer|basic)\s+)?([^\s\"',;&\\)}\]]{1,4096})"
)
_SCHEME = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*")
_URL = re.compile(r"(://)[^\s/@:\"']{0,256}:[^\s/@\"']{1,256}@")
_KEY_BLOCK = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)", re.DOTALL
)
_AWS = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b")
_MAIL = re.compile(r"\b[A-Za-z0-9._%+-]{1,64}@(?=[A-Za-z0-9])[A-Za-z0-9.-]{1,190}\.[A-Za-z]{2,24}\b")
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")


class Redactor:
    """Makes any value plain, bounded and free of secrets.

    `names` are further names of fields whose values are never logged; `personal` also takes out e-mail addresses and
    card numbers.
    """

    def __init__(self, names: Iterable[str] = (), *, personal: bool = True) -> None:
        self._names = (*_NAMES, *(_bare(name) for name in names))
        self._personal = personal
        self._known: dict[str, bool] = {}

    def is_secret(self, name: str) -> bool:
        """Whether the value of a field of this name is never to be logged."""
        if (known := self._known.get(name)) is None:
            bare = _bare(name)
            known = any(bare == one if one in _WHOLE else one in bare for one in self._names)
            if len(self._known) < 10_000:
                self._known[name] = known
        return known

    def value(self, value: Any, name: str = "", depth: int = 0) -> Any:
        """A JSON value for anything at all; never raises."""
        if name and self.is_secret(name) and value not in (None, "", True, False):
            return REDACTED
        if value is None or isinstance(value, bool | float):
            return value
        if isinstance(value, int):
            return value if -(1 << 63) <= value < 1 << 64 else str(value)
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, bytes | bytearray):
            return self.text(bytes(value[: MAX_TEXT + 1]).decode("utf-8", "backslashreplace"))
        if depth < MAX_DEPTH:
            if isinstance(value, Mapping):
                return self._mapping(value, depth)
            if isinstance(value, list | tuple | AbstractSet):
                return self._items(value, depth)
        return self.text(shown(value))

    def text(self, text: str) -> str:
        """A text with what looks like a secret taken out, cut at MAX_TEXT characters."""
        cut = len(text) - MAX_TEXT
        if cut > 0:
            text = text[:MAX_TEXT]
        if "=" in text or ":" in text:
            if "PRIVATE KEY" in text:
                text = _KEY_BLOCK.sub(REDACTED, text)
            text = _URL.sub(rf"\1{REDACTED}@", text)
            text = _ASSIGNED.sub(rf"\1\2{REDACTED}", text)
        if "eyJ" in text:
            text = _JWT.sub(REDACTED, text)
        if " " in text:
            text = _SCHEME.sub(rf"\1 {REDACTED}", text)
        if "AKIA" in text or "ASIA" in text:
            text = _AWS.sub(REDACTED, text)
        if self._personal:
            if "@" in text:
                text = _MAIL.sub(REDACTED, text)
            text = _CARD.sub(_without_card, text)
        return f"{text}… [cut, {cut} characters more]" if cut > 0 else text

    def _mapping(self, value: Mapping[Any, Any], depth: int) -> Any:
        try:
            pairs = list(value.items())
            out = {
                self.text(key) if isinstance(key, str) else shown(key): self.value(
                    one, key if isinstance(key, str) else "", depth + 1
                )
                for key, one in pairs[:MAX_ITEMS]
            }
        except Exception as error:  # noqa: BLE001 - the application's own class may do anything
            return f"<unreadable {type(value).__name__}: {type(error).__name__}>"
        if len(pairs) > MAX_ITEMS:
            out["…"] = f"{len(pairs) - MAX_ITEMS} more"
        return out

    def _items(self, value: Any, depth: int) -> Any:
        try:
            items = list(value)
        except Exception as error:  # noqa: BLE001 - as above
            return f"<unreadable {type(value).__name__}: {type(error).__name__}>"
        out = [self.value(one, "", depth + 1) for one in items[:MAX_ITEMS]]
        if len(items) > MAX_ITEMS:
            out.append(f"… {len(items) - MAX_ITEMS} more")
        return out


def _bare(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "").replace(" ", "")


def shown(value: Any) -> str:
    """The text of anything, also of what has none. Never raises."""
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - the application's own __str__ may do anything
        return f"<unprintable {type(value).__name__}: {type(error).__name__}>"


def _without_card(found: re.Match[str]) -> str:
    """Digits that pass the check of Luhn (ISO/IEC 7812-1) are a card's; others are a number like any other."""
    digits = [int(one) for one in found[0] if one.isdigit()]
    doubled = (digit if i % 2 == 0 else digit * 2 - 9 * (digit > 4) for i, digit in enumerate(reversed(digits)))
    return REDACTED if sum(doubled) % 10 == 0 else found[0]
