"""A block is one buffer, and every way of making it gives the same rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kymograph.model.block import Block, Cursor, Rows, payload_nbytes
from kymograph.model.channel import DTYPES, Channel, Stream
from kymograph.model.errors import Corrupt, InvalidInput
from kymograph.model.limits import BLOCK_ROWS_MAX

DTYPE_LISTS = st.lists(st.sampled_from(DTYPES), min_size=1, max_size=6)


def stream_of(dtypes):
    return Stream("s", tuple(Channel(f"c{i}", dtype) for i, dtype in enumerate(dtypes)), 100.0)


def rows_of(stream, count, seed=0):
    bits = np.random.default_rng(seed)
    columns = [np.frombuffer(bits.bytes(d.itemsize * count), d) for d in stream.dtypes]
    return Rows(stream.name, np.arange(count, dtype=np.int64) * 7 + seed, columns)


def same(a, b):
    return a.tobytes() == b.tobytes() and a.dtype == b.dtype


@given(dtypes=DTYPE_LISTS, count=st.integers(1, 200), seed=st.integers(0, 2**32 - 1))
def test_what_is_packed_comes_back_bit_for_bit(dtypes, count, seed):
    stream = stream_of(dtypes)
    rows = rows_of(stream, count, seed)
    block = Block.pack(stream, 5, 17, rows)
    assert block.time_ns.tolist() == rows.time_ns.tolist()
    assert all(same(got, put) for got, put in zip(block.columns(), rows.columns, strict=True))
    assert block.nbytes == payload_nbytes(stream, count)
    assert block.next == Cursor(5, 17 + count)
    assert (block.first_ns, block.last_ns) == (int(rows.time_ns[0]), int(rows.time_ns[-1]))


@given(dtypes=DTYPE_LISTS, count=st.integers(1, 100))
def test_a_payload_read_back_is_the_block_that_was_written(dtypes, count):
    stream = stream_of(dtypes)
    block = Block.pack(stream, 1, 2, rows_of(stream, count))
    again = Block.from_payload(stream, Cursor(1, 2), count, bytes(block.payload))
    assert bytes(again.payload) == bytes(block.payload)
    assert all(same(a, b) for a, b in zip(again.columns(), block.columns(), strict=True))


@given(dtypes=DTYPE_LISTS, count=st.integers(1, 60), data=st.data())
def test_a_cut_has_the_rows_and_numbers_of_its_place(dtypes, count, data):
    stream = stream_of(dtypes)
    block = Block.pack(stream, 3, 1000, rows_of(stream, count))
    start = data.draw(st.integers(0, count - 1))
    stop = data.draw(st.integers(start + 1, count))
    part = block.cut(start, stop)
    assert (part.epoch, part.seq, part.rows) == (3, 1000 + start, stop - start)
    assert part.time_ns.tolist() == block.time_ns[start:stop].tolist()
    for piece, whole in zip(part.columns(), block.columns(), strict=True):
        assert same(piece, whole[start:stop])


def test_a_cut_of_everything_is_the_block_itself():
    block = Block.pack(stream_of(["int8"]), 0, 0, rows_of(stream_of(["int8"]), 9))
    assert block.cut(0, 9) is block
    assert block.cut(-4, 99) is block


def test_every_column_begins_at_a_multiple_of_eight_and_the_gap_is_zero():
    stream = stream_of(["int8", "uint16", "float64"])
    block = Block.pack(stream, 0, 0, Rows("s", np.zeros(3, np.int64), [np.full(3, -1)] * 2 + [np.ones(3)]))
    assert bytes(block.payload[24:32]) == b"\xff\xff\xff" + b"\0" * 5
    assert bytes(block.payload[32:40]) == b"\xff" * 6 + b"\0" * 2
    assert block.nbytes == 24 + 8 + 8 + 24


def test_columns_are_converted_to_their_channels_dtype():
    block = Block.pack(stream_of(["float32"]), 0, 0, Rows("s", np.arange(3), [[1, 2, 3]]))
    assert block.columns()[0].dtype == np.dtype("<f4")
    assert block.columns()[0].tolist() == [1.0, 2.0, 3.0]


def test_nobody_can_change_the_rows_of_a_block():
    block = Block.pack(stream_of(["float32"]), 0, 0, rows_of(stream_of(["float32"]), 4))
    with pytest.raises(ValueError, match="read-only"):
        block.columns()[0][0] = 1
    with pytest.raises(ValueError, match="read-only"):
        block.time_ns[0] = 1


@pytest.mark.parametrize("count", [0, BLOCK_ROWS_MAX + 1])
def test_a_block_has_at_least_one_row_and_at_most_the_bound(count):
    stream = stream_of(["int8"])
    with pytest.raises(InvalidInput, match=str(count)):
        Block.pack(stream, 0, 0, Rows("s", np.zeros(count, np.int64), [np.zeros(count, np.int8)]))


def test_columns_that_do_not_fit_are_refused():
    stream = stream_of(["int8", "int8"])
    for columns in ([np.zeros(3)], [np.zeros(3), np.zeros(2)], [np.zeros(3)] * 3):
        with pytest.raises(InvalidInput) as caught:
            Block.pack(stream, 0, 0, Rows("s", np.zeros(3, np.int64), columns))
        assert caught.value.facts["lengths"][0] == 3


@pytest.mark.parametrize(("rows", "nbytes"), [(3, 32), (3, 31), (4, 0), (0, 0), (-1, 8)])
def test_a_payload_of_the_wrong_length_is_damage(rows, nbytes):
    stream = stream_of(["float32"])
    assert payload_nbytes(stream, 3) == 40
    with pytest.raises(Corrupt):
        Block.from_payload(stream, Cursor(0, 0), rows, bytes(nbytes))


def test_cursors_of_a_later_epoch_come_later():
    assert Cursor(1, 10**9) < Cursor(2, 0) < Cursor(2, 1)
