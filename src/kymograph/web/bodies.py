"""Bodies of requests that carry data: bounded, also once they are unpacked, and all of them together."""

from __future__ import annotations

import zlib
from typing import Final

from starlette.requests import Request

from kymograph.model.errors import Unavailable
from kymograph.model.limits import BODIES_BYTES_MAX
from kymograph.web.problems import HttpProblem

_GZIP: Final = 16 + zlib.MAX_WBITS


class _Room:
    """How many bytes of bodies are in memory; used on the event loop only."""

    def __init__(self) -> None:
        self.taken = 0


_room: Final = _Room()


async def read_body(request: Request, bytes_max: int) -> bytes:
    """Return a request's body, unpacked if it came packed with gzip.

    Raises:
        HttpProblem: 413, it is larger than allowed, also one that is so only unpacked; 415, it is packed in
            another way; 400, it is damaged.
        Unavailable: so much is on its way already that it has to wait.
    """
    packing = request.headers.get("content-encoding", "identity").strip().lower()
    if packing not in ("identity", "", "gzip", "x-gzip"):
        raise HttpProblem(415, f"bodies packed as {packing[:40]} are not taken", hint="gzip, or none")
    unpack = zlib.decompressobj(_GZIP) if "gzip" in packing else None
    body = bytearray()
    try:
        async for piece in request.stream():
            before = len(body)
            body += piece if unpack is None else _unpacked(unpack, piece, bytes_max - before)
            _room.taken += len(body) - before
            if len(body) > bytes_max:
                raise HttpProblem(413, "the request's body is too large", bytes_max=bytes_max)
            if _room.taken > BODIES_BYTES_MAX:
                raise Unavailable("too much is on its way here at one time", hint="send it again later")
        if unpack is not None and not unpack.eof:
            raise HttpProblem(400, "the request's body ends in the middle")
        return bytes(body)
    finally:
        _room.taken -= len(body)


def _unpacked(unpack: zlib._Decompress, piece: bytes, room: int) -> bytes:  # pyright: ignore[reportPrivateUsage]
    if not piece:
        return b""
    try:
        out = unpack.decompress(piece, room + 1)  # one byte more than there is room for says enough
    except zlib.error:
        raise HttpProblem(400, "the request's body is not gzip, or damaged") from None
    if unpack.unused_data:
        raise HttpProblem(400, "there is something behind the end of the request's body")
    return out
