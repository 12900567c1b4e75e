"""What a hub does by itself."""

from __future__ import annotations

import logging
import time

import pytest
from sqlalchemy import select

from kymograph.model.limits import BATCHES_KEPT_S
from kymograph.service.hub.ingest import Ingest
from kymograph.service.hub.tending import Tending
from kymograph.store.sql.tables import batches
from tests.unit.service.hub.conftest import RunningHub, reading


def test_a_change_of_state_is_said_once(small_hub: RunningHub, caplog: pytest.LogCaptureFixture) -> None:
    tending = Tending(small_hub.depot)
    small_hub.depot.keys.make("roof")
    with caplog.at_level(logging.INFO, "kymograph.service.hub.tending"):
        assert tending.look() == {"roof": "never"} and not caplog.messages
        small_hub.ship(1, 1)
        assert tending.look() == tending.look() == {"roof": "silent"}
        small_hub.put([reading(2, time_ns=time.time_ns())], 2, 2)
        assert tending.look() == {"roof": "ok"}
    assert caplog.messages == [
        "the station roof is silent, it was never",
        "the station roof is ok, it was silent",
    ]


def test_batches_are_forgotten_and_their_rows_still_known(small_hub: RunningHub) -> None:
    long_ago_ns = time.time_ns() - int((BATCHES_KEPT_S + 60) * 1e9)
    depot = small_hub.depot
    depot.ingest = Ingest(small_hub.database, depot.objects, lambda: long_ago_ns)
    small_hub.ship(1, 10)
    depot.ingest = Ingest(small_hub.database, depot.objects)
    small_hub.ship(11, 20)
    Tending(depot).tidy()
    with small_hub.database.read() as connection:
        assert connection.execute(select(batches.c.first)).scalars().all() == [11]
    again = small_hub.ship(1, 10)
    assert (again.what, again.committed, again.duplicates) == ("taken", 0, 10)
    assert small_hub.hello(next=21) == [[1, 20]]
