"""What retention deletes of readings, and what it never does."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from kymograph.config import parse
from kymograph.model.ranges import Ranges
from kymograph.model.strata import HOUR_NS, LADDER, surplus
from kymograph.service.retention.disk import DiskUse
from kymograph.service.retention.readings import Wish, thin_readings
from kymograph.service.retention.retention import Pass, Retention
from kymograph.service.retention.series import series
from kymograph.store.sql import rollups, schema, tables, thinning
from kymograph.store.sql.database import Database
from kymograph.store.sql.readings import Reading, insert_readings
from kymograph.store.sql.thinning import Terms

START = 1_790_000_000 * 1_000_000_000 // HOUR_NS * HOUR_NS
SECOND_NS = 1_000_000_000
NEVER = threading.Event()


@pytest.fixture
def database(database_url: str) -> Iterable[Database]:
    made = Database(database_url)
    schema.upgrade(made)
    yield made
    made.close()


def fill(database: Database, count: int, step_s: float = 60, start_ns: int = START, size: int = 0) -> None:
    payload = {"a": {"c": 0.0}, "pad": "x" * size}
    rows = [
        Reading(
            "roof",
            start_ns + int(i * step_s * SECOND_NS),
            0,
            msgspec.Raw(msgspec.json.encode({**payload, "a": {"c": float(i)}})),
        )
        for i in range(count)
    ]
    for first in range(0, count, 5000):
        with database.begin() as connection:
            insert_readings(connection, rows[first : first + 5000])


def kept(database: Database) -> list[tuple[int, int]]:
    t = tables.readings.c
    with database.read() as connection:
        rows = connection.execute(select(t.id, t.time_ns).order_by(t.time_ns)).all()
    return [(row[0], row[1]) for row in rows]


def tombs(database: Database) -> list[dict[str, Any]]:
    with database.read() as connection:
        return thinning.last_tombstones(connection, 1000)


def free(newest_id: int = 1 << 60, shipped: Ranges | None = None, **more: Any) -> Terms:
    return Terms(newest_id, shipped, **more)


# -- strata ------------------------------------------------------------------------------------------------
moments = st.lists(st.integers(-2 * HOUR_NS, 5 * HOUR_NS), unique=True, max_size=60)


@given(moments, st.sets(st.integers(0, 59)), st.lists(st.sampled_from(LADDER), min_size=1, max_size=4))
def test_each_stretch_keeps_one_however_often_it_is_thinned(
    times: list[int], fixed: set[int], widths: list[int]
) -> None:
    at = np.array(sorted(times), np.int64)
    held = np.array([i in fixed for i in range(len(at))], np.bool_)
    here = np.ones(len(at), np.bool_)
    for width_ns in sorted(widths):
        here[np.flatnonzero(here)[surplus(at[here], ~held[here], width_ns)]] = False
    width_ns = max(widths)
    assert here[held].all()
    before, after = at // width_ns, (at // width_ns)[here]
    assert set(before.tolist()) == set(after.tolist())
    for stretch in set(after.tolist()):
        fixed_here = int(held[before == stretch].sum())
        assert int((after == stretch).sum()) == max(fixed_here, 1)


# -- passes ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_readings(database: Database, count: int) -> None:
    fill(database, count)
    for wish in (Wish("test"), Wish("test", rows=1, coarsest_ns=HOUR_NS)):
        gone = thin_readings(database, wish, free(), 5, NEVER)
        assert gone.rows == (1 if wish.rows and count == 2 else 0)
    assert len(kept(database)) == min(count, 1) and len(tombs(database)) == (count == 2)


def test_passes_leave_readings_evenly_spread(database: Database) -> None:
    fill(database, 24 * 60)
    for turn in range(1, 9):
        before = len(kept(database))
        gone = thin_readings(database, Wish("test", rows=before // 5), free(), turn, NEVER)
        assert before // 5 <= gone.rows <= before // 5 + 1440
        rows = kept(database)
        assert len(rows) == before - gone.rows
        per_hour = np.bincount([(t - START) // HOUR_NS for _, t in rows], minlength=24)
        assert per_hour.min() >= 1 and per_hour.max() <= 2 * per_hour.min()
        gaps = np.diff([t for _, t in rows])
        if per_hour.max() == per_hour.min():
            assert gaps.max() <= 2 * HOUR_NS / per_hour.max()
    told = tombs(database)
    assert sum(one["rows"] for one in told) == 1440 - len(kept(database))
    assert all(len(one["sha256"]) == 64 and "stays" in one["reason"] for one in told)
    said = series(database, "roof", "a.c", START, START + 24 * HOUR_NS, 2000)
    assert sum(said.n) == 1440 and (min(said.minimum), max(said.maximum)) == (0.0, 1439.0)


def test_what_is_crowded_goes_first(database: Database) -> None:
    fill(database, 60)
    fill(database, 3600, 1, START + HOUR_NS)
    thin_readings(database, Wish("test", rows=1000), free(), 1, NEVER)
    hours = [(t - START) // HOUR_NS for _, t in kept(database)]
    assert hours.count(0) == 60 and hours.count(1) < 2700


def test_what_is_owed_young_or_pinned_stays(database: Database) -> None:
    fill(database, 300)
    ids = dict((t, i) for i, t in kept(database))
    times = sorted(ids)
    shipped = Ranges([(1, 99), (120, 160), (200, 400)])
    pinned = ((times[210], times[220]),)
    terms = free(250, shipped, pinned=pinned)
    for _ in range(3):
        thin_readings(database, Wish("test", everything=True), terms, 1, NEVER)
    stay = {i for i, _ in kept(database)}
    assert stay == {i for t, i in ids.items() if i > 250 or i not in shipped or times[210] <= t < times[220]}


def test_an_age_takes_whole_stretches_of_time(database: Database) -> None:
    fill(database, 300)
    terms = free(before_ns=START + 100 * 60 * SECOND_NS)
    thin_readings(database, Wish("older", everything=True), terms, 1, NEVER)
    assert [t for _, t in kept(database)] == [START + i * 60 * SECOND_NS for i in range(100, 300)]
    assert sum(series(database, "roof", "a.c", START, START + 6 * HOUR_NS, 1000).n) == 300


def test_never_what_may_not(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'k.db'}")
    schema.upgrade(database)

    @settings(max_examples=30)
    @given(st.randoms(use_true_random=False))
    def check(rng: random.Random) -> None:
        with database.begin() as connection:
            for table in (tables.readings, tables.thinned, tables.minutes, tables.tombstones):
                connection.execute(delete(table))
        fill(database, 200, rng.choice([1, 30, 90]))
        ids = [i for i, _ in kept(database)]
        shipped = Ranges((a, a + rng.randrange(40)) for a in rng.sample(range(200), 4))
        newest = rng.randrange(200)
        for _ in range(rng.randrange(1, 4)):
            wish = Wish("test", rows=rng.randrange(200), everything=rng.random() < 0.2)
            thin_readings(database, wish, free(newest, shipped), 1, NEVER)
        stay = {i for i, _ in kept(database)}
        assert stay >= {i for i in ids if i > newest or i not in shipped}

    check()
    database.close()


# -- whole passes ------------------------------------------------------------------------------------------
class Engine:
    """The engine's end: no recordings here, only what it is told."""

    def __init__(self) -> None:
        self.told: list[Mapping[str, Any]] = []

    def thin(self, recording_id: str, filenames: Sequence[str], reason: str) -> dict[str, Any]:
        raise AssertionError

    def pin(self, recording_id: str, pinned: bool, by: str = "") -> dict[str, Any]:
        raise AssertionError

    def lost(self, body: Mapping[str, Any]) -> None:
        self.told.append(body)


class World:
    """A station's retention with clocks that are set, and a disk that is as full as its database is large."""

    def __init__(self, path: Path, url: str, **retention: Any) -> None:
        self.path, self.url = path, url
        hub = {"url": "http://127.0.0.1:9"}
        data = {"data": str(path)}
        shipping = {} if retention.pop("alone", False) else {"destinations": {"hub": hub}}
        self.config = parse(
            {"station": data, "database": {"url": url}, "retention": retention, "readings": {}, **shipping}
        )
        self.database = Database(url)
        schema.upgrade(self.database)
        self.engine = Engine()
        self.monotonic_ns, self.wall_ns = 5, START
        self.disk_bytes = 1 << 40
        self.retention = self.made()

    def made(self) -> Retention:
        return Retention(
            self.config,
            self.database,
            self.engine,
            lambda: self.monotonic_ns,
            lambda: self.wall_ns,
            self.disk,
        )

    def disk(self, path: Path) -> DiskUse:
        used = sum(file.stat().st_size for file in path.glob("kymograph.db*"))
        return DiskUse(used, self.disk_bytes - used)

    def later(self, hours: int, stepped_s: float = 0, turns: int = 4) -> Pass:
        """Let time pass in some turns; the wall clock may be set in the first."""
        done = self.retention.run_once(NEVER)
        for _ in range(min(turns, hours)):
            passed_ns = hours * HOUR_NS // min(turns, hours)
            self.monotonic_ns += passed_ns
            self.wall_ns += passed_ns + int(stepped_s * SECOND_NS)
            stepped_s = 0
            done = self.retention.run_once(NEVER)
        return done

    def ship(self, first: int, last: int) -> None:
        with self.database.begin() as connection:
            facts = tables.facts.c
            epoch = int(connection.scalar(select(facts.value).where(facts.name == "epoch")) or 0)
            row = {"destination": "hub", "stream": "readings", "epoch": epoch, "first": first, "last": last}
            connection.execute(insert(tables.shipped), [row])


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'kymograph.db'}"


def test_a_full_disk_is_thinned_and_room_comes_back(tmp_path: Path, url: str) -> None:
    world = World(tmp_path, url)
    fill(world.database, 1500, size=2000)
    world.later(25)
    size = world.disk(tmp_path).used_bytes
    world.disk_bytes = int(size * 1.8)
    assert not world.later(2).done  # nothing of it has arrived
    world.ship(1, 1000)
    done = world.later(0)
    assert done.done and done.used_percent_after <= 50 < done.used_percent and done.freed_bytes > size / 20
    stay = [i for i, _ in kept(world.database)]
    assert set(range(1001, 1501)) <= set(stay) and len(stay) < 1500
    assert not world.later(3).done  # and it is enough
    assert len(kept(world.database)) == len(stay)


def test_nothing_of_the_last_day_goes_whatever_the_clock_says(tmp_path: Path, url: str) -> None:
    for name, step_s in (("back", -3600.0), ("ten years", 3.15e8), ("1970", -1.79e9)):
        path = tmp_path / name
        path.mkdir()
        world = World(path, f"sqlite:///{path / 'kymograph.db'}", readings_age_s=3600, used_percent_max=1)
        world.disk_bytes = 1000
        world.ship(1, 10_000)
        world.later(1)
        fill(world.database, 100)
        world.later(2)
        for later in (2, 20):
            world.later(later, step_s if later == 2 else 0)
            assert len(kept(world.database)) == 100, name
        world = _again(world)
        world.later(4)
        stay = len(kept(world.database))
        assert stay < 100, name  # by pressure; what an age takes waits for a steady clock
        world.later(30)
        # The last one keeps its number. And to a clock that stays in 1970 nothing is old.
        assert len(kept(world.database)) == (1 if step_s > -1e9 else stay), name


def _again(world: World) -> World:
    """Start the program again: time in which it did not run does not count."""
    world.retention = world.made()
    return world


def test_without_destinations_only_what_was_asked_for_goes(tmp_path: Path, url: str) -> None:
    world = World(tmp_path, url, alone=True, used_percent_max=1, keep_last_s=0)
    world.disk_bytes = 1000
    fill(world.database, 500)
    assert not world.later(2).done and len(kept(world.database)) == 500
    world = World(tmp_path, url, alone=True, used_percent_max=1, keep_last_s=0, readings_rows_max=100)
    done = world.later(0)
    assert [one.why for one in done.done] == ["more than 100 readings"] and len(kept(world.database)) <= 100


def test_what_no_hub_has_goes_only_if_allowed_and_that_is_told(tmp_path: Path, url: str) -> None:
    world = World(tmp_path, url, allow_unsynced_loss=True, used_percent_max=1)
    fill(world.database, 2000, size=500)
    world.later(23)
    world.disk_bytes = 1000
    assert not world.later(0).done and not world.engine.told
    world.later(2)
    assert [one["unsynced"] for one in world.engine.told] == [True]
    stay = {i for i, _ in kept(world.database)}
    assert len(stay) < 2000
    with world.database.read() as connection:  # and every hub will be told exactly what it never gets
        bodies = list(connection.scalars(select(tables.events.c.body).order_by(tables.events.c.seq)))
    gone = Ranges(tuple(pair) for body in bodies for pair in body["ranges"])
    assert gone == Ranges((i, i) for i in range(1, 2001) if i not in stay)
    assert all(body["stream"] == "readings" and "nothing else is left" in body["reason"] for body in bodies)


def test_months_without_readings_are_dropped(postgres_url: str, tmp_path: Path) -> None:
    world = World(tmp_path, postgres_url, readings_age_s=86_400 * 40, keep_last_s=0)
    for month in (3, 2, 1, 0):
        fill(world.database, 200, 60, START - month * 31 * 24 * HOUR_NS, size=1000)
    world.ship(1, 10_000)
    before = parts(world.database)
    done = world.later(0)
    assert done.done[0].rows == 400 and len(kept(world.database)) == 400 and done.freed_bytes > 0
    assert len(parts(world.database)) == len(before) - 2
    fill(world.database, 10, 60, START - 93 * 24 * HOUR_NS)  # what comes late has its month again
    assert len(kept(world.database)) == 410
    said = series(world.database, "roof", "a.c", START - 100 * 24 * HOUR_NS, START + HOUR_NS * 24, 2000)
    assert sum(said.n) == 800


def parts(database: Database) -> list[str]:
    listed = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'readings'::regclass"
    with database.read() as connection:
        return [name for (name,) in connection.exec_driver_sql(listed)]


KILLED = """
import sys, threading
from kymograph.service.retention.readings import Wish, thin_readings
from kymograph.store.sql import space
from kymograph.store.sql.database import Database
from kymograph.store.sql.thinning import Terms
database = Database(sys.argv[1])
print("begun", flush=True)
for turn in range(100):
    gone = thin_readings(database, Wish("test", rows=300), Terms(100_000, None), turn, threading.Event())
    space.give_back(database, gone.first, gone.last)
"""


def test_killed_anywhere_nothing_is_counted_twice_or_lost(tmp_path: Path, url: str) -> None:
    database = Database(url)
    schema.upgrade(database)
    fill(database, 24 * 60, size=500)
    for wait_s in (0.02, 0.06, 0.15, 0.4):
        command = [sys.executable, "-c", KILLED, url]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None and process.stdout.readline() == "begun\n"
        time.sleep(wait_s)
        process.kill()
        process.wait()
        with database.read() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        assert len(kept(database)) + sum(one["rows"] for one in tombs(database)) == 24 * 60
        rollups.settle(database)
        said = series(database, "roof", "a.c", START, START + 24 * HOUR_NS, 3000)
        assert sum(said.n) == 24 * 60 and max(said.maximum) == 24 * 60 - 1
    database.close()


def test_a_limit_of_rows_on_either_database(database: Database, tmp_path: Path) -> None:
    url = database.engine.url.render_as_string(hide_password=False)
    world = World(tmp_path, url, readings_rows_max=200, keep_last_s=0)
    fill(database, 1000)
    world.ship(1, 10_000)
    done = world.later(0)
    assert done.done[0].rows >= 800 and 30 <= len(kept(database)) <= 200
    assert not world.later(2).done
