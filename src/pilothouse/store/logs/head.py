"""The newest lines, in memory, queryable at once."""

import pyarrow as pa

from pilothouse.store.logs.schema import ROW_GROUP, SCHEMA


class Head:
    """Batches in order of arrival. Small ones are joined as they pile up, so that a query meets few."""

    def __init__(self) -> None:
        self._batches: list[pa.RecordBatch] = []
        self.rows = 0
        self.bytes = 0

    def append(self, batch: pa.RecordBatch) -> None:
        """Take a batch of the store's schema."""
        self._batches.append(batch)
        self.rows += batch.num_rows
        self.bytes += batch.nbytes
        # Joining only neighbours of like size copies each row a logarithmic number of times.
        while len(self._batches) > 1:
            before, last = self._batches[-2:]
            if before.num_rows > 2 * last.num_rows or before.num_rows + last.num_rows > ROW_GROUP:
                break
            joined = pa.Table.from_batches([before, last]).combine_chunks().to_batches()
            self._batches[-2:] = joined

    def batches(self) -> tuple[pa.RecordBatch, ...]:
        """What is held now."""
        return tuple(self._batches)

    def table(self) -> pa.Table:
        """What is held now, as a table of one chunk a batch."""
        return pa.Table.from_batches(self._batches, SCHEMA)
