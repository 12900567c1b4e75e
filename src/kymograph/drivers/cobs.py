"""Consistent overhead byte stuffing: bytes without a zero, so that a zero can end a frame.

    +------+-----------------+------+-----------------+
    | code | code - 1 bytes  | code | code - 1 bytes  |      none of them is zero
    +------+-----------------+------+-----------------+

A zero stands after each block but the last, and none after a block whose code is 255.
Source: Cheshire and Baker, "Consistent Overhead Byte Stuffing", 1999.
"""

from __future__ import annotations

from typing import Final

_RUN_BYTES_MAX: Final = 254


def encode(data: bytes) -> bytes:
    """Return the bytes stuffed, without the zero that ends a frame."""
    out = bytearray()
    for piece in data.split(b"\0"):
        run = piece
        while len(run) >= _RUN_BYTES_MAX:
            out += b"\xff" + run[:_RUN_BYTES_MAX]
            run = run[_RUN_BYTES_MAX:]
        out.append(len(run) + 1)
        out += run
    return bytes(out)


def encoded_bytes_max(size_bytes: int) -> int:
    """Return how long so many bytes become at most, without the zero that ends a frame."""
    return size_bytes + 1 + size_bytes // _RUN_BYTES_MAX


def decode(stuffed: bytes) -> bytearray | None:
    """Return the bytes of a frame that came without its zero; None if it is not whole.

    It visits the codes only: a frame has one where a zero was, and one more for each 254 bytes.
    """
    if 0 in stuffed:
        return None
    out = bytearray(stuffed)
    at, size = 0, len(stuffed)
    full: list[int] = []
    while at < size:
        code = stuffed[at]
        out[at] = 0
        at += code
        if code == 0xFF:
            full.append(at)
    if at != size or not size:
        return None
    for place in reversed(full):
        if place < size:
            del out[place]
    del out[0]
    return out
