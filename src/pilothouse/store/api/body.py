"""Reads and inflates the body of a push, within bounds."""

import zlib
from typing import Any

import cramjam
from starlette.requests import Request

from pilothouse.core.errors import InvalidRequest, TooLarge

MOST_WIRE = 16 << 20
"""Bytes of a body as sent; collectors send one or two megabytes."""
MOST_INFLATED = 64 << 20
"""Bytes of a body inflated: what one push may cost in memory."""


async def read_body(request: Request) -> bytes:
    """The body as sent. Raises TooLarge."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > MOST_WIRE:
        raise too_large()
    parts = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_WIRE:
            raise too_large()
        parts.append(part)
    return b"".join(parts)


def too_large() -> TooLarge:
    """A body over one of the limits."""
    return TooLarge(
        f"the body is over the limit of {MOST_WIRE >> 20} MB as sent, or {MOST_INFLATED >> 20} MB inflated",
        details={"limit_bytes": MOST_WIRE, "limit_inflated_bytes": MOST_INFLATED},
    )


def gunzip(body: bytes) -> bytes:
    """Raises InvalidRequest or TooLarge."""
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        out = inflater.decompress(body, MOST_INFLATED)
        if inflater.unconsumed_tail:
            raise too_large()
        out += inflater.flush()
    except zlib.error as error:
        raise InvalidRequest(f"the body is not gzip: {error}", code="INVALID_BODY") from None
    if not inflater.eof:
        raise InvalidRequest("the gzip body ends too early", code="INVALID_BODY")
    return out


def unsnappy(body: bytes) -> bytes:
    """A snappy block. The size it declares is looked at first. Raises InvalidRequest or TooLarge."""
    size, shift = 0, 0
    for byte in body[:5]:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    else:
        raise InvalidRequest("the body is not a snappy block", code="INVALID_BODY")
    if size > MOST_INFLATED:
        raise too_large()
    try:
        inflated: Any = cramjam.snappy.decompress_raw(body)
    except cramjam.DecompressionError as error:
        raise InvalidRequest(f"the body is not a snappy block: {error}", code="INVALID_BODY") from None
    return bytes(inflated)
