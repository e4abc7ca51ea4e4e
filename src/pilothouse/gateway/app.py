"""The gateway's ASGI application, built from the URL table."""

import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.routing import APIRoute
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, WebSocketRoute
from starlette.routing import Route as StarletteRoute

from pilothouse import __version__
from pilothouse.access import Permission
from pilothouse.gateway import errors, pages
from pilothouse.gateway.middleware.authentication import AuthenticationMiddleware
from pilothouse.gateway.middleware.body import BodyMiddleware
from pilothouse.gateway.middleware.headers import HeadersMiddleware
from pilothouse.gateway.middleware.request import RequestMiddleware
from pilothouse.gateway.routes import ROUTES
from pilothouse.gateway.services import open_services
from pilothouse.gateway.table import Kind, Needs, Route, UndeclaredRoute, guarded_raw, guarded_socket, served
from pilothouse.settings import Settings

DESCRIPTION = "Logs of this machine and its containers behind one login, with one audit trail."


def build(settings: Settings, table: Iterable[Route] = ROUTES) -> FastAPI:
    """The application. Raises UndeclaredRoute where a route is not in `table`, or says no need."""
    table = tuple(table)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings) as services:
            app.state.services = services
            yield

    app = FastAPI(
        title="Pilothouse", version=__version__, description=DESCRIPTION, lifespan=lifespan,
        openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False,
    )  # fmt: skip
    app.state.table = table
    for route in table:
        add(app, route)
    errors.install(app)
    pages.install(app)
    check(app, table)
    # The last added is the outermost.
    app.add_middleware(AuthenticationMiddleware)
    app.add_middleware(BodyMiddleware)
    app.add_middleware(RequestMiddleware)
    app.add_middleware(HeadersMiddleware, settings=settings)
    return app


def add(app: FastAPI, route: Route) -> None:
    """Put one row of the table into `app`, behind its guard."""
    if route.kind is Kind.WEBSOCKET:
        app.router.routes.append(WebSocketRoute(route.path, guarded_socket(route)))
    elif route.kind is Kind.RAW:
        raw = StarletteRoute(route.path, guarded_raw(route), methods=[route.method])
        raw.methods = {route.method}
        app.router.routes.append(raw)
    else:
        app.router.add_api_route(
            route.path,
            route.endpoint,
            methods=[route.method],
            status_code=route.status,
            tags=[route.tag] if route.tag else None,
            operation_id=f"{route.tag}_{route.endpoint.__name__}" if route.tag else route.endpoint.__name__,
            include_in_schema=route.in_docs,
            responses=dict(route.responses or {}),
            route_class_override=_guarding(route),
            response_model_exclude_unset=False,
        )


def _guarding(route: Route) -> type[APIRoute]:
    class Guarded(APIRoute):
        """An API route behind the guard: nothing of the request is even read before its caller is let in."""

        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handler = super().get_route_handler()

            async def guarded(request: Request) -> Response:
                return await served(request, route, handler)

            return guarded

    return Guarded


def check(app: FastAPI, table: tuple[Route, ...]) -> None:
    """Raises UndeclaredRoute for a route of `app` that no row of the table has declared."""
    declared = {(route.kind is Kind.WEBSOCKET, "GET" if route.kind is Kind.WEBSOCKET else route.method, route.path)
                for route in table if isinstance(route.needs, Permission | Needs)}  # fmt: skip
    for route in app.router.routes:
        for key in keys_of(route):
            if key not in declared and not isinstance(route, pages.PageRoute):
                raise UndeclaredRoute(f"{key[1]} {key[2]} has no need in the table of routes")


def keys_of(route: BaseRoute) -> list[tuple[bool, str, str]]:
    """(is a WebSocket, method, path) of each thing that a route serves."""
    if isinstance(route, WebSocketRoute):
        return [(True, "GET", route.path)]
    if isinstance(route, StarletteRoute):
        return [(False, method, route.path) for method in sorted(route.methods or {"GET"})]
    return [(False, "any", route.path if isinstance(route, Mount) else repr(route))]
