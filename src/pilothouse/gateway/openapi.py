"""The OpenAPI document, made from the URL table without a database."""

import orjson

from pilothouse.gateway.app import build
from pilothouse.settings import load


def openapi_document() -> str:
    """The document as JSON, sorted, so that a change of it can be read."""
    return orjson.dumps(build(load({})).openapi(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode()
