"""A stored file as an answer: entity tag, conditional requests, one range of bytes.

Several ranges in one request are answered with the whole file, which HTTP allows; nobody needs them here.
The file is opened before the answer begins and read by that descriptor, so that it may be replaced or removed
meanwhile without the client noticing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from starlette.datastructures import Headers
from starlette.responses import Response

from kymograph.model.errors import NotFound
from kymograph.web.problems import HttpProblem
from kymograph.web.streaming import ByteStream

_PIECE_BYTES: Final = 256 * 1024
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


class Span(NamedTuple):
    """Bytes `start` to `stop` (exclusive) of a file."""

    start: int
    stop: int


def parse_range(header: str, size: int) -> Span | None:
    """Return the one range that a header asks for, or None if it is not of that form.

    Raises:
        HttpProblem: 416, the range lies outside the file.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        start, stop = max(size - int(last), 0), size
        satisfiable = int(last) > 0 and size > 0
    else:
        start = int(first)
        stop = min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return None
        satisfiable = start < size
    if not satisfiable:
        raise HttpProblem(416, "that range lies outside the file", size_bytes=size)
    return Span(start, stop)


def _matches(header: str, tag: str) -> bool:
    if header.strip() == "*":
        return True
    return tag in (one.strip().removeprefix("W/") for one in header.split(","))


def _read(descriptor: int, span: Span) -> Iterator[bytes]:
    at = span.start
    while at < span.stop:
        piece = os.pread(descriptor, min(_PIECE_BYTES, span.stop - at), at)
        if not piece:
            raise OSError("the file became shorter while it was sent")
        at += len(piece)
        yield piece


class _OpenFile:
    """An iterator over a span of an open file that closes the file with itself."""

    def __init__(self, descriptor: int, span: Span) -> None:
        self._descriptor = descriptor
        self._pieces = _read(descriptor, span)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def file_response(
    path: Path, etag: str, media_type: str, request: Headers, more: Mapping[str, str]
) -> Response:
    """Return a file, a range of it, or `304`; `etag` is without quotes, the SHA-256 of the bytes.

    Raises:
        NotFound: the file is not there.
        HttpProblem: 416.
    """
    tag = f'"{etag}"'
    headers = {**more, "ETag": tag, "Accept-Ranges": "bytes", "Cache-Control": "private, no-cache"}
    if "if-none-match" in request and _matches(request["if-none-match"], tag):
        return Response(status_code=304, headers=headers)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        raise NotFound("that file is not there any more", hint="ask for the manifest again") from None
    size = os.fstat(descriptor).st_size
    wanted = request.get("range", "") if _matches(request.get("if-range", "*"), tag) else ""
    try:
        span = parse_range(wanted, size)
    except HttpProblem:
        os.close(descriptor)
        raise
    status = 200
    if span is None:
        span = Span(0, size)
    else:
        status = 206
        headers["Content-Range"] = f"bytes {span.start}-{span.stop - 1}/{size}"
    headers["content-length"] = str(span.stop - span.start)
    return ByteStream(_OpenFile(descriptor, span), media_type, headers, status)
