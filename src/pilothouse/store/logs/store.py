"""The log store: acknowledges a push when it is on disk, shows it at once, and keeps it until its time is over."""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ParamSpec, TypeVar

import msgspec
import numpy as np
import pyarrow as pa
import structlog

from pilothouse.core.errors import PilothouseError, Unavailable
from pilothouse.core.times import DAY, HOUR, format_instant, now_ns
from pilothouse.settings import Settings
from pilothouse.store.logs import manifest as manifests
from pilothouse.store.logs import merge, segment, wal
from pilothouse.store.logs.batch import StreamLines, to_record_batch
from pilothouse.store.logs.duplicates import keep_new, newest_of
from pilothouse.store.logs.head import Head
from pilothouse.store.logs.memory import give_back
from pilothouse.store.logs.replay import replay
from pilothouse.store.logs.schema import SCHEMA
from pilothouse.store.logs.segment import Segment
from pilothouse.store.logs.snapshot import Snapshot
from pilothouse.store.logs.streams import StreamIndex
from pilothouse.store.logs.subscription import Subscription

P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger(__name__)

FLUSH_ROWS = 131_072
"""Rows of the head that make a segment: four row groups, about 25 MB of lines."""
FLUSH_BYTES = 32 << 20
"""Bytes of the head that make a segment, where lines are long."""
FLUSH_AFTER = 30 * 60.0
"""Seconds after which a quiet head is flushed too, so that the WAL does not live for days."""
UPKEEP_EVERY = 10.0
"""Seconds between looks for what to flush, merge and drop."""
RETRY_UPKEEP = 5.0
"""Seconds before upkeep that failed is tried again; a full disk does not empty faster."""
REMEMBER = HOUR
"""Segments flushed within this time are asked for duplicates of late lines, besides the head."""
MOST_HEAD = 64 << 20
"""Bytes of lines in memory at which a push waits for the flush to make room."""
WAIT_FOR_ROOM = 10.0
"""Seconds that a push waits for it before it is refused."""


@dataclass(frozen=True, eq=False, kw_only=True, slots=True)
class _Pending:
    """Lines on their way to the write-ahead log; `written` gives the number of the file that has them."""

    batch: pa.RecordBatch
    written: "asyncio.Future[int]"

    @property
    def failed(self) -> bool:
        """Whether they will never be in it."""
        return self.written.done() and (self.written.cancelled() or self.written.exception() is not None)


def step_back() -> None:
    """Let this thread run only when nothing else wants the processor (Linux)."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)


class LogStore:
    """One directory of logs. Used from one event loop; flushing and merging run on a thread of their own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._root = settings.logs_dir
        self.streams = StreamIndex()
        self._head = Head()
        self._frozen = Head()
        self._frozen_before = 1
        self._pending: list[_Pending] = []
        self._durable_streams = 0
        self._newest: dict[int, int] = {}
        self._segments: tuple[Segment, ...] = ()
        self._unsound: set[str] = set()
        self._unopened: tuple[str, ...] = ()
        self.quarantined: tuple[tuple[str, int], ...] = ()
        self._subscriptions: set[Subscription] = set()
        self._upkeep: asyncio.Task[None] | None = None
        self._wake, self._room = asyncio.Event(), asyncio.Event()
        self._flushing, self._changing, self._merging = asyncio.Lock(), asyncio.Lock(), asyncio.Lock()
        self._numbering, self._viewing = threading.Lock(), threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="flush")
        self._merge_pool = ThreadPoolExecutor(1, thread_name_prefix="merge", initializer=step_back)
        self._last_flush = time.monotonic()
        self.ready = False
        self.write_trouble = ""
        self.upkeep_trouble = ""
        self.lines_in = 0
        self.duplicates = 0
        self.lines_cut = 0

    async def open(self) -> None:
        """Read the manifest, replay the WAL, start upkeep. Raises ManifestDamaged or OSError."""
        for name in ("wal", "segments", "quarantine"):
            (self._root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        self._manifest = manifests.load(self._root)
        manifests.save(self._root, self._manifest)
        self._stream_file = manifests.StreamFile(self._root)
        for labels in self._stream_file.load():
            self.streams.add(labels)
        self._open_segments()
        last = replay(self._root, first=self._manifest.wal, streams=self.streams, head=self._head)
        for batch in self._head.batches():
            self._note_newest(batch)
        aside = sorted((self._root / "quarantine").iterdir())
        self.quarantined = tuple((path.name, path.stat().st_size) for path in aside)
        self._durable_streams = len(self.streams)
        self._next_segment = self._manifest.next_segment
        self._wal = wal.WriteAheadLog(self._root / "wal", first=last + 1)
        self._upkeep = asyncio.create_task(self._run_upkeep())
        self.ready = True

    def _open_segment(self, entry: manifests.Entry) -> Segment:
        """Open one; an index that is gone or damaged is made anew, for all that it says is in the lines."""
        path = self._root / entry.path
        try:
            return segment.open_segment(path, merged=entry.merged)
        except segment.SegmentDamaged as error:
            if not path.exists():
                raise
            log.warning("an index is made anew", segment=entry.path, error=error.message)
            segment.write_index(path)
            return segment.open_segment(path, merged=entry.merged)

    def _open_segments(self) -> None:
        opened, damaged = [], []
        for entry in self._manifest.segments:
            try:
                opened.append(self._open_segment(entry))
            except segment.SegmentDamaged as error:
                damaged.append(entry.path)
                log.warning("a segment can't be read", segment=entry.path, error=error.message)
        self._segments, self._unopened = tuple(opened), tuple(damaged)
        for one in opened:
            for count in one.header.streams:
                self._newest[count.stream] = max(self._newest.get(count.stream, -1), count.max_ts)
        known = {self._root / entry.path for entry in self._manifest.segments}
        for path in (self._root / "segments").glob("*/*"):
            if path.with_suffix("").with_suffix(".parquet") not in known:
                path.unlink()

    # Writing

    async def append(self, streams: Sequence[StreamLines]) -> None:
        """Keep lines, in the order given; returns when they are on disk and can be queried.

        Raises StorageFull or Unavailable, and then keeps none of them.
        """
        await self._wait_for_room()
        batch = to_record_batch([(self.streams.add(one.labels), one) for one in streams if one.lines])
        if not batch.num_rows:
            return
        offered = batch.num_rows
        recent = now_ns() - REMEMBER
        batch = keep_new(
            batch,
            newest=self._newest,
            held=(
                *self._frozen.batches(),
                *self._head.batches(),
                *(one.batch for one in self._pending if not one.failed),
            ),
            segments=[one for one in self._segments if one.written_at > recent and one.name not in self._unsound],
            damaged=self.report_damage,
        )
        self._note_newest(batch)
        self.duplicates += offered - batch.num_rows
        records: list[tuple[wal.RecordKind, bytes | memoryview]] = []
        durable, upto = self._durable_streams, len(self.streams)
        if fresh := [labels for _, labels in self.streams.defined_since(durable)]:
            records.append((wal.RecordKind.STREAMS, msgspec.msgpack.encode((durable, fresh))))
        if batch.num_rows:
            records.append((wal.RecordKind.LINES, memoryview(batch.serialize())))
        # A repetition writes nothing, but must not be answered before the line it repeats is on disk.
        pending = _Pending(batch=batch, written=self._wal.append(records))
        self._pending.append(pending)
        try:
            await asyncio.shield(pending.written)
        except PilothouseError as error:
            self.write_trouble = error.message
            raise
        finally:
            if pending.written.done():
                self._settle(pending, upto)
            else:
                # The client left; what it pushed is kept all the same, once it is on disk.
                pending.written.add_done_callback(lambda _: self._settle(pending, upto))

    def _settle(self, pending: _Pending, streams: int) -> None:
        """Show what is on disk, in the head whose write-ahead files hold it; forget what failed."""
        self._pending.remove(pending)
        if pending.failed:
            return
        self.write_trouble = ""
        self._durable_streams = max(self._durable_streams, streams)
        batch = pending.batch
        if not batch.num_rows:
            return
        with self._viewing:
            (self._frozen if pending.written.result() < self._frozen_before else self._head).append(batch)
        self.lines_in += batch.num_rows
        for subscription in self._subscriptions:
            subscription.offer(batch)
        if self._is_full():
            self._wake.set()

    def _is_full(self) -> bool:
        return self._head.rows >= FLUSH_ROWS or self._head.bytes >= FLUSH_BYTES

    async def _wait_for_room(self) -> None:
        while self._head.bytes + self._frozen.bytes > MOST_HEAD:
            self._wake.set()
            self._room.clear()
            try:
                await asyncio.wait_for(self._room.wait(), WAIT_FOR_ROOM)
            except TimeoutError:
                raise Unavailable(
                    f"the store can't take more before it has flushed ({self.upkeep_trouble or 'which takes long'}); "
                    "nothing of this push was kept; push it again"
                ) from None

    def _note_newest(self, batch: pa.RecordBatch) -> None:
        for stream, ts in newest_of(batch).items():
            self._newest[stream] = max(self._newest.get(stream, -1), ts)

    # Reading

    def snapshot(self) -> Snapshot:
        """This moment of the store, for one query. From any thread."""
        with self._viewing:
            return Snapshot(
                streams=self.streams,
                segments=self._segments,
                batches=(*self._frozen.batches(), *self._head.batches()),
                damaged=self.damaged,
            )

    def subscribe(self) -> Subscription:
        """Every batch from now on, until `unsubscribe`."""
        subscription = Subscription()
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """No more batches."""
        self._subscriptions.discard(subscription)

    @property
    def head_rows(self) -> int:
        """Lines that are in no segment yet."""
        return self._head.rows + self._frozen.rows

    @property
    def wal_syncs(self) -> int:
        """How often the write-ahead log was put on disk."""
        return self._wal.syncs if self.ready else 0

    @property
    def damaged(self) -> tuple[str, ...]:
        """Segments that can't be read, or not in all their parts; all the others can."""
        unsound = (str(one.path.relative_to(self._root)) for one in self._segments if one.name in self._unsound)
        return (*self._unopened, *unsound)

    def report_damage(self, error: segment.SegmentDamaged) -> None:
        """Note that a segment, or a part of it, could not be read."""
        if error.details["segment"] not in self._unsound:
            self._unsound.add(error.details["segment"])
            log.warning("a segment can't be read", error=error.message)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """The segments of this moment."""
        return self._segments

    @property
    def disk_bytes(self) -> int:
        """Bytes of all segments with their indexes."""
        return sum(one.disk_bytes for one in self._segments)

    # Upkeep

    async def _run_upkeep(self) -> None:
        merging: asyncio.Task[None] | None = None
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), UPKEEP_EVERY)
            self._wake.clear()
            try:
                quiet = time.monotonic() - self._last_flush > FLUSH_AFTER
                if self._is_full() or self._frozen.rows or (quiet and self._head.rows):
                    await self.flush()
                await self.prune()
                # Merging takes seconds, and flushing must not wait for it.
                if merging is None or merging.done():
                    if merging is not None:
                        merging.result()
                    merging = asyncio.create_task(self.merge())
                self.upkeep_trouble = ""
            except asyncio.CancelledError:
                if merging is not None:
                    merging.cancel()
                raise
            except Exception as error:  # without upkeep the head would grow until memory ends
                merging = None
                self.upkeep_trouble = f"upkeep failed and is tried again: {error}"
                log.exception("upkeep failed", error=str(error))
                await asyncio.sleep(RETRY_UPKEEP)

    async def flush(self) -> None:
        """Turn the head into segments, one for each day that it touches. Raises OSError, and then keeps the head."""
        async with self._flushing:
            if not self._frozen.rows:
                needed = await self._wal.rotate()
                # No await from the rotation to here: what is in earlier files goes to the frozen head, the rest not.
                with self._viewing:
                    self._frozen, self._head, self._frozen_before = self._head, Head(), needed
                while any(one.written.done() for one in self._pending):  # noqa: ASYNC110 - ends within one turn of the loop
                    await asyncio.sleep(0)
            self._last_flush = time.monotonic()
            if not self._frozen.rows:
                return
            added = await self._run(self._write_segments, self._frozen.batches())
            async with self._changing:
                await self._commit((*self._segments, *added), wal_needed=self._frozen_before, flushed=True)
            self._room.set()
            self._wal.remove_before(self._manifest.wal)
            await self._run(give_back)

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *args, **kwargs))

    def _write_segments(self, batches: tuple[pa.RecordBatch, ...]) -> list[Segment]:
        self._stream_file.append([labels for _, labels in self.streams.defined_since(self._stream_file.written)])
        table = merge.sort_rows(pa.Table.from_batches(batches, SCHEMA))
        days = table["ts"].to_numpy() // DAY
        added = []
        for day in np.unique(days):
            rows = table if days[0] == day and (days == day).all() else table.filter(pa.array(days == day))
            labels = {int(number): self.streams.labels(int(number)) for number in np.unique(rows["stream"].to_numpy())}
            path = self._root / "segments" / format_instant(int(day) * DAY)[:10] / f"{self._number():08d}.parquet"
            added.append(segment.write(path, [rows], labels=labels, merged=False))
        return added

    def _number(self) -> int:
        with self._numbering:
            self._next_segment += 1
            return self._next_segment - 1

    async def _commit(self, segments: Sequence[Segment], *, wal_needed: int, flushed: bool = False) -> None:
        """Make `segments` the ones that exist; queries see them once the manifest is on disk.

        `flushed`: the frozen head is among them now.
        """
        kept = [entry for entry in self._manifest.segments if entry.path in self._unopened]
        entries = [manifests.Entry(path=str(s.path.relative_to(self._root)), merged=s.merged) for s in segments]
        changed = manifests.Manifest(wal=wal_needed, next_segment=self._next_segment, segments=(*kept, *entries))
        await self._run(manifests.save, self._root, changed)
        with self._viewing:
            self._manifest, self._segments = changed, tuple(segments)
            if flushed:
                self._frozen = Head()

    async def merge(self, *, everything: bool = False) -> None:
        """Join small segments, day by day, until nothing is worth joining. Raises OSError.

        `everything`: as if each day were over. A segment that can't be read is left out and reported.
        """
        today = format_instant(now_ns())[:10]
        async with self._merging:
            for day in sorted({s.path.parent.name for s in self._segments}):
                settled = everything or day < today
                while chosen := merge.choose(
                    [s for s in self._segments if s.path.parent.name == day and s.name not in self._unsound],
                    settled=settled,
                    now=now_ns(),
                ):
                    try:
                        await self._join(chosen)
                    except segment.SegmentDamaged as error:
                        self.report_damage(error)

    async def _join(self, chosen: Sequence[Segment]) -> None:
        path = chosen[0].path.with_name(f"{self._number():08d}.parquet")
        labels = {c.stream: self.streams.labels(c.stream) for s in chosen for c in s.header.streams}
        work = partial(segment.write, path, merge.merged_rows(chosen), labels=labels, merged=True)
        joined = await asyncio.get_running_loop().run_in_executor(self._merge_pool, work)
        await self._replace(chosen, joined)

    async def _replace(self, old: Sequence[Segment], new: Segment | None) -> None:
        async with self._changing:
            if new is not None and not set(old) <= set(self._segments):
                new.retire()  # retention took one of them meanwhile
                return
            rest = [one for one in self._segments if one not in old]
            await self._commit([*rest, new] if new else rest, wal_needed=self._manifest.wal)
        for one in old:
            one.retire()
        await self._run(give_back)

    async def prune(self) -> None:
        """Delete the segments whose last line is past retention, and the oldest while MAX_DISK is exceeded."""
        limit = now_ns() - self._settings.retention
        expired = [one for one in self._segments if one.max_ts < limit]
        if self._settings.max_disk:
            left = self.disk_bytes - sum(one.disk_bytes for one in expired)
            for one in sorted(set(self._segments) - set(expired), key=lambda s: s.max_ts):
                if left <= self._settings.max_disk:
                    break
                expired.append(one)
                left -= one.disk_bytes
        # Of one that can't be read only the day is known, from its directory.
        last_day = format_instant(max(limit - DAY, 0))[:10]
        unreadable = tuple(path for path in self._unopened if Path(path).parent.name < last_day)
        if unreadable:
            self._unopened = tuple(path for path in self._unopened if path not in unreadable)
        if expired or unreadable:
            await self._replace(expired, None)
            for path in unreadable:
                segment.remove_files(self._root / path)
            log.info("dropped what is past retention", segments=len(expired) + len(unreadable))

    async def close(self) -> None:
        """Flush and close. What could not be flushed is in the WAL."""
        if self._upkeep is not None:
            self._upkeep.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._upkeep
        try:
            await self.flush()
        except OSError as error:
            log.warning("the last flush failed; the write-ahead log has it all", error=str(error))
        await self._wal.close()
        self._pool.shutdown()
        self._merge_pool.shutdown(cancel_futures=True)
        self.ready = False
