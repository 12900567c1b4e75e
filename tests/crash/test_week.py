"""A week of 20 weather stations, and everything that goes wrong in one: each reading is at the hub once.

Of the 20, three are real ones: engine, front and keeper each, with a simulated BME280 and a reading every
0.1 s, one of them with a PostgreSQL, one that thins all the time. Twenty of these are sixty processes, too
many for the two cores on which this runs. So seventeen are threads of this one, made of the real parts
(composer, spool, gatherer, SQLite, outbox, pusher, retention) on clocks of their own, which can be set: a
week is 252 readings, one in 40 minutes. All ship by cables that are cut for days, slow, and lose answers, to
two hubs on one PostgreSQL.

What happens comes from a fixed seed, which is said if the test fails: SIGKILL of engines, fronts and keepers,
of stations and of hubs, and of PostgreSQL; its restarts; stations that are led to the other hub; a card that
is full for more than a day (a file system of its own if this runs as root; else a card on which retention is
told that there is no room); clocks that are an hour back, ten years ahead, or begin in 1970. Clocks of real
processes are the computer's: they are not set here.
"""

import contextlib
import os
import random
import subprocess
import sys

import pytest

from kymograph.store.sql import rollups
from kymograph.store.sql.database import Database
from tests.week.edge import NUMBER
from tests.week.judge import Taken, books, held_of, rolled_up, weigh
from tests.week.weather import Fleet

SEED = 20
WEEK_S = 20.0
BME280 = ("bme280", "temperature", "c")


@pytest.mark.timeout(400)
def test_a_week(tmp_path, postgres):
    weather(tmp_path, postgres, SEED, weeks=1, seconds=WEEK_S)


def weather(folder, postgres, seed, weeks, seconds):
    """Let a fleet live for some weeks, and hold the hub against what its stations took."""
    with Fleet(folder, postgres, random.Random(seed), weeks, can_mount(folder)) as fleet:
        try:
            fleet.live(seconds)
            fleet.end()
            complaints = judged(fleet)
            felt = fleet.bites()
            assert not complaints, "\n".join(complaints)
            expected = {"owed after days offline", "thinned", "restarts", "Away"}
            assert all(felt[name] > 0 for name in expected), felt
            assert not fleet.on_card or felt["waited in memory"] > 5, felt
        except BaseException:
            tell(fleet, seed)
            raise


def can_mount(folder):
    """Whether a small file system can be made here."""
    if os.geteuid() != 0:
        return False
    place = folder / "card"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True).returncode:
        return False
    return subprocess.run(["umount", str(place)], capture_output=True).returncode == 0


def judged(fleet):
    """Return what is wrong, with each station."""
    told = []
    hub = Database(fleet.url)
    with contextlib.closing(hub):
        rollups.settle(hub)
        for edge in fleet.edges:
            there = held_of(hub, edge.name, lambda _, payload: payload["counter"]["number"]["value"])
            found = [*edge.check(), *at_hub(fleet, hub, edge.name, (edge.taken, there), NUMBER)]
            told += [f"{edge.name}: {one}" for one in found]
        for station in fleet.stations:
            taken = station.taken()
            numbers = {one.time_ns: one.number for one in taken}
            there = held_of(hub, station.name, lambda time_ns, _, numbers=numbers: numbers.get(time_ns, -1))
            found = at_hub(fleet, hub, station.name, (taken, there), BME280)
            if len(taken) < max(station.composed, 50):
                found.append(f"{station.composed} were composed, {len(taken)} are written down")
            told += [f"{station.name}: {one}" for one in found]
    return told


def at_hub(fleet, hub, name, readings, path):
    """Return what is wrong with a station's readings, ledger and roll-ups at the hub."""
    taken, there = readings
    ledger = fleet.hubs[0].call("GET", f"/v1/fleet/{name}/ledger")["items"]
    told = weigh(taken, there) + books(ledger, {"readings": len(taken)})
    with hub.read() as connection:
        return told + rolled_up(connection, name, path, there)


def tell(fleet, seed):
    """Say what happened."""
    lines = [f"seed {seed}; killed, cut and so on: {', '.join(fleet.done)}"]
    lines += [f"{edge.name}: {dict(sorted(edge.plan.items()))} {dict(edge.bites)}" for edge in fleet.edges]
    sys.stderr.write("\n".join(lines) + "\n")


# -- the judge ---------------------------------------------------------------------------------------------
def some(count):
    return [Taken(n, n * 1_000_000_000, {"counter": {"number": {"value": n}}}) for n in range(1, count + 1)]


def test_the_judge_sees_what_is_lost_doubled_made_up_and_changed():
    taken = some(9)
    assert weigh(taken, taken) == []
    assert weigh(taken, taken[:4] + taken[5:]) == ["1 lost: [5]"]
    assert weigh(taken, [*taken, taken[4]]) == ["1 there more than once: [5]"]
    assert weigh(taken[:8], taken) == ["1 never taken: [9]"]
    assert weigh(taken, [*taken[:8], taken[8]._replace(payload={})]) == ["1 with another payload: [9]"]
    assert weigh(taken, [*taken[:8], taken[8]._replace(time_ns=1)]) == ["1 at another time: [9]"]
    assert weigh(taken, [taken[1], taken[0], *taken[2:]]) == ["2 out of order: [2, 1]"]


def test_the_judge_knows_clocks_that_were_set_back():
    first, second = some(2)
    twice = second._replace(number=3)
    assert weigh([first, second, twice], [first, second, twice._replace(time_ns=twice.time_ns + 1000)]) == []
    back = second._replace(number=3, time_ns=0)
    assert weigh([first, second, back], [back, first, second]) == []


def test_the_judge_reads_the_books():
    fine = {
        "stream": "readings",
        "expected": 9,
        "held": 9,
        "missing": 0,
        "owed": 0,
        "rejects": 0,
        "ranges": [],
    }
    assert books([fine], {"readings": 9}) == []
    assert books([fine], {"readings": 10}) == ["the ledger expects 9 readings, 10 were taken"]
    assert books([], {"readings": 1}) == ["the ledger expects 0 readings, 1 were taken"]
    for wrong in ({"held": 8}, {"missing": 1}, {"owed": 1}, {"rejects": 1}):
        assert books([fine | wrong], {"readings": 9})


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("seed", [1, 2])
def test_six_weeks(tmp_path, postgres, seed):
    weather(tmp_path, postgres, seed, weeks=6, seconds=180)
