"""What goes over the socket between engine and front.

    ┌────────────┬──────┬─────────┬────────────┬───────────────┐
    │ length u32 │ kind │ 0 0 0   │ id u32     │ body …        │   little-endian; length is the body's
    └────────────┴──────┴─────────┴────────────┴───────────────┘

    CALL    id of the call          msgpack [method, {arguments}]
    ANSWER  id of the call          msgpack
    ERROR   id of the call          msgpack, KymographError.to_dict
    BLOCK   id of the subscription  stream u32, rows u32, epoch i64, seq i64, the block's payload as it is
    EVENT   0                       msgpack, Event.to_dict

The socket is a file in the data folder, readable by its owner only, and each side asks the kernel who the
other is: that is the authentication.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from kymograph.model.block import Block, Cursor
from kymograph.model.channel import Stream
from kymograph.model.errors import Unavailable
from kymograph.model.limits import BLOCK_BYTES_MAX

CALL: Final = 1
ANSWER: Final = 2
ERROR: Final = 3
BLOCK: Final = 4
EVENT: Final = 5

SOCKET_NAME: Final = "engine.sock"

_HEAD: Final = struct.Struct("<IB3xI")
_BLOCK: Final = struct.Struct("<IIqq")
_encoder: Final = msgspec.msgpack.Encoder(enc_hook=str)
_decoder: Final = msgspec.msgpack.Decoder()


class Frame(NamedTuple):
    """One frame as it was read."""

    kind: int
    id: int
    body: memoryview


def pack(kind: int, id: int, message: Any) -> list[bytes]:
    """Return the buffers of a frame with a msgpack body."""
    body = _encoder.encode(message)
    return [_HEAD.pack(len(body), kind, id) + body]


def unpack(body: memoryview) -> Any:
    """Return the message of a msgpack body."""
    return _decoder.decode(body)


def pack_block(id: int, stream: int, block: Block) -> list[bytes | memoryview]:
    """Return the buffers of a frame that carries a block, its payload uncopied."""
    length = _BLOCK.size + block.nbytes
    head = _HEAD.pack(length, BLOCK, id) + _BLOCK.pack(stream, block.rows, block.epoch, block.seq)
    return [head, block.payload]


def unpack_block(body: memoryview, streams: Sequence[Stream]) -> Block:
    """Return the block of a frame; `streams` are those of the subscription, in its order."""
    index, rows, epoch, seq = _BLOCK.unpack_from(body)
    return Block.from_payload(streams[int(index)], Cursor(epoch, seq), rows, body[_BLOCK.size :])


def send(sock: socket.socket, buffers: Sequence[bytes | memoryview]) -> None:
    """Write all buffers, in as few calls as the kernel allows."""
    waiting = [memoryview(buffer).cast("B") for buffer in buffers]
    while waiting:
        sent = sock.sendmsg(waiting[:64])
        while waiting and sent >= len(waiting[0]):
            sent -= len(waiting[0])
            waiting.pop(0)
        if sent:
            waiting[0] = waiting[0][sent:]


def receive(sock: socket.socket) -> Frame | None:
    """Read one frame; None at the end of the connection.

    Raises:
        Unavailable: what came is not a frame.
    """
    head = _receive_exactly(sock, _HEAD.size)
    if head is None:
        return None
    length, kind, id = _HEAD.unpack(head)
    if length > BLOCK_BYTES_MAX + 4096:
        raise Unavailable(f"a frame of {length} bytes on the link")
    body = _receive_exactly(sock, length)
    return None if body is None else Frame(kind, id, body)


def _receive_exactly(sock: socket.socket, count: int) -> memoryview | None:
    buffer = bytearray(count)
    view, at = memoryview(buffer), 0
    while at < count:
        try:
            got = sock.recv_into(view[at:])
        except ConnectionError:
            return None
        if not got:
            return None
        at += got
    return view.toreadonly()


def peer_is_ours(sock: socket.socket) -> bool:
    """Whether the process at the other end belongs to this user, or to root."""
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, _ = struct.unpack("3i", credentials)
    return uid in (0, os.getuid())


def listen(folder: Path) -> socket.socket:
    """Return a listening socket in a data folder; one that a killed engine left is replaced.

    The caller owns the folder (`DataFolder` holds its lock), so nobody else can be listening there.
    """
    (folder / SOCKET_NAME).unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    old = os.umask(0o177)
    try:
        _through_folder(folder, sock.bind)
    finally:
        os.umask(old)
    sock.listen(8)
    return sock


def connect(folder: Path) -> socket.socket:
    """Return a connection to the engine that owns a data folder.

    Raises:
        Unavailable: no engine is running there.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        _through_folder(folder, sock.connect)
    except OSError as error:
        sock.close()
        raise Unavailable(
            f"no engine is running on {folder}: {error.strerror}", hint="start it with: kymograph serve"
        ) from None
    if not peer_is_ours(sock):
        sock.close()
        raise Unavailable(f"the engine on {folder} belongs to another user")
    return sock


def _through_folder(folder: Path, use: Any) -> None:
    """Use the socket's path by way of the folder's descriptor: a socket's path has 107 bytes at most."""
    fd = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        use(f"/proc/self/fd/{fd}/{SOCKET_NAME}")
    finally:
        os.close(fd)
