"""The server's end of a WebSocket: bytes go out at once as long as the client keeps up.

Frames of a server are not masked, so the same message is the same bytes for every client: it is framed once,
many messages can be one write, and no task needs to be woken for it. Only for a client that does not keep up
does somebody wait, and that is the one task of that client.
"""

from __future__ import annotations

import socket
import struct
from asyncio import BaseTransport
from typing import Any, Final

from starlette.websockets import WebSocket
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from kymograph.model.limits import LIVE_UNSENT_BYTES_MAX

Message = str | bytes

_WIRE: Final = "kymograph.wire"
"""The ASGI extension by which our server gives the connection itself to whoever sends much."""
_TCP_NOTSENT_LOWAT: Final = 25
"""Of Linux's tcp.h; `socket` does not know it before Python 3.12."""
_TEXT: Final = 0x81
_BINARY: Final = 0x82
_SHORT: Final = struct.Struct(">BB")
_LONG: Final = struct.Struct(">BBH")
_VERY_LONG: Final = struct.Struct(">BBQ")


def frame_head(size: int, binary: bool) -> bytes:
    """Return what stands before a message of so many bytes that is one frame (RFC 6455, 5.2)."""
    first = _BINARY if binary else _TEXT
    if size < 126:
        return _SHORT.pack(first, size)
    return _LONG.pack(first, 126, size) if size < 65_536 else _VERY_LONG.pack(first, 127, size)


def framed(message: Message) -> bytes:
    """Return a message as it goes over the wire."""
    if isinstance(message, str):
        said = message.encode()
        return frame_head(len(said), binary=False) + said
    return frame_head(len(message), binary=True) + message


class WiredWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket that can be written to past the ASGI interface, and cut without waiting for its client."""

    def connection_made(self, transport: BaseTransport) -> None:
        """See `asyncio.Protocol`; the kernel is to keep little for a client that is slow."""
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
            sock.setsockopt(socket.IPPROTO_TCP, _TCP_NOTSENT_LOWAT, LIVE_UNSENT_BYTES_MAX)

    async def run_asgi(self) -> None:
        """See `WebSocketsSansIOProtocol`."""
        extensions: dict[str, Any] = self.scope.setdefault("extensions", {})  # type: ignore[assignment]
        extensions[_WIRE] = Wire(self)
        await super().run_asgi()

    def keepalive_timeout(self) -> None:
        """See `WebSocketsSansIOProtocol`."""
        super().keepalive_timeout()
        self.transport.abort()

    @property
    def gone(self) -> bool:
        """Whether nothing can be sent any more."""
        return self.disconnected or self.close_sent or self.transport.is_closing()


class Wire:
    """What an accepted WebSocket is sent by. All methods are called on the event loop."""

    __slots__ = ("_protocol",)

    def __init__(self, protocol: WiredWebSocket) -> None:
        self._protocol = protocol

    def send_now(self, message: Message) -> bool:
        """Send a message if there is room for it; return whether there was."""
        return self.write_now(framed(message))

    async def send(self, message: Message) -> None:
        """Send a message as soon as there is room.

        Raises:
            OSError: the client is gone.
        """
        await self.write(framed(message))

    def write_now(self, frames: bytes) -> bool:
        """Send whole frames if there is room for them; return whether there was."""
        protocol = self._protocol
        if not protocol.writable.is_set() or protocol.gone:
            return False
        protocol.transport.write(frames)
        return True

    async def write(self, frames: bytes) -> None:
        """Send whole frames as soon as there is room. Raises as `send`."""
        await self._protocol.writable.wait()
        if self._protocol.gone:
            raise ClientDisconnected
        self._protocol.transport.write(frames)

    def cut(self) -> None:
        """End the connection at once, whatever its client has not taken yet."""
        self._protocol.transport.abort()


def wire_of(websocket: WebSocket) -> Wire:
    """Return the wire of a WebSocket of this server."""
    return websocket.scope["extensions"][_WIRE]
