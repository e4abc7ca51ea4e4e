"""The pages, as `web/` was built into the package: they hold no data, so they are open."""

import mimetypes
from pathlib import Path

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Match, Route
from starlette.types import Scope

from pilothouse.core.errors import NotFound
from pilothouse.gateway.errors import respond

STATIC = Path(__file__).parent / "static"
API_PREFIXES = ("/api/", "/ws/", "/loki/", "/prometheus/", "/grafana/", "/otlp/")
HASHED = "public, max-age=31536000, immutable"
"""Files under /assets have their content's hash in their name."""
NOT_BUILT = "The pages are not built: run `make web` in the checkout, or install Pilothouse from a wheel.\n"


class PageRoute(Route):
    """Serves files of the build; any other address is a page of the application, but for those of the APIs."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """As Route, but never an address of an API: what is not there is 404, and a wrong method 405."""
        path = scope.get("path", "")
        if scope["type"] != "http" or f"{path.rstrip('/')}/".startswith(API_PREFIXES):
            return Match.NONE, {}
        match, found = super().matches(scope)
        return match, {**found, "route": self}


def install(app: FastAPI) -> None:
    """Serve the pages at every address that nothing else has."""
    files = {str(path.relative_to(STATIC)): path for path in STATIC.rglob("*") if path.is_file()}

    async def page(request: Request) -> Response:
        path = request.url.path
        file = files.get(path.lstrip("/"))
        if file is None and (path.startswith("/assets/") or Path(path).suffix):
            return respond(request, NotFound("there is no such file"))
        if file is None:
            file = files.get("index.html")
        if file is None:
            return PlainTextResponse(NOT_BUILT, 503)
        return serve(request, file, files)

    app.router.routes.append(PageRoute("/{path:path}", page, methods=["GET"], include_in_schema=False))


def serve(request: Request, file: Path, files: dict[str, Path]) -> Response:
    """A file of the build: compressed if it was built so and the browser takes it, kept for good if it is hashed."""
    name = str(file.relative_to(STATIC))
    headers = {"Cache-Control": HASHED if name.startswith("assets/") else "no-cache", "Vary": "Accept-Encoding"}
    media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
    if name.endswith(".js"):
        media_type = "text/javascript"
    for encoding, suffix in (("br", ".br"), ("gzip", ".gz")):
        packed = files.get(name + suffix)
        if packed is not None and encoding in request.headers.get("accept-encoding", ""):
            return FileResponse(packed, headers={**headers, "Content-Encoding": encoding}, media_type=media_type)
    return FileResponse(file, headers=headers, media_type=media_type)
