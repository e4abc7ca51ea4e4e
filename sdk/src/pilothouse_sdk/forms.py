"""What secrets and personal data look like in a text, whatever the text is."""

import base64
import binascii
import re

from pilothouse_sdk.names import SecretNames

REDACTED = "[redacted]"

_KEY_BLOCK = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)", re.DOTALL
)
_URL = re.compile(r"(://)(?:[^\s/?#@:\"']{0,256}:[^\s/?#\"']{1,1024}|[^\s/?#@:\"']{16,1024})@")
_URL_PARAMETER = re.compile(r"(?i)([?&](?:key|code|sig|[\w-]{0,40}signature|auth|state|session|sid)=)[^&\s\"'#]+")
# To the end of the line, as headers are; a quote that did not begin behind a `=` ends the text that the header is in.
_HEADER = re.compile(
    r"(?i)(?<![\w-])((?:proxy-)?authorization|(?:set-)?cookie)([ \t]{0,3}:[ \t]{0,3})"
    r"((?:[^\"'\r\n]|(?<==)\"[^\"\r\n]*\")+)"
)
_VALUE = (
    r"(?P<value>b?\"[^\"\\]*(?:\\.[^\"\\]*)*\"?"  # "a \" b", also where its end was cut off
    r"|b?'[^'\\]*(?:\\.[^'\\]*)*'?"
    r"|\\\"(?:(?!\\\").)*(?:\\\")?"  # JSON within JSON
    r"|(?:(?:bearer|basic|token|digest|apikey)\s+)?[^\s\"'\\,;&)}\]<>]+)"
)
_QUOTED = re.compile(r"b?(\\\"|[\"'])")
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){1,3}")
_SCHEME = re.compile(r"(?i)\b(bearer|basic)(\s{1,3})([A-Za-z0-9._~+/-]{8,}={0,2})")
_PREFIXED = re.compile(
    r"\b(?:(?:AKIA|ASIA)[A-Z0-9]{16}|gh[opsru]_[A-Za-z0-9]{20,}|github_pat_\w{20,}|xox[a-z]-[\w-]{10,}"
    r"|[rs]k_(?:live|test)_\w{10,}|AIza[\w-]{30,}|ph_[\w-]{16,})"
)
_MAIL = re.compile(r"\b[A-Za-z0-9._%+-]{1,64}@(?=[A-Za-z0-9])[A-Za-z0-9.-]{1,190}\.[A-Za-z]{2,24}\b")
_CARD = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")
# How cards' numbers begin and how long they are (ISO/IEC 7812): times in nanoseconds, and most ids, are no cards.
_ISSUED = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})|5\d{15}|2[2-7]\d{14}|3[47]\d{13}|3(?:0[0-5]|[689]\d)\d{11}|35\d{14,17}|6\d{15,18}"
)


class Forms:
    """Finds secrets in texts. Every pattern is linear in the text's length but for small constants."""

    def __init__(self, names: SecretNames, *, personal: bool) -> None:
        self._names = names
        self._personal = personal
        self._assigned = re.compile(
            rf"(?is)(?<![\w-])(?P<name>[\w.-]{{0,40}}?(?:{names.in_text})[\w-]{{0,20}})"
            rf"(?P<between>\\?[\"']?\s{{0,3}}(?:=>|->|[=:>]|(?<=[\"']),(?=\s?b?[\"']))\s{{0,3}}){_VALUE}"
        )

    def hide(self, text: str) -> str:
        """The text with each secret replaced by `[redacted]`."""
        if ":" in text or "=" in text or ">" in text or "," in text:
            if "PRIVATE KEY" in text:
                text = _KEY_BLOCK.sub(REDACTED, text)
            if "://" in text:
                text = _URL.sub(rf"\1{REDACTED}@", text)
            if "?" in text or "&" in text:
                text = _URL_PARAMETER.sub(rf"\1{REDACTED}", text)
            lowered = text.lower()
            for hint in self._names.hints:
                if hint in lowered:
                    text = _HEADER.sub(rf"\1\2{REDACTED}", text)
                    text = self._assigned.sub(self._assignment, text)
                    break
        if "eyJ" in text:
            text = _JWT.sub(REDACTED, text)
        if " " in text:
            text = _SCHEME.sub(_credentials, text)
        text = _PREFIXED.sub(REDACTED, text)
        if self._personal:
            if "@" in text:
                text = _MAIL.sub(REDACTED, text)
            text = _CARD.sub(_card, text)
        return text

    def _assignment(self, found: re.Match[str]) -> str:
        name, between, value = found["name"], found["between"], found["value"]
        if not self._names.hide(name, number=_is_number(value)):
            # Only like a secret's name; a secret may be in its value.
            return name + between + self._assigned.sub(self._assignment, value)
        if value in {REDACTED[:-1], "None", "null", "true", "false", "True", "False"}:
            return found[0]
        if quoted := _QUOTED.match(value):
            return f"{name}{between}{quoted[0]}{REDACTED}{quoted[1]}"
        return f"{name}{between}{REDACTED}"


def is_card(number: str) -> bool:
    """Whether digits have the form of a card's number, and pass the check of Luhn (ISO/IEC 7812-1)."""
    if _ISSUED.fullmatch(number) is None:
        return False
    doubled = (int(digit) * 2 if i % 2 else int(digit) for i, digit in enumerate(reversed(number)))
    return sum(one - 9 if one > 9 else one for one in doubled) % 10 == 0


def _card(found: re.Match[str]) -> str:
    return REDACTED if is_card(found[0].replace(" ", "").replace("-", "")) else found[0]


def _credentials(found: re.Match[str]) -> str:
    """`Basic` is also a word: what follows is credentials where it decodes to such, or is no word itself."""
    scheme, space, value = found.groups()
    if scheme.lower() == "basic" and value.isalpha() and value[1:].islower():
        try:
            if b":" not in base64.b64decode(value, validate=True):
                return found[0]
        except binascii.Error:
            return found[0]
    return f"{scheme}{space}{REDACTED}"


def _is_number(value: str) -> bool:
    return value.replace(".", "", 1).isdecimal()
