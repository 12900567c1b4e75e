"""Answers that are made while they are sent."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from kymograph.model.errors import DiskFull
from kymograph.web.streaming import ByteStream, attachment


class Pieces:
    """Counts what is taken and notes that it was closed."""

    def __init__(self, count: int, error: Exception | None = None) -> None:
        self._rest = count
        self._error = error
        self.taken = 0
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._rest == 0:
            if self._error is not None:
                raise self._error
            raise StopIteration
        self._rest -= 1
        self.taken += 1
        return b"x" * 1000

    def close(self) -> None:
        self.closed.set()


async def send_to(response: ByteStream, sent: list[Any], gone_after: int = -1, pause: bool = False) -> None:
    gone = asyncio.Event()

    async def receive() -> Any:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) == gone_after:
            gone.set()
        if gone.is_set() and pause:
            await asyncio.sleep(60)

    await response({"type": "http"}, receive, send)


def test_everything_is_sent_and_the_source_closed() -> None:
    pieces, sent = Pieces(5), list[Any]()
    asyncio.run(send_to(ByteStream(pieces, "text/csv", attachment("a.csv")), sent))
    assert b"".join(m["body"] for m in sent[1:]) == b"x" * 5000
    assert sent[-1]["more_body"] is False and pieces.closed.is_set()
    headers = dict(sent[0]["headers"])
    assert headers[b"content-disposition"] == b'attachment; filename="a.csv"'
    assert b"content-length" not in headers


def test_an_error_before_the_first_byte_is_an_answer() -> None:
    pieces, sent = Pieces(0, DiskFull("no room")), list[Any]()
    with pytest.raises(DiskFull):
        asyncio.run(send_to(ByteStream(pieces, "text/csv"), sent))
    assert sent == [] and pieces.closed.is_set()


def test_an_error_later_breaks_it_off() -> None:
    pieces, sent = Pieces(3, DiskFull("no room")), list[Any]()
    with pytest.raises(BaseExceptionGroup) as broken:
        asyncio.run(send_to(ByteStream(pieces, "text/csv"), sent))
    assert broken.group_contains(DiskFull)
    assert all(m.get("more_body", True) for m in sent), "it does not look like a whole file"
    assert pieces.closed.is_set()


def test_a_client_that_goes_ends_it() -> None:
    pieces, sent = Pieces(1_000_000), list[Any]()
    asyncio.run(send_to(ByteStream(pieces, "text/csv"), sent, gone_after=3, pause=True))
    assert pieces.taken < 10 and pieces.closed.is_set()


def test_names_in_headers_are_harmless() -> None:
    assert (
        attachment('a"\r\nX: y.csv')["Content-Disposition"] == 'attachment; filename="a%22%0D%0AX%3A%20y.csv"'
    )
