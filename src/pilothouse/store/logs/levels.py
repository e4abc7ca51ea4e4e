"""The level of a line, worked out as Loki's distributor does: its label, its metadata, its fields, its words."""

import re
from collections.abc import Iterable, Mapping

LEVELS = ("unknown", "trace", "debug", "info", "warn", "error", "critical", "fatal")
CODES = {name: code for code, name in enumerate(LEVELS)}
UNKNOWN, TRACE, DEBUG, INFO, WARN, ERROR, CRITICAL, FATAL = range(8)

SPELLINGS = {
    **CODES, "trc": TRACE, "dbg": DEBUG, "inf": INFO, "information": INFO, "wrn": WARN, "warning": WARN, "err": ERROR,
}  # fmt: skip
FIELDS = ("level", "LEVEL", "Level", "log.level", "severity", "SEVERITY", "Severity", "SeverityText", "lvl", "LVL",
          "Lvl", "severity_text", "Severity_Text", "SEVERITY_TEXT")  # fmt: skip
DETECTED = "detected_level"
SEVERITY_NUMBER = "severity_number"

_JSON_FIELD = re.compile(r'"(?:' + "|".join(map(re.escape, FIELDS)) + r')"\s*:\s*"([^"\\]*)"')
_LOGFMT_FIELD = re.compile(
    r'(?:^|\s)(level|log\.level|severity|severitytext|lvl|severity_text)=(?:"([^"\\]*)"|([^\s"]*))', re.IGNORECASE
)
_LOGFMT_RANK = {"level": 0, "log.level": 1, "severity": 2, "severitytext": 3, "lvl": 4, "severity_text": 5}
_LOGFMT_HINTS = ("level=", "lvl=", "severity")
_WORDS = (
    (INFO, ("info", "INFO")),
    (ERROR, ("err:", "ERR:", "[err]", "[ERR]", "[error]", "[ERROR]")),
    (WARN, ("warn:", "WARN:", "[warn]", "[WARN]", "warning", "WARNING")),
    (CRITICAL, ("critical:", "CRITICAL:", "[critical]", "[CRITICAL]")),
    (DEBUG, ("debug", "DEBUG")),
)


def code_of(text: str) -> int:
    """The code of a level as anybody spells it; UNKNOWN where nobody would."""
    return SPELLINGS.get(text) or SPELLINGS.get(text.lower(), UNKNOWN)


def of_labels(labels: Mapping[str, str]) -> int | None:
    """The level that a stream's labels, or a line's structured metadata, say outright; None where they do not."""
    if (detected := labels.get(DETECTED)) is not None:
        return code_of(detected)
    for name in FIELDS:
        if name in labels:
            return code_of(labels[name])
    return None


def of_severity_number(text: str) -> int:
    """The level of an OpenTelemetry severity number (1 to 24, four to a level)."""
    if not text.isdecimal():
        return INFO
    number = int(text)
    return UNKNOWN if not 1 <= number <= 24 else (TRACE, DEBUG, INFO, WARN, ERROR, FATAL)[(number - 1) // 4]


def of_lines(lines: Iterable[str]) -> list[int]:
    """The code of each line, from its text alone."""
    return [_of_line(line) for line in lines]


def _of_line(line: str) -> int:
    if line[:1] == "{" or line[:1].isspace():
        text = line.strip()
        if text[:1] == "{" and text[-1:] == "}":
            return _of_json(line)
    if "=" in line:
        lowered = line.lower()
        if any(hint in lowered for hint in _LOGFMT_HINTS):
            found = min(_LOGFMT_FIELD.finditer(line), key=lambda m: _LOGFMT_RANK[m[1].lower()], default=None)
            if found and (code := SPELLINGS.get((found[2] or found[3] or "").lower())):
                return code
    return _of_words(line)


def _of_json(line: str) -> int:
    at = line.find('"level": "')
    if at >= 0:
        value = line[at + 10 : line.find('"', at + 10)]
    else:
        found = _JSON_FIELD.search(line)
        value = found[1] if found else ""
    return SPELLINGS.get(value) or SPELLINGS.get(value.lower()) or _of_words(line)


def _of_words(line: str) -> int:
    for code, words in _WORDS:
        for word in words:
            if word in line:
                return code
    return UNKNOWN
