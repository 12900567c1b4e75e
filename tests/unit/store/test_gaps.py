from __future__ import annotations

import threading

import pytest

from kymograph.model.block import Block, Cursor
from kymograph.model.clock import Clock
from kymograph.store.block_queue import Lost, RecorderQueue
from kymograph.store.gaps import Gap, GapTeller, between, without_repeats
from tests.unit.store.made import EPOCH, check_block, make_block


class Time:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 10**12
        self.clock = Clock(lambda: self.now, lambda: self.now)


@pytest.mark.parametrize(
    ("place", "seq", "gap"),
    [
        (None, 7, None),
        (Cursor(EPOCH, 7), 7, None),
        (Cursor(EPOCH, 5), 7, Gap("s", EPOCH, 5, 7, 2, "device")),
        (Cursor(EPOCH, 9), 7, None),
        (Cursor(EPOCH - 1, 5), 7, Gap("s", EPOCH - 1, 5, None, None, "epoch")),
    ],
)
def test_what_lies_between(place: Cursor | None, seq: int, gap: Gap | None) -> None:
    assert between("s", place, EPOCH, seq) == gap


@pytest.mark.parametrize(("at", "left"), [(0, 10), (3, 7), (9, 1), (10, 0), (15, 0)])
def test_rows_at_or_before_a_place_are_left_out(at: int, left: int) -> None:
    block = without_repeats(make_block(0, 10), Cursor(EPOCH, at))
    assert (block.rows if block else 0) == left
    if block is not None:
        assert block.seq == at
        check_block(block)
    assert without_repeats(make_block(0, 10), Cursor(EPOCH + 1, at)) is not None


def gap(i: int, reason: str = "device") -> Gap:
    return Gap("s", EPOCH, i * 10, i * 10 + 2, 2, reason)


def test_few_gaps_are_told_one_by_one_and_at_once() -> None:
    teller = GapTeller(Time().clock)
    assert teller.take() == []
    teller.add(gap(1))
    assert [event.body for event in teller.take()] == [gap(1).body()]
    assert teller.take(all_of_them=True) == []


def test_many_gaps_in_a_second_become_one_with_their_sum() -> None:
    time = Time()
    teller = GapTeller(time.clock)
    for i in range(8):
        teller.add(gap(i))
    assert len(teller.take()) == 8
    for i in range(8, 108):
        teller.add(gap(i))
    assert teller.take() == []
    time.now += 1_000_000_000
    bodies = [event.body for event in teller.take()]
    assert len(bodies) == 9
    assert sum(body["rows"] for body in bodies) == 200
    assert (bodies[-1]["gaps"], bodies[-1]["to_seq"]) == (92, 1072)


def test_a_queue_takes_until_it_is_full_and_remembers_the_rest() -> None:
    block = make_block(0, 10)
    queue = RecorderQueue(block.nbytes * 2)
    assert [queue.put(make_block(i * 10, 10)) for i in range(4)] == [True, True, False, False]
    assert queue.size_bytes == block.nbytes * 2
    items = queue.take(0.0)
    assert items[2:] == [Lost("lidar", EPOCH, 20, 40, 20)]
    assert (queue.rows_lost, queue.rows_lost_of("lidar"), queue.rows_lost_of("x")) == (20, 20, 0)
    assert queue.put(make_block(40, 10))
    assert [item.seq for item in queue.take(0.0) if isinstance(item, Block)] == [40]


def test_losses_that_do_not_touch_stay_apart() -> None:
    queue = RecorderQueue(1)
    for seq, epoch in ((0, EPOCH), (10, EPOCH), (30, EPOCH), (0, EPOCH + 1)):
        queue.put(make_block(seq, 10, epoch))
    assert queue.take(0.0) == [
        Lost("lidar", EPOCH, 0, 20, 20),
        Lost("lidar", EPOCH, 30, 40, 10),
        Lost("lidar", EPOCH + 1, 0, 10, 10),
    ]


def test_take_waits_for_a_block_and_for_nothing_else() -> None:
    queue = RecorderQueue(1000)
    taken: list[int] = []
    thread = threading.Thread(target=lambda: taken.append(len(queue.take(30.0))))
    thread.start()
    queue.put(make_block(0, 1))
    thread.join(10)
    assert taken == [1]
    queue.wake()
    assert queue.take(30.0) == []
    queue.close()
    assert not queue.put(make_block(1, 1))
    assert (queue.take(30.0), queue.rows_lost) == ([], 0)
