"""Clients of any WebSocket server that cost little, in a process of their own.

They read frames without taking messages apart, and look up the times of the samples at places that they know
after the first message of its length. Deaf ones ask as the others do, and never read. What was asked and what
was found go over standard input and output, as JSON.
"""

from __future__ import annotations

import base64
import json
import os
import selectors
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

RECEIVE_BYTES = 1 << 20
DEAF_BYTES = 4096


@dataclass
class Wish:
    """What the clients are to do; `say` is sent first, as JSON text."""

    port: int
    path: str
    say: list[dict[str, Any]] = field(default_factory=list)
    subprotocol: str = ""
    clients: int = 10
    deaf: int = 0
    settle_s: float = 1.0
    seconds: float = 4.0


@dataclass
class Found:
    """What reached those that read. Latencies are of samples, in ms."""

    messages_per_s: float
    p50_ms: float
    p99_ms: float
    worst_ms: float
    samples: int


def ask(wish: Wish) -> Callable[[], Found]:
    """Begin; return what waits for the end and says what was found."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.ws_clients"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(json.dumps(asdict(wish)) + "\n")
    process.stdin.flush()
    assert process.stdout is not None
    assert process.stdout.readline() == "measuring\n", "the clients could not connect"

    def found() -> Found:
        told, _ = process.communicate(timeout=60)
        return Found(**json.loads(told))

    return found


def masked(text: bytes) -> bytes:
    """Return a client's text frame."""
    size = len(text)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size)
    return b"\x81" + length + bytes(4) + text  # masked with zeros


class Reader:
    """One client."""

    def __init__(self, wish: Wish, deaf: bool) -> None:
        self.sock = socket.socket()
        if deaf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, DEAF_BYTES)
        self.sock.connect(("127.0.0.1", wish.port))
        self._left = self._shake_hands(wish)
        for message in wish.say:
            self.sock.sendall(masked(json.dumps(message).encode()))
        if wish.subprotocol.startswith("foxglove"):
            self._subscribe()
        self.sock.setblocking(False)

    def _shake_hands(self, wish: Wish) -> bytes:
        key = base64.b64encode(os.urandom(16)).decode()
        protocol = f"Sec-WebSocket-Protocol: {wish.subprotocol}\r\n" if wish.subprotocol else ""
        self.sock.sendall(
            f"GET {wish.path} HTTP/1.1\r\nHost: 127.0.0.1:{wish.port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"{protocol}\r\n".encode()
        )
        answer = b""
        while b"\r\n\r\n" not in answer:
            some = self.sock.recv(1024)
            assert some, answer
            answer += some
        head, _, left = answer.partition(b"\r\n\r\n")
        assert b" 101 " in head.splitlines()[0], head
        return left

    def _subscribe(self) -> None:
        while b'"topic":"bench"' not in self._left:
            self._left += self.sock.recv(65536)
        at = self._left.index(b'"op":"advertise"')
        channels = json.loads(self._left[self._left.rindex(b"{", 0, at) :].decode(errors="ignore"))[
            "channels"
        ]
        wanted = [{"id": 1, "channelId": channel["id"]} for channel in channels]
        self.sock.sendall(masked(json.dumps({"op": "subscribe", "subscriptions": wanted}).encode()))
        self._left = b""

    def read(self) -> tuple[bytes, list[tuple[int, int]]]:
        """Return what came, and where in it the binary messages begin and end."""
        data = self._left + self.sock.recv(RECEIVE_BYTES)
        at, end, messages = 0, len(data), []
        while at + 2 <= end:
            size, begin = data[at + 1], at + 2
            if size == 126:
                size, begin = int.from_bytes(data[begin : begin + 2]), begin + 2
            elif size == 127:
                size, begin = int.from_bytes(data[begin : begin + 8]), begin + 8
            if begin + size > end:
                break
            if data[at] == 0x82:
                messages.append((begin, begin + size))
            at = begin + size
        self._left = data[at:]
        return data, messages


class Times:
    """Where the times of the samples are in a message."""

    def __init__(self) -> None:
        self._places: dict[int, tuple[str, int, int]] = {}

    def of(self, data: bytes, begin: int, end: int) -> np.ndarray | float | None:
        """Return the times in a message: ns of its rows, seconds of its one row, None if it has none."""
        size = end - begin
        place = self._places.get(size)
        if place is None:
            place = self._places[size] = _place(data[begin:end])
        kind, at, rows = place
        if kind == "row":
            return struct.unpack_from(">d", data, begin + at)[0]
        return np.frombuffer(data, "<i8", rows, begin + at) if kind == "rows" else None


def _place(message: bytes) -> tuple[str, int, int]:
    at = message.find(b"timestamp\xcb")
    if at >= 0:
        return "row", at + 10, 1
    at = message.find(b"\xa7time_ns\x82")
    if at < 0:
        return "", 0, 0
    at = message.index(b"\xa4data", at) + 5
    width = {0xC4: 1, 0xC5: 2, 0xC6: 4}[message[at]]
    return "rows", at + 1 + width, int.from_bytes(message[at + 1 : at + 1 + width]) // 8


def watch(wish: Wish) -> Found:
    """Read for as long as was asked."""
    selector = selectors.DefaultSelector()
    deaf = [Reader(wish, deaf=True) for _ in range(wish.deaf)]
    for _ in range(wish.clients):
        reader = Reader(wish, deaf=False)
        selector.register(reader.sock, selectors.EVENT_READ, reader)
    sys.stdout.write("measuring\n")
    sys.stdout.flush()
    times, late_ms = Times(), list[Any]()
    begin_s = time.monotonic() + wish.settle_s
    until_s = begin_s + wish.seconds
    while (now_s := time.monotonic()) < until_s:
        for ready, _ in selector.select(0.1):
            data, messages = ready.data.read()
            now_ns = time.time_ns()
            if now_s < begin_s:
                continue
            found = [times.of(data, *message) for message in messages]
            late_ms += [
                now_ns / 1e6 - (t * 1e3 if isinstance(t, float) else t / 1e6) for t in found if t is not None
            ]
    del deaf
    return _summed(wish, late_ms)


def _summed(wish: Wish, late_ms: list[Any]) -> Found:
    every = np.concatenate([np.atleast_1d(one) for one in late_ms]) if late_ms else np.array([np.nan])
    p50, p99 = np.percentile(every, [50, 99]).tolist()
    return Found(len(late_ms) / wish.seconds, p50, p99, float(every.max()), len(every))


if __name__ == "__main__":
    result = watch(Wish(**json.loads(sys.stdin.readline())))
    sys.stdout.write(json.dumps(asdict(result)))
