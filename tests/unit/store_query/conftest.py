"""A store holding given lines, some in segments and some in the head."""

import contextlib

import pytest

from pilothouse.core.times import DAY
from pilothouse.settings import load
from pilothouse.store.logs.batch import StreamLines
from pilothouse.store.logs.query.budget import Budget
from pilothouse.store.logs.store import LogStore


@pytest.fixture
def budget():
    return Budget(timeout=60 * 10**9)


@pytest.fixture
def holding(tmp_path_factory):
    """`async with holding(part, part, …) as store`: each part but the last becomes a segment.

    A part is a list of (labels, ts, line) or (labels, ts, line, metadata).
    """

    @contextlib.asynccontextmanager
    async def hold(*parts):
        store = LogStore(load({}, data_dir=tmp_path_factory.mktemp("data"), retention=36_500 * DAY))
        await store.open()
        try:
            for number, part in enumerate(parts):
                streams = {}
                for labels, ts, line, *metadata in part:
                    key = tuple(sorted(labels.items()))
                    one = streams.setdefault(key, StreamLines(labels=labels))
                    one.ts.append(ts)
                    one.lines.append(line)
                    one.metadata.append(metadata[0] if metadata else None)
                await store.append(list(streams.values()))
                if number + 1 < len(parts):
                    await store.flush()
            yield store
        finally:
            await store.close()

    return hold
