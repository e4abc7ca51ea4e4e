"""The OpenAPI document, and the same as a plain page: no script, nothing from elsewhere."""

from collections.abc import Iterator
from html import escape
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

STYLE = """
:root{color-scheme:light dark;--line:color-mix(in srgb,currentColor 18%,transparent)}
body{font:15px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem}
h2{margin-top:2.5rem;border-bottom:1px solid var(--line)}
code,td:first-child{font-family:ui-monospace,monospace;font-size:.9em}
details{border:1px solid var(--line);border-radius:6px;margin:.5rem 0;padding:.4rem .8rem}
summary{cursor:pointer}summary b{display:inline-block;min-width:4.5rem}
table{border-collapse:collapse;width:100%;margin:.5rem 0}td{padding:.2rem .6rem .2rem 0;vertical-align:top}
nav a{margin-right:1rem}
"""


async def openapi(request: Request) -> Response:
    """The document as JSON."""
    return Response(orjson.dumps(request.app.openapi()), media_type="application/json")


async def page(request: Request) -> Response:
    """The document for people."""
    return HTMLResponse("".join(render(request.app.openapi())))


def render(document: dict[str, Any]) -> Iterator[str]:
    """The page. Everything in it comes from the URL table and its docstrings."""
    info = document["info"]
    by_tag: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation.get("tags", ["other"])[0], []).append((method.upper(), path, operation))
    yield f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(info['title'])} API</title>"
    yield f"<meta name=viewport content='width=device-width'><style>{STYLE}</style>"
    yield f"<h1>{escape(info['title'])} API {escape(info['version'])}</h1><p>{escape(info.get('description', ''))}</p>"
    yield "<p>The same for programs: <a href='/api/v1/openapi.json'>openapi.json</a>.</p><nav>"
    yield from (f"<a href='#{escape(tag)}'>{escape(tag)}</a>" for tag in by_tag)
    yield "</nav>"
    for tag, operations in by_tag.items():
        yield f"<h2 id='{escape(tag)}'>{escape(tag)}</h2>"
        for method, path, operation in operations:
            yield from render_operation(method, path, operation)


def render_operation(method: str, path: str, operation: dict[str, Any]) -> Iterator[str]:
    """One method of one path."""
    yield f"<details><summary><b>{method}</b> <code>{escape(path)}</code> {escape(operation.get('summary', ''))}"
    yield f"</summary><p>{escape(operation.get('description', ''))}</p><table>"
    for one in operation.get("parameters", ()):
        wanted = "required" if one.get("required") else "optional"
        told = escape(one.get("description", ""))
        yield f"<tr><td>{escape(one['name'])}<td>{escape(one['in'])}, {wanted}<td>{told}"
    content = operation.get("requestBody", {}).get("content", {})
    for media_type, body in content.items():
        yield f"<tr><td>body<td>{escape(media_type)}<td><code>{escape(shape(body.get('schema', {})))}</code>"
    for status, answer in operation.get("responses", {}).items():
        schemas = [shape(one.get("schema", {})) for one in answer.get("content", {}).values()]
        yield f"<tr><td>{escape(status)}<td>{escape(answer.get('description', ''))}"
        yield f"<td><code>{escape(', '.join(filter(None, schemas)))}</code>"
    yield "</table></details>"


def shape(schema: dict[str, Any]) -> str:
    """A schema in a word."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if schema.get("type") == "array":
        return f"[{shape(schema.get('items', {}))}]"
    if "anyOf" in schema:
        return " | ".join(shape(one) for one in schema["anyOf"])
    return str(schema.get("type", ""))
