"""Which names of fields say that their value is a secret."""

import re
from collections.abc import Iterable

# A name is compared without its separators: api_key, X-API-Key and apiKey are one. What only begins like a secret
# (secretary, tokenizer) is none.
_PARTS = (
    "password", "passwd", "passphrase", "secret(?!ar)", "token(?!i[sz])", "apikey", "accesskey", "privatekey",
    "signingkey", "encryptionkey", "authorization", "cookie", "credential", "sessionid", "csrf", "xsrf", "cardnumber",
    "creditcard",
)  # fmt: skip
_WORDS = frozenset({"pwd", "pin", "otp", "cvv", "cvc", "ssn", "iban", "jwt"})
"""Too short to be looked for inside a word: `user_pin` is a secret, `spinner` is none."""
_WHOLE = frozenset({"auth", "pass"})
"""Only as the whole name: `auth`, but not `auth_method`."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SEPARATORS = re.compile(r"[\W_]+")
_REMEMBERED = 10_000
"""Names whose answer is kept; an application has few, but a mapping may have a million keys."""


class SecretNames:
    """The names known here, and `more` that the application has."""

    def __init__(self, more: Iterable[str] = ()) -> None:
        own = [bare for name in more if (bare := _bare(name))]
        self._part = re.compile("|".join((*_PARTS, *map(re.escape, own))))
        # The same names in a text, where separators stand between a name's words. What is found is asked again.
        spelt = [r"[ _.-]?".join(map(re.escape, _words(name))) for name in more if _words(name)]
        short = sorted(_WORDS | _WHOLE)
        self.in_text = "|".join((*_IN_TEXT, *spelt, *short))
        self.hints = (*_HINTS, *(words[0].lower() for name in more if (words := _words(name))))
        """One of these, in lower case, is in every text that `in_text` finds anything in."""
        self._known: dict[str, tuple[bool, bool]] = {}

    def hide(self, name: str, *, number: bool = False) -> bool:
        """Whether a value of this name is never to be shown.

        A number is hidden only where the secret is what the name ends with: `pin` and `access_token`, but not
        `prompt_tokens`, `password_attempts` or `token_expires_in`.
        """
        if (known := self._known.get(name)) is None:
            known = self._judge(name)
            if len(self._known) < _REMEMBERED:
                self._known[name] = known
        return known[number]

    def _judge(self, name: str) -> tuple[bool, bool]:
        bare, words = _bare(name), [word.lower() for word in _WORD.findall(name)]
        found = [*self._part.finditer(bare)]
        some = bool(found) or bare in _WHOLE or not _WORDS.isdisjoint(words)
        last = bool(found and found[-1].end() == len(bare)) or bare in _WHOLE or bool(words and words[-1] in _WORDS)
        return some, last


_IN_TEXT = (
    "pass(?:word|wd|phrase)", "secret", "token", "(?:api|access|private|signing|encryption)[ _.-]?key",
    "authorization", "cookie", "credential", "session[ _.-]?id", "[cx]srf", "card[ _.-]?number", "credit[ _.-]?card",
)  # fmt: skip

_HINTS = (
    "pass", "secret", "token", "key", "auth", "cookie", "credential", "session", "srf", "card", "pwd", "pin", "otp",
    "cvv", "cvc", "ssn", "iban", "jwt",
)  # fmt: skip


def _bare(name: str) -> str:
    return _SEPARATORS.sub("", name).lower()


def _words(name: str) -> list[str]:
    return [word for word in _SEPARATORS.split(name) if word]
