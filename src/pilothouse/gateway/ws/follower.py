"""What waits for one client of a tail: bounded, and what had to go is said in its place."""

import asyncio
from collections import deque
from collections.abc import Sequence

from prometheus_client import Counter

from pilothouse.core.errors import PilothouseError
from pilothouse.gateway.logs.lines import Placed
from pilothouse.gateway.ws.frames import Batch, Gap, Notice

MOST_WAITING = 10_000
"""Lines that wait for a client that is slow or has paused: ten seconds of a busy machine, shared by all who wait."""
SLOW_CLIENT = "slow_client"
SKIPPED = Counter("pilothouse_tail_lines_skipped", "Lines that a slow client did not get live.")

Item = Batch | Gap | Notice


class Follower:
    """Filled by the tail, emptied by its client's sender. `wake` is set whenever there is reason to look again.

    While the client still reads storage, `reading` is the time (ns) up to which it has: what must go then and is
    newer will be found there, so that it is no gap; `reread` says that there was such.
    """

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.reading: int | None = None
        self.reread = False
        self.lines = 0
        self._items: deque[Item] = deque()
        self._missing: Gap | None = None
        self._failure: PilothouseError | None = None

    def offer(self, item: Item) -> None:
        """Add at the end. The oldest lines go where there are too many, and a gap stands in their place."""
        self._items.append(item)
        self.lines += len(item.placed) if isinstance(item, Batch) else 0
        while self.lines > MOST_WAITING:
            oldest = self._items.popleft()
            if isinstance(oldest, Batch):
                self.lines -= len(oldest.placed)
                self._skip(oldest.placed)
            elif isinstance(oldest, Gap):
                self._miss(oldest)
        self.wake.set()

    def fail(self, error: PilothouseError) -> None:
        """The tail has ended for good: `take` raises once all else is taken."""
        self._failure = error
        self.wake.set()

    def take(self) -> Item | None:
        """The next item, or None where there is none now. Raises what `fail` gave."""
        if self._missing is not None:
            gap, self._missing = self._missing, None
            return gap
        if self._items:
            item = self._items.popleft()
            self.lines -= len(item.placed) if isinstance(item, Batch) else 0
            return item
        if self._failure is not None:
            raise self._failure
        return None

    def _skip(self, placed: Sequence[Placed]) -> None:
        lost = [one for one in placed if self.reading is None or one.cursor.ts <= self.reading]
        self.reread = self.reread or len(lost) < len(placed)
        if lost:
            SKIPPED.inc(len(lost))
            self._miss(gap_of(lost))

    def _miss(self, gap: Gap) -> None:
        self._missing = gap if self._missing is None else self._missing | gap


def gap_of(placed: Sequence[Placed], reason: str = SLOW_CLIENT) -> Gap:
    """The gap that these lines, which are in order, leave."""
    return Gap(start=placed[0].cursor.ts, end=placed[-1].cursor.ts, dropped=len(placed), reason=reason)
