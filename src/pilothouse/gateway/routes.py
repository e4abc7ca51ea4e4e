"""The whole URL table. A route that is not in it does not exist; one without a need does not start."""

from pilothouse.access import Permission
from pilothouse.audit import Action
from pilothouse.gateway.api.v1 import system
from pilothouse.gateway.table import Kind, Needs, Route

SYSTEM = (
    Route(method="GET", path="/health", needs=Needs.OPEN, endpoint=system.health, tag="system"),
    Route(method="GET", path="/ready", needs=Needs.OPEN, endpoint=system.ready, tag="system"),
    Route(method="GET", path="/metrics", needs=Permission.METRICS_READ, endpoint=system.metrics, kind=Kind.RAW,
          action=Action.METRICS_READ, tag="system"),
    Route(method="GET", path="/api/v1/system/info", needs=Needs.LOGIN, endpoint=system.info, tag="system"),
)  # fmt: skip

ROUTES: tuple[Route, ...] = (*SYSTEM,)
