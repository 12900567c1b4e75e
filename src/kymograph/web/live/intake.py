"""Where blocks come over from the link's thread to the event loop: at once, bounded, woken once a batch."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence

from kymograph.model.block import Block
from kymograph.model.limits import LIVE_WAITING_BYTES_MAX


class Intake:
    """A `BlockSink`. `put` may be called from any thread; `on_blocks` is called on the event loop.

    A loop that is busy finds all that came meanwhile in one call. Over the bound the oldest blocks go; who
    follows a stream notices by `seq` and looks for them in the ring.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_blocks: Callable[[Sequence[Block]], None]) -> None:
        self._loop = loop
        self._on_blocks = on_blocks
        self._lock = threading.Lock()
        self._waiting: deque[Block] = deque()
        self._bytes = 0
        self._rows_lost = 0

    @property
    def rows_lost(self) -> int:
        """Rows that had to go because the loop did not keep up."""
        return self._rows_lost

    def put(self, block: Block) -> bool:
        """Take a block; never waits."""
        with self._lock:
            first = not self._waiting
            self._waiting.append(block)
            self._bytes += block.nbytes
            while self._bytes > LIVE_WAITING_BYTES_MAX:
                gone = self._waiting.popleft()
                self._bytes -= gone.nbytes
                self._rows_lost += gone.rows
        if first:
            try:
                self._loop.call_soon_threadsafe(self._take)
            except RuntimeError:
                return False  # the loop has ended, and with it everyone who wanted this
        return True

    def _take(self) -> None:
        with self._lock:
            blocks, self._waiting, self._bytes = self._waiting, deque(), 0
        if blocks:
            self._on_blocks(list(blocks))
