"""The batches that a live tail waits for."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

import pyarrow as pa

SUBSCRIBER_ROWS = 50_000
"""Rows that wait for a slow tail before they are dropped and counted."""


@dataclass(eq=False, kw_only=True, slots=True)
class Subscription:
    """Batches as they are acknowledged, for one tail. `dropped` rows were too many for it."""

    batches: deque[pa.RecordBatch] = field(default_factory=deque)
    waiting: int = 0
    dropped: int = 0
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, batch: pa.RecordBatch) -> None:
        """Take a batch; the oldest go where the tail does not keep up."""
        self.batches.append(batch)
        self.waiting += batch.num_rows
        while self.waiting > SUBSCRIBER_ROWS and len(self.batches) > 1:
            lost = self.batches.popleft().num_rows
            self.waiting -= lost
            self.dropped += lost
        self.arrived.set()

    async def take(self) -> tuple[list[pa.RecordBatch], int]:
        """Wait for batches; gives them and how many rows were dropped before them."""
        await self.arrived.wait()
        self.arrived.clear()
        batches, dropped = list(self.batches), self.dropped
        self.batches.clear()
        self.waiting = self.dropped = 0
        return batches, dropped
