"""What a query sees: a moment of the store that does not change under it."""

from dataclasses import dataclass

import pyarrow as pa

from pilothouse.store.logs.schema import SCHEMA
from pilothouse.store.logs.segment import Segment
from pilothouse.store.logs.streams import StreamIndex


@dataclass(frozen=True, kw_only=True, slots=True)
class Snapshot:
    """Segments and head of one moment. Holding it keeps the files; `damaged` names segments that can't be read."""

    streams: StreamIndex
    segments: tuple[Segment, ...]
    batches: tuple[pa.RecordBatch, ...]
    damaged: tuple[str, ...] = ()

    @property
    def head(self) -> pa.Table:
        """The rows that are in no segment yet, in order of arrival, unsorted."""
        return pa.Table.from_batches(self.batches, SCHEMA)
