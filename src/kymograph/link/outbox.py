"""What waits to be written to one connection: answers always, blocks up to a bound."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Sequence

from kymograph.link import frames
from kymograph.model.block import Block
from kymograph.model.limits import LINK_QUEUE_BYTES_MAX

Buffers = Sequence[bytes | memoryview]


class Outbox:
    """A queue and the one thread that empties it into a socket.

    A reader that does not read loses its own oldest blocks, which it sees as a jump of `seq`; it never
    makes an instrument wait. Answers and events are few and are never dropped.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._waiting: deque[tuple[Buffers, int]] = deque()
        self._block_bytes = 0
        self._ready = threading.Condition()
        self._closed = False
        self.rows_dropped = 0
        self._thread = threading.Thread(target=self._run, name="link-send", daemon=True)
        self._thread.start()

    def put(self, buffers: Buffers) -> None:
        """Queue an answer or an event."""
        with self._ready:
            self._waiting.append((buffers, 0))
            self._ready.notify()

    def put_block(self, buffers: Buffers, block: Block) -> None:
        """Queue a block; over the bound, the oldest blocks go."""
        with self._ready:
            self._waiting.append((buffers, block.rows))
            self._block_bytes += len(buffers[-1])
            if self._block_bytes > LINK_QUEUE_BYTES_MAX:
                self._drop_oldest()
            self._ready.notify()

    def _drop_oldest(self) -> None:
        kept: deque[tuple[Buffers, int]] = deque()
        for buffers, rows in self._waiting:
            if rows and self._block_bytes > LINK_QUEUE_BYTES_MAX // 2:
                self._block_bytes -= len(buffers[-1])
                self.rows_dropped += rows
            else:
                kept.append((buffers, rows))
        self._waiting = kept

    def close(self) -> None:
        """Stop writing and close the socket; what waits is let go."""
        with self._ready:
            self._closed = True
            self._ready.notify()
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the other side was faster
        self._sock.close()

    def _run(self) -> None:
        while True:
            with self._ready:
                while not self._waiting and not self._closed:
                    self._ready.wait()
                if self._closed:
                    return
                buffers, rows = self._waiting.popleft()
                if rows:
                    self._block_bytes -= len(buffers[-1])
            try:
                frames.send(self._sock, buffers)
            except OSError:
                return
