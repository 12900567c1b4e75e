"""Consistent overhead byte stuffing: bytes without a zero, so that a zero can end a frame.

    +------+-----------------+------+-----------------+
    | code | code - 1 bytes  | code | code - 1 bytes  |      none of them is zero
    +------+-----------------+------+-----------------+

A zero stands after each block but the last, and none after a block whose code is 255.
Source: Cheshire and Baker, "Consistent Overhead Byte Stuffing", 1999.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Places = npt.NDArray[np.intp]

_RUN_BYTES_MAX: Final = 254
_PAD: Final = b"\1" * 256
"""More than a code can point beyond the end."""
EVEN_BYTES_MAX: Final = 32_768
"""What `decode_even` takes at once."""


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


@cache
def _places() -> Places:
    return np.arange(EVEN_BYTES_MAX + len(_PAD))


def decode_even(data: bytes, count: int, each: int) -> Bytes | None:
    """Return the first frames of bytes in which each takes `each` with its zero: [count, each - 2].

    None if one is not whole or of another length, or has a code of 255: then `decode` knows.
    """
    size = count * each
    if count < 1 or each < 2 or size > min(len(data), EVEN_BYTES_MAX):
        return None
    if data.count(0, 0, size) != count or data[each - 1 : size : each].count(0) != count:
        return None
    out = np.frombuffer(bytearray(data[:size] + _PAD), np.uint8)
    here = _places()[: size + len(_PAD)]
    after = here + out
    after[each - 1 : size : each] += 1
    after[size:] = here[size:]
    codes = _followed(after, size // 3)
    if codes is not None and codes[-1] < size:
        codes = _followed(after, size + 1)
    if codes is None or codes[-1] != size:
        return None
    met = out.take(codes).tobytes()
    if met.count(0) != count or 255 in met:
        return None
    out[codes] = 0
    return out[:size].reshape(count, each)[:, 1:-1]


def _followed(after: Places, steps: int) -> Places | None:
    """Return 0 and the places that are met from there, each told by the one before; None if that failed.

    NumPy fills in one place after the other and reads it again as the next one to look at. Nobody promises
    that it does so in this order, therefore each step is tried once more.
    """
    met = np.zeros(steps + 1, np.intp)
    after.take(met[:-1], out=met[1:], mode="clip")
    return met if after.take(met[:-1]).tobytes() == met[1:].tobytes() else None
