from __future__ import annotations

import numpy as np

from kymograph.model.block import Block, Rows
from kymograph.model.channel import Channel, Stream
from kymograph.store.formats.base import RowRange, column_names, gather

STREAM = Stream("s", (Channel("a"),))


def blocks_of(*sizes: int) -> list[Block]:
    found: list[Block] = []
    at = 0
    for size in sizes:
        numbers = np.arange(at, at + size)
        found.append(Block.pack(STREAM, 1, at, Rows("s", numbers, [numbers])))
        at += size
    return found


def test_gather_makes_batches_of_one_size_whatever_the_blocks() -> None:
    for sizes in ((1,) * 25, (25,), (10, 10, 5), (3, 17, 5), (9, 1, 15)):
        batches = list(gather(STREAM, blocks_of(*sizes), 10))
        assert [len(batch.time_ns) for batch in batches] == [10, 10, 5]
        assert np.concatenate([batch.time_ns for batch in batches]).tolist() == list(range(25))
        assert np.concatenate([batch.columns[0] for batch in batches]).tolist() == list(range(25))


def test_gather_of_nothing_is_nothing() -> None:
    assert list(gather(STREAM, iter(()), 10)) == []


def test_names_of_channels_never_meet_those_of_the_file() -> None:
    stream = Stream("s", tuple(map(Channel, ("timestamp", "timestamp_", "timestamps", "a"))))
    assert column_names(stream, ("timestamp",)) == ("timestamp_", "timestamp__", "timestamps", "a")


def test_a_range_stays_within_the_file() -> None:
    assert RowRange().within(5) == (0, 5)
    assert RowRange(2, 99).within(5) == (2, 5)
    assert RowRange(7).within(5) == (5, 5)
    assert RowRange(3, 1).within(5) == (1, 1)
