"""`| logfmt`: key=value pairs of a line to labels, as Loki's decoder finds them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

_GARBAGE = re.compile(r"[\x00-\x20]*")
_KEY = re.compile(r'[^\x00-\x20="]*')
_VALUE = re.compile(r'[^\x00-\x20="]*')
_SKIP = re.compile(r"[^\x00-\x20]*")
_QUOTED = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


@dataclass(slots=True)
class Logfmt:
    """Reads one line. `error` is the last thing that was wrong; reading goes on behind it."""

    line: str
    error: str = field(default="", init=False)

    def pairs(self, *, strict: bool = False) -> Iterator[tuple[str, str]]:
        """Keys and values in order; a key alone has an empty value. `strict` stops at the first error."""
        line, at, end = self.line, 0, len(self.line)
        while at < end:
            at = _GARBAGE.match(line, at).end()  # type: ignore[union-attr] # it matches anything
            if at >= end:
                return
            begin = at
            at = _KEY.match(line, at).end()  # type: ignore[union-attr]
            key = line[begin:at]
            if at < end and line[at] == '"':
                at = self._unexpected(at)
            elif at < end and line[at] == "=":
                if not key or "\ufffd" in key:
                    at = self._unexpected(at) if not key else self._wrong("invalid key", at, skip=True)
                else:
                    value, at = self._value(at + 1)
                    if value is not None:
                        yield key, value
                        continue
            elif "\ufffd" in key:
                at = self._wrong("invalid key", at, skip=False)
            else:
                yield key, ""
                continue
            if strict and self.error:
                return

    def _value(self, at: int) -> tuple[str | None, int]:
        line, end = self.line, len(self.line)
        if at >= end or line[at] <= " ":
            return "", at
        if line[at] == '"':
            return self._quoted(at)
        begin = at
        at = _VALUE.match(line, at).end()  # type: ignore[union-attr]
        if at < end and line[at] in '="':
            return None, self._unexpected(at)
        return line[begin:at], at

    def _quoted(self, at: int) -> tuple[str | None, int]:
        match = _QUOTED.match(self.line, at)
        if not match:
            return None, self._wrong("unterminated quoted value", len(self.line), skip=False)
        text = match[0]
        if "\\" not in text:
            return text[1:-1], match.end()
        try:
            return str(json.loads(text, strict=False)), match.end()
        except ValueError:
            return None, self._wrong("invalid quoted value", match.end(), skip=False)

    def _unexpected(self, at: int) -> int:
        char = self.line[at]
        return self._wrong(f"unexpected '{char}'", at, skip=True)

    def _wrong(self, what: str, at: int, *, skip: bool) -> int:
        position = len(self.line[:at].encode("utf-8", "surrogatepass")) + 1
        self.error = f"logfmt syntax error at pos {position} : {what}"
        return _SKIP.match(self.line, at).end() if skip else at  # type: ignore[union-attr]
