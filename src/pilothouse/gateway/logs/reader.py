"""Pages, counts, histograms and context of a scoped log query, over any Loki.

A cursor names the last line that was given. What follows it is told apart from it by the order of `lines.place`, so
the nanosecond in which a page ends is always read as a whole.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec

from pilothouse.backends.loki import LokiClient, series_of
from pilothouse.core.cursor import Cursor
from pilothouse.core.errors import InvalidRequest, NotFound, QueryTimeout, UpstreamFailed
from pilothouse.core.times import DAY, MINUTE, SECOND
from pilothouse.gateway.logs.asked import Span
from pilothouse.gateway.logs.lines import DETECTED, LogLine, Placed, behind, level_of, place
from pilothouse.query import logql
from pilothouse.query.logql import ast

MILLISECOND = 1_000_000
COUNT_SECONDS = 0.25
"""What counting all matches may take beside reading a page; beyond it the total is a lower bound."""
MOST_AT_ONCE = 5000
"""Lines asked of the backend in one request: what Loki allows unless it is told otherwise."""
EXPORT_PAGE = MOST_AT_ONCE - 1
"""Lines of an export that are held at a time; with the one that says whether there are more, a single request."""
AROUND = (MINUTE, 60 * MINUTE, DAY, 30 * DAY)
"""How far from a line its context is looked for, each step only where the one before did not fill it."""


class Page(msgspec.Struct, frozen=True):
    """Lines in the direction asked."""

    lines: list[LogLine]
    has_more: bool
    next_cursor: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Total:
    """How many lines match; a lower bound where not `exact`."""

    count: int
    exact: bool


class LogReader:
    """One scoped query on one backend."""

    def __init__(self, loki: LokiClient, query: ast.LogQuery) -> None:
        self._loki = loki
        self._query = query
        self._text = logql.format(query)

    async def page(
        self, span: Span, *, limit: int, forward: bool = False, cursor: Cursor | None = None, offset: int = 0
    ) -> Page:
        """`limit` lines of `span` from its start or end, or from behind `cursor`, after leaving out `offset`."""
        wanted = limit + offset + 1
        found: list[Placed] = []
        rest: Span | None = span
        if cursor is not None:
            if not span.start <= cursor.ts < span.end:
                raise InvalidRequest(
                    "cursor is not within the range", code="INVALID_CURSOR", details={"field": "cursor"}
                )
            at = await self._instant(cursor.ts)
            index = behind(at, cursor)
            if forward:
                found, rest = at[index:], Span(start=cursor.ts + 1, end=span.end)
            else:
                named = index > 0 and at[index - 1].cursor == cursor
                found, rest = at[: index - 1 if named else index][::-1], Span(start=span.start, end=cursor.ts)
        if len(found) < wanted and rest and rest.start < rest.end:
            found += await self._read(rest, wanted - len(found), forward=forward)
        shown = found[offset : offset + limit]
        has_more = len(found) > offset + limit
        return Page(
            lines=[placed.line for placed in shown],
            has_more=has_more,
            next_cursor=shown[-1].line.cursor if shown and has_more else None,
        )

    async def _read(self, span: Span, limit: int, *, forward: bool) -> list[Placed]:
        """At least `limit` lines in the direction asked if there are so many; the last nanosecond whole."""
        found: list[Placed] = []
        while len(found) < limit and span.start < span.end:
            asked = min(limit - len(found), MOST_AT_ONCE)
            streams = await self._loki.streams(self._text, start=span.start, end=span.end, limit=asked, forward=forward)
            lines = place(streams, forward=forward)
            if not forward:
                lines.reverse()
            if len(lines) < asked:
                return found + lines
            last = lines[-1].cursor.ts
            whole = await self._instant(last)
            found += [one for one in lines if one.cursor.ts != last] + (whole if forward else whole[::-1])
            span = Span(start=last + 1, end=span.end) if forward else Span(start=span.start, end=last)
        return found

    async def _instant(self, ts: int) -> list[Placed]:
        """The lines of one nanosecond, as far as a single request can give them."""
        streams = await self._loki.streams(self._text, start=ts, end=ts + 1, limit=MOST_AT_ONCE, forward=True)
        return place(streams, forward=True)

    async def total(self, span: Span, *, at_least: int) -> Total:
        """How many lines of `span` match, as far as that can be counted in a quarter of a second."""
        try:
            async with asyncio.timeout(COUNT_SECONDS):
                count = await self._count(span)
        except (TimeoutError, QueryTimeout, UpstreamFailed):
            count = None
        return Total(count=max(count or 0, at_least), exact=count is not None and count >= at_least)

    async def _count(self, span: Span) -> int | None:
        """The matches of `span`; None where they can't be told exactly."""
        # Loki's ranges are of whole milliseconds: what is left of the span is read, and holds little.
        rest = (span.end - span.start) % MILLISECOND
        whole = Span(start=span.start + rest, end=span.end)
        counts = await asyncio.gather(
            self._count_whole(whole), self._count_lines(Span(start=span.start, end=whole.start))
        )
        return None if None in counts else sum(count or 0 for count in counts)

    async def _count_whole(self, span: Span) -> int:
        if span.start == span.end:
            return 0
        counted = ast.VectorAggregation(
            op="sum", expr=ast.RangeAggregation(op="count_over_time", range=self._range(span.end - span.start))
        )
        series = series_of(await self._loki.query(logql.format(counted), at=span.end - 1))
        return int(float(series[0].value[1])) if series and series[0].value else 0

    async def _count_lines(self, span: Span) -> int | None:
        if span.start == span.end:
            return 0
        streams = await self._loki.streams(self._text, start=span.start, end=span.end, limit=MOST_AT_ONCE, forward=True)
        count = sum(len(stream.values) for stream in streams)
        return count if count < MOST_AT_ONCE else None

    def _range(self, interval: int) -> ast.LogRange:
        return ast.LogRange(query=self._query, interval=interval)

    async def histogram(self, span: Span, *, step_ms: int) -> list[tuple[int, dict[str, int]]]:
        """Counts by level for each bucket of `step_ms` from `span.start` on; (bucket's start in ns, counts)."""
        step = step_ms * 1_000_000
        by_level = ast.VectorAggregation(
            op="sum",
            expr=ast.RangeAggregation(op="count_over_time", range=self._range(step)),
            grouping=ast.Grouping(labels=(DETECTED,)),
        )
        # A point at t counts what is after t - step and up to t: the bucket that begins at t - step + 1.
        first = span.start + step - 1
        result = await self._loki.query_range(
            logql.format(by_level), start=first, end=span.end + step - 1, step_ms=step_ms
        )
        buckets: dict[int, dict[str, int]] = {at: {} for at in range(span.start, span.end, step)}
        for series in series_of(result):
            level = level_of(series.metric.get(DETECTED, ""))
            for seconds, value in series.values:
                # The point's time is in seconds with a fraction: find the bucket, whatever the rounding.
                index = round((seconds * SECOND - first) / step)
                bucket = buckets.get(span.start + index * step)
                if bucket is not None:
                    bucket[level] = bucket.get(level, 0) + int(float(value))
        return list(buckets.items())

    async def context(self, cursor: Cursor, *, before: int, after: int) -> tuple[list[LogLine], LogLine, list[LogLine]]:
        """The lines around one, oldest first, and the line itself. Raises NotFound where it is gone."""
        at = await self._instant(cursor.ts)
        index = behind(at, cursor) - 1
        if index < 0 or at[index].cursor != cursor:
            raise NotFound("this line is no longer there", code="LINE_NOT_FOUND")
        older = at[:index][::-1]
        newer = at[index + 1 :]
        for reach in AROUND:
            if len(older) < before:
                since = Span(start=max(0, cursor.ts - reach), end=cursor.ts)
                older = at[:index][::-1] + await self._read(since, before, forward=False)
            if len(newer) < after:
                until = Span(start=cursor.ts + 1, end=cursor.ts + reach)
                newer = at[index + 1 :] + await self._read(until, after, forward=True)
            if len(older) >= before and len(newer) >= after:
                break
        return (
            [placed.line for placed in older[:before][::-1]],
            at[index].line,
            [placed.line for placed in newer[:after]],
        )

    async def all_lines(self, span: Span, *, forward: bool = True) -> AsyncIterator[list[LogLine]]:
        """Every line of `span`, a page at a time, asked for as it is taken."""
        cursor: Cursor | None = None
        while True:
            page = await self.page(span, limit=EXPORT_PAGE, forward=forward, cursor=cursor)
            if page.lines:
                yield page.lines
            if page.next_cursor is None:
                return
            cursor = Cursor.parse(page.next_cursor)
