"""The queue before the disk: it takes blocks without ever waiting, and remembers what it could not take."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from kymograph.model.block import Block


@dataclass(slots=True)
class Lost:
    """Rows that found the queue full; stands in the queue where they would have stood."""

    stream: str
    epoch: int
    from_seq: int
    to_seq: int
    rows: int


class RecorderQueue:
    """A `BlockQueue` bounded by bytes. Many threads put, one takes."""

    def __init__(self, size_bytes_max: int) -> None:
        """Make an open, empty queue."""
        self._bytes_max = size_bytes_max
        self._items: deque[Block | Lost] = deque()
        self._open_losses: dict[str, Lost] = {}
        self._condition = threading.Condition(threading.Lock())
        self._waiting = False
        self._closed = False
        self._woken = False
        self._bytes = 0
        self._lost: dict[str, int] = {}

    @property
    def size_bytes(self) -> int:
        """Payload bytes waiting."""
        return self._bytes

    @property
    def rows_lost(self) -> int:
        """Rows that were offered and could not be taken, of all streams."""
        return sum(self._lost.copy().values())

    def rows_lost_of(self, stream: str) -> int:
        """Rows of one stream that were offered and could not be taken."""
        return self._lost.get(stream, 0)

    def put(self, block: Block) -> bool:
        """Take a block, or count its rows as lost and return False; after `close` neither. Never waits."""
        with self._condition:
            if self._closed:
                return False
            size = self._bytes + block.nbytes
            if size > self._bytes_max:
                self._lose(block)
                return False
            self._bytes = size
            self._items.append(block)
            if self._open_losses:
                self._open_losses.pop(block.stream.name, None)
            if self._waiting:
                self._condition.notify()
            return True

    def lose(self, loss: Lost) -> None:
        """Count rows as lost that were to be put and cannot be any more."""
        with self._condition:
            if not self._closed:
                self._lost[loss.stream] = self._lost.get(loss.stream, 0) + loss.rows
                self._items.append(loss)
                self._condition.notify()

    def take(self, timeout_s: float, gather_s: float = 0.0) -> list[Block | Lost]:
        """Return everything that waits, oldest first; wait for something at most that long.

        Once there is something, more is let gather for `gather_s`: few large writes cost less than many
        small ones, and so does waking up for them.
        """
        with self._condition:
            if not self._items and not self._woken and timeout_s > 0:
                self._waiting = True
                self._condition.wait(timeout_s)
                self._waiting = False
            if gather_s > 0 and self._items and not self._woken:
                self._condition.wait_for(lambda: self._woken, min(gather_s, timeout_s))
            self._woken = False
            items, self._items = self._items, deque()
            self._open_losses.clear()
            self._bytes = 0
        return list(items)

    def wake(self) -> None:
        """Let `take` return, also with nothing."""
        with self._condition:
            self._woken = True
            self._condition.notify()

    def close(self) -> None:
        """Take no more; what is offered from now on belongs to no recording."""
        with self._condition:
            self._closed = True
            self._woken = True
            self._condition.notify()

    def _lose(self, block: Block) -> None:
        name = block.stream.name
        self._lost[name] = self._lost.get(name, 0) + block.rows
        loss = self._open_losses.get(name)
        if loss is not None and (loss.epoch, loss.to_seq) == (block.epoch, block.seq):
            loss.to_seq += block.rows
            loss.rows += block.rows
            return
        loss = Lost(name, block.epoch, block.seq, block.seq + block.rows, block.rows)
        self._open_losses[name] = loss
        self._items.append(loss)
