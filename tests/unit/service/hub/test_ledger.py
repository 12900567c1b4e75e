"""What is told and held: reinstalled stations, copies that are put back, tombstones; staleness and keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from kymograph.config import HubTable
from kymograph.model.errors import Conflict, InvalidInput, NotFound
from kymograph.model.limits import STATION_KEYS_MAX
from kymograph.service.hub.fleet import Fleet
from kymograph.store.sql import stations
from tests.unit.service.hub.conftest import BEGIN_NS, EPOCH, MINUTE_NS, RunningHub, reading


def test_a_reinstalled_station_begins_a_new_book_and_the_old_one_stays(hub: RunningHub) -> None:
    hub.hello(next=21)
    hub.ship(1, 10)
    assert hub.hello(next=5, epoch=EPOCH + 1) == []
    hub.put([reading(seq, time_ns=BEGIN_NS - seq) for seq in range(1, 5)], 1, 4, epoch=EPOCH + 1)
    new, old = hub.books()
    assert (new["epoch"], new["current"], new["missing"], new["owed"]) == (EPOCH + 1, True, 0, 0)
    assert (old["epoch"], old["current"], old["missing"], old["owed"]) == (EPOCH, False, 10, 0)
    assert [(r["first"], r["last"], r["reason"]) for r in old["ranges"]] == [(11, 20, "never_arrived")]
    (station,) = hub.depot.fleet.list()
    assert station["owed"]["readings"]["rows"] == 0
    assert station["ledger"] == {"expected": 24, "held": 14, "missing": 10}


def test_a_reinstalled_hub_asks_for_what_there_still_is(hub: RunningHub) -> None:
    assert hub.hello(first=500, next=1001) == []
    (books,) = hub.books()
    assert (books["first"], books["expected"], books["owed"]) == (500, 501, 501)


def test_rows_that_a_station_no_longer_has_are_not_owed(hub: RunningHub) -> None:
    hub.hello(next=21)
    hub.ship(11, 20)
    hub.hello(first=6, next=21)
    (books,) = hub.books()
    assert [(r["first"], r["last"], r["reason"]) for r in books["ranges"]] == [
        (1, 5, "never_arrived"), (6, 10, "owed"),
    ]  # fmt: skip
    assert books["owed"] == 5


def test_an_older_copy_of_a_stations_database_is_noticed(hub: RunningHub) -> None:
    hub.hello(next=101)
    hub.ship(1, 100)
    assert hub.hello(next=51) == [[1, 50]], "their numbers will be given again"
    anew = [reading(seq, time_ns=BEGIN_NS - seq) for seq in range(51, 101)]
    assert hub.put(anew, 51, 100).committed == 50
    assert hub.hello(next=101) == [[1, 100]]


def test_rows_that_overtake_a_hello_are_no_older_copy(hub: RunningHub) -> None:
    hub.hello(next=10)
    hub.ship(1, 10)
    assert hub.hello(next=10) == [[1, 10]], "row 10 was made after the hello was"
    assert hub.books()[0]["expected"] == 10


def test_since_when_something_is_owed(hub: RunningHub) -> None:
    hub.hello(next=11)
    hub.ship(1, 10)
    hub.ship(20, 20)
    (station,) = hub.depot.fleet.list()
    assert station["owed"]["readings"] == {"rows": 9, "since_ns": BEGIN_NS + 10 * MINUTE_NS}
    hub.ship(11, 19)
    assert hub.depot.fleet.one("roof")["owed"]["readings"] == {"rows": 0, "since_ns": None}


AGES: list[tuple[float, float | None, str]] = [
    (0, None, "ok"), (179, None, "ok"), (181, None, "late"), (3599, None, "late"), (3601, None, "silent"),
    (1700, 600, "ok"), (1900, 600, "late"), (3601, 7200, "ok"), (21_700, 7200, "silent"),
    (-86_400, None, "ok"),
]  # fmt: skip


@pytest.mark.parametrize(("age_s", "interval_s", "state"), AGES)
def test_staleness(small_hub: RunningHub, age_s: float, interval_s: float | None, state: str) -> None:
    small_hub.ship(1, 1)
    with small_hub.database.read() as connection:
        (known,) = stations.every(connection)
    fleet = Fleet(small_hub.database, HubTable())
    now_ns = BEGIN_NS + MINUTE_NS + int(age_s * 1e9)
    found, late_s = fleet.state(replace(known, interval_s=interval_s), now_ns)
    assert found == state and (late_s > 0) == (state != "ok")


def test_a_clock_in_the_future_hides_no_silence(hub: RunningHub) -> None:
    far_ns = BEGIN_NS + 10 * 365 * 24 * 60 * MINUTE_NS
    hub.put([reading(1), reading(2, time_ns=far_ns)], 1, 2)
    station = hub.depot.fleet.one("roof")
    assert station["last_reading"]["time_ns"] == BEGIN_NS + MINUTE_NS
    assert station["last_reading"]["payload"] == reading(1)["payload"]
    assert station["state"] == "silent"
    assert hub.readings.latest().time_ns == BEGIN_NS + MINUTE_NS


def test_who_was_never_heard(small_hub: RunningHub) -> None:
    small_hub.depot.keys.make("attic")
    assert small_hub.depot.fleet.one("attic")["state"] == "never"
    with pytest.raises(NotFound):
        small_hub.depot.fleet.one("roof")


def test_what_people_say_of_a_station_outlives_what_it_says(small_hub: RunningHub) -> None:
    small_hub.hello(next=1, name="pi-7", version="1.0", interval_s=30, place="north")
    assert small_hub.depot.fleet.one("roof") | {"title": "pi-7", "place": "north", "interval_s": 30.0} == (
        small_hub.depot.fleet.one("roof")
    )
    changed = small_hub.depot.fleet.change("roof", {"title": "The roof", "latitude": 47.5})
    assert (changed["title"], changed["latitude"]) == ("The roof", 47.5)
    small_hub.hello(next=1, name="pi-7", version="1.1", interval_s=60)
    told = small_hub.depot.fleet.one("roof")
    assert (told["title"], told["version"], told["interval_s"], told["place"]) == (
        "The roof",
        "1.1",
        60.0,
        "north",
    )
    with pytest.raises(NotFound):
        small_hub.depot.fleet.change("cellar", {"title": "x"})


def test_keys_of_stations(hub: RunningHub) -> None:
    keys = hub.depot.keys
    key, token = keys.make("roof", "the Pi")
    assert token.startswith("kym_ship_") and keys.station_of(token) == "roof"
    assert token not in repr(keys.list()) and keys.list("roof")[0].used_ns is not None
    assert keys.station_of(token + "x") is None and keys.station_of("kym_" + "a" * 43) is None
    with pytest.raises(NotFound):
        keys.revoke(key.id, "cellar")
    keys.revoke(key.id, "roof")
    assert keys.station_of(token) is None
    with pytest.raises(NotFound):
        keys.revoke(key.id)
    for _ in range(STATION_KEYS_MAX):
        keys.make("roof")
    with pytest.raises(Conflict):
        keys.make("roof")
    refused: list[Callable[[], Any]] = [lambda: keys.make("../x"), lambda: keys.make("roof", "a\nb")]
    for one in refused:
        with pytest.raises(InvalidInput):
            one()
