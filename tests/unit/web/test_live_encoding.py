"""A block that is sent as it is: put together from its bytes, the message is what a packer would make."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from kymograph.model.block import Block, Rows
from kymograph.model.channel import Channel, Stream
from kymograph.web.live.encoding import Encoded
from kymograph.web.live.views import View

DTYPES = ("float32", "int16", "float64", "uint8", "int32")


def made(channels: int, rows: int, seq: int = 3) -> Block:
    kinds = [Channel(f"c{i}", DTYPES[i % len(DTYPES)]) for i in range(channels)]
    stream = Stream("s", tuple(kinds), 100.0)
    times = np.arange(rows, dtype=np.int64) * 10_000_000 + 1_790_000_000_000_000_000
    columns = [(np.arange(rows) * (i + 1) % 100).astype(DTYPES[i % len(DTYPES)]) for i in range(channels)]
    return Block.pack(stream, 1000, seq, Rows("s", times, columns))


def packed(name: str, values: Any) -> dict[str, Any]:
    return {name: {"dtype": values.dtype.str, "data": values.tobytes()}}


@pytest.mark.parametrize("channels", [1, 14, 15, 16, 30])
@pytest.mark.parametrize("rows", [1, 7, 60, 300, 20_000])
def test_a_block_as_it_is(channels: int, rows: int) -> None:
    block = made(channels, rows)
    columns = packed("time_ns", block.time_ns)
    for channel, values in zip(block.stream.channels, block.columns(), strict=True):
        columns |= packed(channel.name, values)
    message = {
        "type": "data", "id": "a", "dropped": 70_000, "stream": "s", "epoch": 1000, "seq_from": 3,
        "seq_to": 3 + rows, "columns": columns,
    }  # fmt: skip
    piece = View(block.stream, "raw").piece([block])
    assert piece.whole is block
    assert Encoded(piece, "msgpack").to("a", 70_000) == msgspec.msgpack.encode(message)


def test_what_is_not_a_block_as_it_is_says_the_same() -> None:
    first, second = made(5, 4), made(5, 2, seq=7)
    view = View(first.stream, "raw")
    both = view.piece([first, second])
    assert both.whole is None
    told: Any = msgspec.msgpack.decode(Encoded(both, "msgpack").to("a"))  # type: ignore[arg-type]
    values = np.frombuffer(told["columns"]["c1"]["data"], told["columns"]["c1"]["dtype"])
    assert values.tolist() == [*first.columns()[1].tolist(), *second.columns()[1].tolist()]
    fewer = View(first.stream, "raw", ("c1", "c0"))
    assert fewer.piece([first]).whole is None
    told = msgspec.msgpack.decode(Encoded(fewer.piece([first]), "msgpack").to("a"))  # type: ignore[arg-type]
    assert list(told["columns"]) == ["time_ns", "c1", "c0"]
    assert View(first.stream, "latest").piece([first]).whole is None
