"""Whatever a network does to deliveries: twice, late, in another order, cut otherwise, interleaved."""

from __future__ import annotations

import itertools
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.service.hub.conftest import BEGIN_NS, MINUTE_NS, RunningHub

ROWS = 60
RANGES = st.lists(
    st.tuples(st.integers(1, ROWS), st.integers(0, 20)).map(lambda p: (p[0], min(ROWS, p[0] + p[1]))),
    max_size=25,
)


def check(hub: RunningHub, delivered: set[int]) -> None:
    """What was delivered is there once, in order; the ledger names exactly what is not."""
    assert hub.held() == [("roof", BEGIN_NS + seq * MINUTE_NS) for seq in sorted(delivered)]
    told = hub.hello(next=ROWS + 1)
    assert {seq for first, last in told for seq in range(first, last + 1)} == delivered
    assert all(a[1] + 1 < b[0] for a, b in itertools.pairwise(told)), "ranges are apart"
    (books,) = hub.books()
    missing = {seq for r in books["ranges"] for seq in range(r["first"], r["last"] + 1)}
    assert missing == set(range(1, ROWS + 1)) - delivered
    assert all(r["reason"] == "owed" for r in books["ranges"])
    (station,) = hub.depot.fleet.list()
    assert station["owed"]["readings"]["rows"] == len(missing)


@settings(max_examples=25)
@given(ranges=RANGES, seed=st.integers(0, 2**16))
def test_each_row_is_there_once_whatever_came(ranges: list[tuple[int, int]], seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        hub = RunningHub(Path(folder), f"sqlite:///{folder}/hub.db")
        try:
            deliver(hub, ranges, seed)
        finally:
            hub.database.close()


def deliver(hub: RunningHub, ranges: list[tuple[int, int]], seed: int) -> None:
    """Deliver ranges, some of them again at some later time, with hellos between; then all that is left."""
    chance = random.Random(seed)
    order = ranges + [one for one in ranges if chance.random() < 0.5]
    chance.shuffle(order)
    hub.hello(next=1)
    delivered: set[int] = set()
    committed = 0
    for first, last in order:
        committed += hub.ship(first, last).committed
        delivered |= set(range(first, last + 1))
        if chance.random() < 0.2:
            hub.hello(next=ROWS + 1)
    assert committed == len(delivered)
    check(hub, delivered)
    hub.ship(1, ROWS)
    check(hub, set(range(1, ROWS + 1)))


@pytest.mark.parametrize("seed", range(3))
def test_on_either_database(hub: RunningHub, seed: int) -> None:
    chance = random.Random(seed)
    starts = [chance.randint(1, ROWS) for _ in range(12)]
    deliver(hub, [(first, min(ROWS, first + chance.randint(0, 20))) for first in starts], seed)
