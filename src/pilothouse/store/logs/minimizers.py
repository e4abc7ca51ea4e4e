"""Which row groups can hold a text: a bitmap of minimizers for each.

After Roberts et al., "Reducing storage requirements for biological sequence comparison" (2004): of each window of
consecutive grams only the least hash is kept, so that any text as long as a window shares at least one with every
place where it occurs. Over ASCII-lower-cased bytes, so that one index serves searches with and without case.
"""

from functools import lru_cache

import numpy as np
import pyarrow as pa

GRAM, WINDOW = 6, 6
NEEDLE = GRAM + WINDOW - 1
"""Bytes a text must have for the index to speak of it: one whole window."""
BITS_PER_VALUE = 6
"""With two bits set for each value, 8% of absent values pass by chance; a 32-byte id has seven chances to fail."""
PIECE = 64 * 1024
"""Bytes hashed at a time: the eight-byte intermediates of a piece stay in the second-level cache."""
TABLE_BITS = 24
"""Values are folded to so many bits, to find the distinct ones by marking a table instead of sorting."""

Values = np.ndarray[tuple[int], np.dtype[np.uint32]]
Bytes = np.ndarray[tuple[int], np.dtype[np.uint8]]

_MIX = np.uint64(0x9E3779B97F4A7C15)
_BIT_1, _BIT_2 = np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)
_LOWER = np.arange(256, dtype=np.uint8)
_LOWER[ord("A") : ord("Z") + 1] += 32


def _windows(raw: Bytes) -> Values:
    """The least hash of each window; entry i speaks of bytes i to i + NEEDLE. Empty where `raw` is shorter."""
    if len(raw) < NEEDLE:
        return np.empty(0, dtype=np.uint32)
    low = _LOWER[raw].astype(np.uint64)
    count = len(low) - GRAM + 1
    gram = low[:count].copy()
    for k in range(1, GRAM):
        gram |= low[k : k + count] << np.uint64(8 * k)
    hashed = ((gram * _MIX) >> np.uint64(64 - TABLE_BITS)).astype(np.uint32)
    two = np.minimum(hashed[:-1], hashed[1:])
    four = np.minimum(two[:-2], two[2:])
    return np.minimum(four[:-2], two[4:])


def distinct(lines: pa.Array) -> Values:
    """The distinct minimizers of all lines of a row group. Windows do not reach over the end of a line."""
    table = np.zeros(1 << TABLE_BITS, dtype=np.bool_)
    for piece in lines.chunks if isinstance(lines, pa.ChunkedArray) else [lines]:
        _, offsets_buffer, data = piece.buffers()
        if data is None:
            continue
        offsets = np.frombuffer(offsets_buffer, dtype=np.int32)[piece.offset : piece.offset + len(piece) + 1]
        raw = np.frombuffer(data, dtype=np.uint8)[offsets[0] : offsets[-1]]
        if len(raw) < NEEDLE:
            continue
        crossing = np.zeros(len(raw), dtype=np.bool_)
        starts = offsets[1:-1] - offsets[0]
        for back in range(1, NEEDLE):
            crossing[starts[starts >= back] - back] = True
        for begin in range(0, len(raw) - NEEDLE + 1, PIECE):
            least = _windows(raw[begin : begin + PIECE + NEEDLE - 1])
            table[least[~crossing[begin : begin + len(least)]]] = True
    return np.flatnonzero(table).astype(np.uint32)


def build(lines: pa.Array) -> bytes:
    """The bitmap of a row group's lines; its length in bits is a multiple of eight, and never nothing."""
    values = distinct(lines)
    bits = np.zeros(max(8, -(-len(values) * BITS_PER_VALUE // 8) * 8), dtype=np.bool_)
    bits[_positions(values, _BIT_1, len(bits))] = True
    bits[_positions(values, _BIT_2, len(bits))] = True
    return np.packbits(bits, bitorder="little").tobytes()


def _positions(values: Values, factor: np.uint32, bits: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    mixed = values * factor
    mixed ^= mixed >> np.uint32(15)
    mixed = mixed * _BIT_1
    return ((mixed.astype(np.uint64) * np.uint64(bits)) >> np.uint64(32)).astype(np.int64)


@lru_cache(maxsize=256)
def needle(literal: bytes) -> Values | None:
    """The minimizers that every occurrence of `literal` has; None where it is too short to have any."""
    if len(literal) < NEEDLE:
        return None
    return np.unique(_windows(np.frombuffer(literal, dtype=np.uint8)))


def may_contain(bitmap: Bytes, literal: bytes) -> bool:
    """False only where no line behind `bitmap` holds `literal`, in whatever case of ASCII letters."""
    values = needle(literal)
    if values is None:
        return True
    bits = len(bitmap) * 8
    for factor in (_BIT_1, _BIT_2):
        at = _positions(values, factor, bits)
        if not np.all((bitmap[at >> 3] >> (at & 7).astype(np.uint8)) & 1):
            return False
    return True
