"""Bytes made while they are sent: constant memory, at the pace of the client, cancelled when it goes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Final
from urllib.parse import quote

import anyio
from anyio import to_thread
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

log = logging.getLogger(__name__)

CLIENT_SILENCE_S_MAX: Final = 120.0
"""How long a download may stand still before its client counts as gone."""


def attachment(filename: str) -> dict[str, str]:
    """Return the header that makes a browser save an answer under this name."""
    return {"Content-Disposition": f'attachment; filename="{quote(filename, safe="._-")}"'}


class ByteStream(Response):
    """An answer whose body comes from an iterator, which is run in threads and always closed.

    The first piece is made before anything is sent, so that what is wrong from the start is answered as an
    error. What goes wrong later breaks the connection: a client must never take half a file for a whole.
    """

    def __init__(
        self,
        pieces: Iterator[bytes],
        media_type: str,
        headers: Mapping[str, str] | None = None,
        status: int = 200,
    ) -> None:
        super().__init__(None, status, headers, media_type)
        self._pieces = pieces
        if "content-length" not in (headers or {}):
            del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it all, or as much as the client stays for."""
        try:
            first = await to_thread.run_sync(partial(next, self._pieces, b""))
            async with anyio.create_task_group() as group:
                group.start_soon(_until_gone, receive, group.cancel_scope)
                await self._send_all(first, send)
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(_closer(self._pieces))

    async def _send_all(self, piece: bytes, send: Send) -> None:
        start = {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        await send(start)
        while piece:
            with anyio.fail_after(CLIENT_SILENCE_S_MAX):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            piece = await to_thread.run_sync(partial(next, self._pieces, b""))
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def _closer(pieces: Iterator[bytes]) -> Callable[[], None]:
    def nothing() -> None:
        pass

    return getattr(pieces, "close", nothing)
