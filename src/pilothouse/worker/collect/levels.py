"""The level that a line of plain text begins with, where the log backend's own rules would not see it."""

import re

HEAD = 96
"""Characters in which a level is looked for: behind a time, a host and a logger, but not in the message."""
_WORD = re.compile(
    r"(?:^|[\s\[(|<])"
    r"(?:(?P<trace>TRACE|FINEST?)|(?P<debug>DEBUG|DBG)|(?P<info>INFO|NOTICE|LOG)|(?P<warn>WARN|WARNING)"
    r"|(?P<error>ERROR|ERR|SEVERE)|(?P<critical>CRITICAL|CRIT|ALERT)|(?P<fatal>FATAL|PANIC|EMERG))"
    r"(?=[\s\])|>:,])"
)
_BRACKETED = re.compile(
    r"\[(?:(?P<info>notice)|(?P<critical>crit|alert)|(?P<fatal>emerg)|(?P<warn>warn)|(?P<error>error))\]"
)
_KLOG = re.compile(r"(?:(?P<info>I)|(?P<warn>W)|(?P<error>E)|(?P<fatal>F))\d{4} \d\d:\d\d:\d\d")


def level_of(text: str) -> str | None:
    """Loki's name of the level, or None where the line does not begin with one, or has fields that say it.

    Words in capitals (`2026-05-01 ERROR [api] …`, `WARNING:root:…`), nginx's in brackets, and Kubernetes' `E0501 …`.
    """
    head = text[:HEAD]
    if head[:1] == "{" or "level=" in head or "severity" in head or "lvl=" in head:
        return None
    found = _WORD.search(head) or _BRACKETED.search(head) or _KLOG.match(head)
    return found.lastgroup if found else None
