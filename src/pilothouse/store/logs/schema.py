"""The columns of the head and of every segment."""

import pyarrow as pa

METADATA = pa.map_(pa.string(), pa.string())
SCHEMA = pa.schema(
    [
        pa.field("ts", pa.int64(), nullable=False),
        pa.field("stream", pa.int32(), nullable=False),
        pa.field("level", pa.uint8(), nullable=False),
        pa.field("line", pa.string(), nullable=False),
        pa.field("metadata", METADATA),
    ]
)
"""ts: nanoseconds. stream: id in the StreamIndex. level: index into levels.LEVELS. metadata: null where empty."""

ROW_GROUP = 32_768
"""Rows of a row group: the unit that pruning leaves out, about 6 MB of lines."""


def empty() -> pa.Table:
    """A table of no rows."""
    return SCHEMA.empty_table()
