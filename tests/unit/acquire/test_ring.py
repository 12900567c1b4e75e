"""The ring: what was written comes back with its identity, from this process and from another."""

import json
import subprocess
import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kymograph.acquire.ring import Ring, RingView, ring_nbytes
from kymograph.model.block import Block, Cursor, Rows
from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import Unavailable

STREAM = Stream("s", (Channel("a", "float32"), Channel("n", "uint16")), 100.0)


def block(seq: int, rows: int, epoch: int = 1) -> Block:
    index = np.arange(seq, seq + rows)
    return Block.pack(STREAM, epoch, seq, Rows("s", index * 10, [index * 0.5, index % 65536]))


def test_rows_come_back_with_their_identity():
    ring = Ring(STREAM, 100)
    for seq in range(0, 60, 20):
        ring.put(block(seq, 20))
    [found] = ring.view().blocks(10, 60)
    assert (found.epoch, found.seq, found.rows) == (1, 10, 50)
    assert found.time_ns.tolist() == list(range(100, 600, 10))
    assert found.columns()[0].tolist() == [i * 0.5 for i in range(10, 60)]


def test_the_oldest_rows_go_first():
    ring = Ring(STREAM, 50)
    for seq in range(0, 200, 20):
        ring.put(block(seq, 20))
    view = ring.view()
    assert view.extent == (150, 200)
    [found] = view.blocks(0, 200)
    assert (found.seq, found.rows) == (150, 50)


def test_a_block_larger_than_the_ring_leaves_its_newest_rows():
    ring = Ring(STREAM, 50)
    ring.put(block(0, 120))
    [found] = ring.view().blocks(0, 1000)
    assert (found.seq, found.rows) == (70, 50)
    assert found.columns()[1].tolist() == list(range(70, 120))


def test_gaps_and_epochs_are_kept():
    ring = Ring(STREAM, 1000)
    ring.put(block(0, 10))
    ring.put(block(25, 10))
    ring.put(block(0, 10, epoch=2))
    found = ring.view().blocks(0, 30)
    assert [(b.epoch, b.seq, b.rows) for b in found] == [(1, 0, 10), (1, 25, 10), (2, 0, 10)]


@pytest.mark.parametrize(
    ("cursor", "row"),
    [
        ((1, 0), 0),
        ((1, 5), 5),
        ((1, 15), 10),
        ((1, 30), 15),
        ((2, 3), 23),
        ((1, 90), 20),
        ((2, 50), 30),
        ((9, 9), 0),
    ],
)
def test_a_cursor_is_found_or_what_follows_it(cursor, row):
    ring = Ring(STREAM, 1000)
    ring.put(block(0, 10))
    ring.put(block(25, 10))
    ring.put(block(0, 10, epoch=2))
    assert ring.view().row_at(Cursor(*cursor)) == row


def test_times_are_found_by_bisection():
    ring = Ring(STREAM, 50)
    for seq in range(0, 200, 20):
        ring.put(block(seq, 20))
    view = ring.view()
    assert view.row_at_time(0) == 150
    assert view.row_at_time(1755) == 176
    assert view.row_at_time(10**9) == 200


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 60)), min_size=1, max_size=30),
)
def test_what_a_ring_holds_is_always_the_newest(capacity, blocks):
    ring = Ring(STREAM, capacity)
    seq, expected = 0, []
    for skip, rows in blocks:
        seq += skip
        ring.put(block(seq, rows))
        expected += range(seq, seq + rows)
        seq += rows
    found = [s for b in ring.view().blocks(0, 10**6) for s in range(b.seq, b.seq + b.rows)]
    values = [int(v) for b in ring.view().blocks(0, 10**6) for v in b.columns()[1]]
    assert found == expected[-capacity:]
    assert values == found


def test_another_process_reads_it():
    ring = Ring(STREAM, 100)
    ring.put(block(0, 80))
    script = (
        "import sys, json\n"
        "from kymograph.acquire.ring import RingView\n"
        "from kymograph.model.channel import stream_from_dict\n"
        "view = RingView.attach(stream_from_dict(json.loads(sys.argv[1])), sys.argv[2])\n"
        "print(json.dumps([int(v) for b in view.blocks(0, 80) for v in b.columns()[1]]))\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", script, json.dumps(STREAM.to_dict()), ring.path],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(out.stdout) == list(range(80))


def test_what_is_no_ring_is_refused(tmp_path):
    with pytest.raises(Unavailable):
        RingView.attach(STREAM, str(tmp_path / "none"))
    (tmp_path / "short").write_bytes(b"x" * 4096)
    with pytest.raises(Unavailable):
        RingView.attach(STREAM, str(tmp_path / "short"))


def test_memory_is_what_was_said():
    assert ring_nbytes(STREAM, 1000) == Ring(STREAM, 1000).size_bytes


def test_a_reader_beside_the_writer_never_sees_a_torn_row():
    ring = Ring(STREAM, 500)
    view = ring.view()
    stop = threading.Event()

    def write():
        seq = 0
        while not stop.is_set():
            ring.put(block(seq, 37))
            seq += 37

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(2000):
            first, last = view.extent
            start, times, (a, n) = view.read(first, last, (0, 1))
            rows = np.arange(start, start + len(times))
            assert (times == rows * 10).all() and (n == rows % 65536).all()
            assert (a == (rows * 0.5).astype(np.float32)).all()
    finally:
        stop.set()
        writer.join()
