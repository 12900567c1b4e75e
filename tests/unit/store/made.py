"""Streams and blocks whose every value follows from its place, so that a wrong row is seen as wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import numpy as np

from kymograph.model.block import Block, Rows
from kymograph.model.channel import Channel, Stream
from kymograph.store.journal import JournalHead

STREAM = Stream("lidar", (Channel("distance", "float32", "m"), Channel("angle", "float64", "deg"),
                          Channel("flag", "uint8")), rate_hz=100.0)  # fmt: skip
EPOCH = 1_700_000_000_000


def make_block(seq: int, rows: int, epoch: int = EPOCH, stream: Stream = STREAM) -> Block:
    """Return rows whose values are functions of epoch and seq."""
    n = np.arange(seq, seq + rows, dtype=np.int64)
    times = epoch * 1_000_000 + n * 1_000_000
    columns = [(n * (i + 1) + epoch % 97) % 251 for i in range(len(stream.channels))]
    return Block.pack(stream, epoch, seq, Rows(stream.name, times, columns))


def check_block(block: Block) -> None:
    """Fail if any value of a block is not the one that `make_block` gave it."""
    wanted = make_block(block.seq, block.rows, block.epoch, block.stream)
    assert bytes(block.payload) == bytes(wanted.payload)


def places(blocks: Iterable[Block]) -> list[tuple[int, int]]:
    """Return (epoch, seq) of every row."""
    return [(b.epoch, b.seq + i) for b in blocks for i in range(b.rows)]


def make_head(index: int = 0, stream: Stream = STREAM) -> JournalHead:
    return JournalHead("rec-1", "night", index, stream, EPOCH * 1_000_000, EPOCH * 1_000_000)


def wait_until(condition: Callable[[], object], timeout_s: float = 10.0) -> None:
    """Wait until a condition holds, or fail."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)
