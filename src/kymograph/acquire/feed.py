"""One stream on its way out of an instrument: numbered, cut into blocks, and its silences remembered."""

from __future__ import annotations

import numpy as np

from kymograph.acquire.fanout import Fanout
from kymograph.model.block import Block, Rows
from kymograph.model.channel import Stream
from kymograph.model.limits import BLOCK_ROWS_MAX


def layout(stream: Stream) -> tuple[object, ...]:
    """Return what a stream's ring, files and listeners are made for; bounds and descriptions may change."""
    return (stream.rate_hz, *((c.name, c.dtype, c.unit) for c in stream.channels))


class Feed:
    """One stream on its way out: gives rows their numbers, epoch by epoch."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.fanout = Fanout()
        self.epoch = 0
        self.seq = 0
        self.last_time_ns: int | None = None
        self.silent_since_ns: int | None = None
        """Time of the last row before a silence, until a row comes again."""
        self.silent_for = ""
        """Why."""

    def begin_epoch(self, now_ns: int) -> None:
        """Start to count anew; an epoch is never named like an earlier one."""
        self.epoch = max(now_ns // 1_000_000, self.epoch + 1)
        self.seq = 0
        self.last_time_ns = None

    def note_silence(self, reason: str) -> None:
        """Take note that no rows come after the last one, and why, unless that is known already."""
        if self.silent_since_ns is None:
            self.silent_since_ns, self.silent_for = self.last_time_ns, reason

    def publish(self, rows: Rows) -> int:
        """Number the rows, send them on in blocks of bounded size, and return how many there were."""
        self.seq += rows.missing
        count = len(rows.time_ns)
        if self.last_time_ns is not None and int(rows.time_ns[0]) < self.last_time_ns:
            rows = rows._replace(time_ns=np.maximum(rows.time_ns, self.last_time_ns))
        self.last_time_ns = int(rows.time_ns[-1])
        for start in range(0, count, BLOCK_ROWS_MAX):
            part = slice(start, start + BLOCK_ROWS_MAX)
            piece = rows
            if count > BLOCK_ROWS_MAX:
                piece = Rows(rows.stream, rows.time_ns[part], [column[part] for column in rows.columns])
            block = Block.pack(self.stream, self.epoch, self.seq, piece)
            self.seq += block.rows
            self.fanout.publish(block)
        return count
