"""Runs a query off the event loop, and stops it when its client leaves."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pyarrow as pa
from starlette.requests import Request

from pilothouse.settings import Settings
from pilothouse.store.logs.query.budget import Budget
from pilothouse.store.logs.query.errors import QueryCancelled

T = TypeVar("T")

QUERIES = 4
"""Queries evaluated at once; others wait their turn within their time. Each may hold some 30 MB of lines."""
TIDY_AFTER = 64 << 20
"""Bytes of lines read after which the allocator gives back what it holds; it would keep a hundred megabytes."""
_pool = ThreadPoolExecutor(QUERIES, thread_name_prefix="query")


async def run(request: Request, settings: Settings, work: Callable[[Budget], T]) -> T:
    """What `work` gives. Raises what it raises, or QueryCancelled where the client has left."""
    budget = Budget(timeout=settings.query_timeout)

    def begin() -> T:
        budget.check()
        try:
            return work(budget)
        finally:
            if budget.bytes > TIDY_AFTER:
                pa.default_memory_pool().release_unused()

    task = asyncio.ensure_future(asyncio.get_running_loop().run_in_executor(_pool, begin))
    leaving = asyncio.create_task(_left(request))
    try:
        waiting: set[asyncio.Future[Any]] = {task, leaving}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise QueryCancelled("the client left before the answer")
    finally:
        leaving.cancel()
        if not task.done():
            budget.cancelled.set()
            task.add_done_callback(lambda done: done.cancelled() or done.exception())


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
