"""Which lines were given already, as far back as two ways to the same line can differ."""

from collections import deque
from collections.abc import Iterable

from pilothouse.core.cursor import Cursor
from pilothouse.gateway.logs.lines import Placed

MOST_SEEN = 50_000
"""Lines remembered: at 1,000 lines/s most of a minute, in 6 MB."""


class Seen:
    """Remembers the newest lines that were given. `floor` is the newest time (ns) among those forgotten."""

    def __init__(self) -> None:
        self.floor = 0
        self._keys: set[int] = set()
        self._order: deque[int] = deque()

    def __contains__(self, cursor: Cursor) -> bool:
        return key_of(cursor) in self._keys

    def add(self, cursor: Cursor) -> bool:
        """Count a line as given. False where it was before."""
        key = key_of(cursor)
        if key in self._keys:
            return False
        self._keys.add(key)
        self._order.append(key)
        if len(self._order) > MOST_SEEN:
            oldest = self._order.popleft()
            self._keys.discard(oldest)
            self.floor = max(self.floor, oldest >> 64)
        return True

    def fresh(self, lines: Iterable[Placed]) -> list[Placed]:
        """Those of `lines` that were not given yet; they are from now on."""
        return [one for one in lines if self.add(one.cursor)]


def key_of(cursor: Cursor) -> int:
    """A cursor as one integer: a third of the object's memory."""
    return cursor.ts << 64 | cursor.stream << 32 | cursor.line
