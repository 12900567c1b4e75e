"""One block in, the same block out to every listener; no listener can slow another or the instrument."""

from __future__ import annotations

import threading

from kymograph.model.block import Block, BlockQueue


class Fanout:
    """Hands each block to all queues.

    `publish` belongs to the instrument's thread and takes no lock: `add` and `remove` replace the whole
    tuple of queues, so that a block meets either the old listeners or the new ones.
    """

    def __init__(self) -> None:
        self._queues: tuple[BlockQueue, ...] = ()
        self._changing = threading.Lock()

    def add(self, queue: BlockQueue) -> None:
        """Let a queue have every block from the next one on."""
        with self._changing:
            self._queues = (*self._queues, queue)

    def remove(self, queue: BlockQueue) -> None:
        """Let a queue have no more blocks; one that is not listening is left alone."""
        with self._changing:
            self._queues = tuple(other for other in self._queues if other is not queue)

    def publish(self, block: Block) -> None:
        """Offer a block to every queue; each counts for itself what it cannot take."""
        for queue in self._queues:
            queue.put(block)
