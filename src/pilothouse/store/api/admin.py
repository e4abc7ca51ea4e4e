"""GET /ready and /metrics, POST /flush and /compact: for the supervisor and whoever looks after the store."""

from collections.abc import Iterator

import orjson
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pilothouse.store.logs.store import LogStore


class StoreCollector(Collector):
    """What the store says of itself; docs/metrics.md names each."""

    def __init__(self, store: LogStore) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """The figures of this moment."""
        store = self._store
        for name, text, value in (
            ("lines", "Lines acknowledged.", store.lines_in),
            ("duplicates", "Lines that were held already, and dropped.", store.duplicates),
            ("lines_cut", "Lines over the limit, kept cut and marked.", store.lines_cut),
            ("wal_syncs", "Times that the write-ahead log was put on disk.", store.wal_syncs),
        ):
            yield CounterMetricFamily(f"pilothouse_store_{name}", text, value)
        for name, text, figure in (
            ("streams", "Streams known.", len(store.streams)),
            ("head_lines", "Lines that are in no segment yet.", store.head_rows),
            ("segments", "Segments.", len(store.segments)),
            ("segments_damaged", "Segments that can't be read.", len(store.damaged)),
            ("wal_damage", "Parts of the write-ahead log that were set aside.", len(store.quarantined)),
            ("disk_bytes", "Bytes of all segments with their indexes.", store.disk_bytes),
        ):
            yield GaugeMetricFamily(f"pilothouse_store_{name}", text, figure)


def routes(store: LogStore) -> list[BaseRoute]:
    """Readiness, metrics, flush."""
    registry = CollectorRegistry()
    registry.register(StoreCollector(store))
    ProcessCollector(registry=registry)

    async def ready(_: Request) -> Response:
        detail = {
            "ready": store.ready,
            "head_lines": store.head_rows,
            "streams": len(store.streams),
            "segments": len(store.segments),
            "disk_bytes": store.disk_bytes,
            "damaged_segments": list(store.damaged),
            "set_aside": [{"file": f"quarantine/{name}", "bytes": size} for name, size in store.quarantined],
            "trouble": [text for text in (store.write_trouble, store.upkeep_trouble) if text],
        }
        return Response(orjson.dumps(detail), 200 if store.ready else 503, media_type="application/json")

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def flush(_: Request) -> Response:
        await store.flush()
        return Response(status_code=204)

    async def compact(_: Request) -> Response:
        await store.flush()
        await store.merge(everything=True)
        return Response(status_code=204)

    return [
        Route("/ready", ready, methods=["GET"]),
        Route("/metrics", metrics, methods=["GET"]),
        Route("/flush", flush, methods=["POST"]),
        Route("/compact", compact, methods=["POST"]),
    ]
