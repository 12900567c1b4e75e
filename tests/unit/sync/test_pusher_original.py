"""A pusher and an original hub: each reading once, and none that holds up the others."""

import contextlib
import json
from datetime import UTC

import pytest

from kymograph.sync.pusher.original_rows import bad_rows, spelled
from kymograph.sync.pusher.wire import Away
from tests.original_hub import OriginalHub
from tests.shipping import MINUTE_NS, START_NS, MemoryOutbox, MemoryShelf, drain, pusher


@pytest.fixture
def hub():
    with OriginalHub() as hub:
        yield hub


@pytest.fixture
def outbox():
    return MemoryOutbox()


def time_of(seq):
    return spelled(START_NS + seq * MINUTE_NS, UTC)


def patiently(one, outbox, failures=40):
    """Go on over failures, as the loop does, without its waits."""
    for _ in range(failures):
        try:
            drain(one)
        except Away as error:
            one.failed(error)
        if not outbox.owed("hub", "readings"):
            return
    raise AssertionError("it never came to an end")


def test_all_readings_arrive_once_and_nothing_else_is_tried(hub, outbox):
    outbox.read(1000)
    outbox.happen(5)
    drain(pusher(hub.url, outbox, kind="original"))
    assert sorted(hub.times()) == [time_of(seq) for seq in range(1, 1001)]
    assert hub.asked.count("POST /readings/bulk") == 4
    assert all(way == "POST /readings/bulk" or way.startswith("GET /readings?") for way in hub.asked)


def test_a_reading_as_the_older_system_writes_it(hub, outbox):
    outbox.read()
    drain(pusher(hub.url, outbox, kind="original"))
    [reading] = hub.readings
    assert reading["device_id"] == "pi-7" and set(reading) == {"device_id", "ts_utc", "ts_local", "payload"}
    assert reading["ts_utc"] == "2026-03-01T10:01:00.000000+00:00"
    assert reading["ts_local"] == "2026-03-01T11:01:00.000000"
    assert reading["payload"]["bme280"]["pressure"] == {"hpa": 1006.53}


def test_a_key_is_shown_in_both_ways(hub, outbox):
    outbox.read()
    hub.key = "secret"
    drain(pusher(hub.url, outbox, kind="original", key="secret"))
    assert len(hub.readings) == 1


def test_where_an_answer_was_lost_the_hub_is_asked_what_it_has(hub, outbox):
    outbox.read(1000)
    one = pusher(hub.url, outbox, kind="original")
    hub.faults += ["", "lost", "", "", "lost", "cut"]
    patiently(one, outbox)
    assert sorted(hub.times()) == [time_of(seq) for seq in range(1, 1001)]


def test_what_an_earlier_run_may_have_sent_is_asked_for_first(hub, outbox):
    outbox.read(500)
    hub.faults += ["", "", "", "lost"]
    with pytest.raises(Away):
        drain(pusher(hub.url, outbox, kind="original"))
    drain(pusher(hub.url, outbox, kind="original"))
    assert sorted(hub.times()) == [time_of(seq) for seq in range(1, 501)]


def test_readings_made_while_the_clock_was_wrong_are_asked_for_too(hub, outbox):
    outbox.read(100)
    for seq, row in outbox.rows["readings"].items():
        if 20 <= seq < 40:
            row["time_ns"] = row["local_ns"] = seq * MINUTE_NS
    one = pusher(hub.url, outbox, kind="original")
    hub.faults += ["", "lost", "", "", "", "lost", "", "", "", "", "", "lost"]
    patiently(one, outbox)
    assert len(hub.times()) == 100 == len(set(hub.times()))


def test_a_hub_that_cannot_say_has_one_batch_twice_and_nothing_else(hub, outbox):
    hub.queries = False
    outbox.read(1000)
    one = pusher(hub.url, outbox, kind="original")
    hub.faults += ["", "", "", "lost"]
    patiently(one, outbox)
    twice = {at for at in hub.times() if hub.times().count(at) > 1}
    assert len(set(hub.times())) == 1000 and len(hub.times()) - 1000 == len(twice) <= 360


def test_what_was_never_sent_is_not_doubled(hub, outbox):
    outbox.read(100)
    one = pusher(hub.url, outbox, kind="original")
    hub.leave()
    for _ in range(3):
        with pytest.raises(Away):
            drain(one)
    hub.listen()
    drain(one)
    assert len(hub.times()) == 100


@pytest.mark.parametrize("names_bad", [True, False])
def test_readings_that_are_refused_are_put_aside_and_the_rest_is_taken(outbox, names_bad):
    outbox.read(500)
    shelf = MemoryShelf()
    with OriginalHub(names_bad=names_bad) as hub:
        hub.bad = {time_of(3), time_of(77), time_of(500)}
        drain(pusher(hub.url, outbox, shelf, kind="original"))
        assert sorted(hub.times()) == [time_of(seq) for seq in range(1, 501) if seq not in (3, 77, 500)]
    assert sorted(first for _, first, _, _, _ in shelf.kept) == [3, 77, 500]
    assert all(
        reason.startswith("422") and json.loads(body)["readings"] for _, _, _, reason, body in shelf.kept
    )
    assert outbox.owed("hub", "readings") == 0


@pytest.mark.parametrize("bad", [{3, 77}, {500}, {*range(1, 11)}, {*range(100, 130)}], ids=len)
def test_readings_over_which_the_hub_breaks_hold_up_nothing_for_ever(hub, outbox, bad):
    outbox.read(500)
    hub.breaks = {time_of(seq) for seq in bad}
    shelf = MemoryShelf()
    patiently(pusher(hub.url, outbox, shelf, kind="original"), outbox)
    assert sorted(hub.times()) == [time_of(seq) for seq in range(1, 501) if seq not in bad]
    assert {first for _, first, _, _, _ in shelf.kept} == bad


def test_a_hub_that_is_broken_itself_loses_nothing(hub, outbox):
    outbox.read(30)
    shelf = MemoryShelf()
    one = pusher(hub.url, outbox, shelf, kind="original")
    everything = {time_of(seq) for seq in range(1, 100)}
    hub.breaks = everything
    for _ in range(20):
        with pytest.raises(Away):
            drain(one)
        outbox.read()
    assert not shelf.kept
    hub.breaks = set()
    patiently(one, outbox)
    assert not shelf.kept and sorted(hub.times()) == [time_of(seq) for seq in range(1, 51)]


def test_a_hub_that_refuses_everything_has_nothing_put_aside(hub, outbox):
    outbox.read(30)
    hub.bad = {time_of(seq) for seq in range(100)}
    shelf = MemoryShelf()
    one = pusher(hub.url, outbox, shelf, kind="original")
    for _ in range(10):
        with pytest.raises(Away, match="every reading"):
            drain(one)
        outbox.read()
    assert not shelf.kept and outbox.owed("hub", "readings") == 40
    hub.bad = {time_of(40)}
    patiently(one, outbox)
    assert sorted(hub.times()) == [time_of(seq) for seq in range(1, 40)]
    assert [first for _, first, _, _, _ in shelf.kept] == [40]


def test_a_single_reading_that_is_refused_waits_for_another_that_is_taken(hub, outbox):
    outbox.read()
    hub.bad = {time_of(1)}
    shelf = MemoryShelf()
    one = pusher(hub.url, outbox, shelf, kind="original")
    for _ in range(4):
        with contextlib.suppress(Away):
            drain(one)
    assert not shelf.kept
    outbox.read()
    patiently(one, outbox)
    assert hub.times() == [time_of(2)] and shelf.kept[0][1] == 1


def test_a_batch_that_is_too_large_is_sent_in_parts(hub, outbox):
    outbox.read(1000)
    hub.rows_max = 50
    drain(pusher(hub.url, outbox, kind="original"))
    assert sorted(hub.times()) == [time_of(seq) for seq in range(1, 1001)]


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ({"detail": [{"loc": ["body", "readings", 4, "ts_utc"], "msg": "no date"}]}, {4: "no date"}),
        ({"detail": [{"loc": ["body", 0], "msg": "no object"}]}, {0: "no object"}),
        ({"facts": {"bad": [{"index": 2, "reason": "no payload"}]}, "detail": "two"}, {2: "no payload"}),
        ({"detail": [{"loc": ["body"], "msg": "no list"}, {"loc": ["body", 99], "msg": "beyond"}]}, {}),
        ({"detail": "no"}, {}),
        ([1, 2], {}),
        (None, {}),
    ],
)  # fmt: skip
def test_which_rows_are_bad(told, found):
    assert bad_rows(told, 10) == found
