"""Roll-ups say what the readings say, whatever came when, and whatever was deleted since."""

from __future__ import annotations

import math
import random
import statistics
import threading
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select

from kymograph.service.retention.series import Series, fields, series
from kymograph.store.sql import buckets, rolled, rollups, schema, tables
from kymograph.store.sql.buckets import DAY_NS, HOUR_NS, MINUTE_NS
from kymograph.store.sql.database import Database
from kymograph.store.sql.leaves import columns, numbers
from kymograph.store.sql.readings import Reading, insert_readings

START = 1_790_000_000 * 1_000_000_000 // DAY_NS * DAY_NS
FOREVER = (-(2**62), 2**62)


@pytest.fixture
def database(database_url: str) -> Iterable[Database]:
    made = Database(database_url)
    schema.upgrade(made)
    yield made
    made.close()


def reading(time_ns: int, value: float, device: str = "roof") -> Reading:
    payload = msgspec.Raw(msgspec.json.encode({"a": {"c": value}, "text": "x"}))
    return Reading(device, time_ns, time_ns, payload)


def add(database: Database, rows: list[Reading]) -> None:
    with database.begin() as connection:
        insert_readings(connection, rows)


def all_of(database: Database, width_s: int, device: str = "roof") -> list[tuple[Any, ...]]:
    with database.read() as connection:
        found = rolled.of_width(connection, device, "a.c", width_s, FOREVER)
    names = ("start_ns", "n", "minimum", "mean", "maximum", "std")
    return list(zip(*(getattr(found, name).tolist() for name in names), strict=True))


def expected(values: dict[int, float], width_s: int) -> list[tuple[Any, ...]]:
    width_ns = width_s * 1_000_000_000
    groups: dict[int, list[float]] = defaultdict(list)
    for time_ns, value in sorted(values.items()):
        groups[time_ns // width_ns * width_ns].append(value)
    return [
        (start, len(v), min(v), statistics.fmean(v), max(v), statistics.stdev(v) if len(v) > 1 else 0.0)
        for start, v in groups.items()
    ]


def same(found: list[tuple[Any, ...]], wanted: list[tuple[Any, ...]]) -> None:
    assert [one[:2] for one in found] == [one[:2] for one in wanted]
    for one, two in zip(found, wanted, strict=True):
        assert one[2:] == pytest.approx(two[2:], rel=1e-9, abs=1e-9)


def check(database: Database, values: dict[int, float]) -> None:
    for width_s in (60, 3600, 86_400):
        same(all_of(database, width_s), expected(values, width_s))


def delete_some(database: Database, hour_ns: int, keep_every: int) -> None:
    """Delete as retention does: the hour is sealed, and only what is in its roll-ups goes."""
    with database.begin() as connection:
        known = rollups.seal(connection, "roof", hour_ns)
        gone = [int(t) for i, t in enumerate(known) if i % keep_every]
        connection.execute(delete(tables.readings).where(tables.readings.c.time_ns.in_(gone)))


def test_minutes_hours_and_days_say_what_the_readings_say(database: Database) -> None:
    random.seed(1)
    values = {START + random.randrange(3 * DAY_NS): random.gauss(1e6, 1) for _ in range(3000)}
    rows = [reading(*item) for item in values.items()]
    add(database, rows[:2000])
    rollups.settle(database)
    add(database, rows[1500:])
    rollups.settle(database)
    check(database, values)
    with database.read() as connection:
        assert not connection.execute(select(tables.dirty)).all()
    assert fields(database, "roof") == ["a.c"]


def test_what_comes_late_into_a_thinned_hour_is_added_once(database: Database) -> None:
    values = {START + i * 1_000_000_000 * 20: float(i % 7) for i in range(500)}
    rows = [reading(*item) for item in values.items()]
    add(database, rows[::2])
    delete_some(database, START, 5)
    delete_some(database, START, 3)
    rollups.settle(database)
    check(database, dict(list(values.items())[::2]))
    for again in (rows, rows[:50], rows):  # some of them for the second time, some deleted since
        add(database, again)
        rollups.settle(database)
        check(database, values)


def test_fields_are_known_before_anything_is_rolled_up(database: Database) -> None:
    add(database, [reading(START, 1.0)])
    assert fields(database, "roof") == ["a.c"] and fields(database, "cellar") == []


def test_a_field_that_is_gone_is_forgotten(database: Database) -> None:
    add(database, [reading(START, 1.0)])
    rollups.settle(database)
    with database.begin() as connection:
        connection.execute(delete(tables.readings))
        rollups.mark_dirty(connection, "roof", [START])
    rollups.settle(database)
    assert all_of(database, 60) == all_of(database, 3600) == []


def test_times_of_broken_clocks_have_their_place(database: Database) -> None:
    values = {-5: 1.0, 0: 2.0, 59 * 1_000_000_000: 3.0, 4_102_444_800_000_000_000: 4.0}
    add(database, [reading(*item) for item in values.items()])
    rollups.settle(database)
    check(database, values)


def test_two_that_settle_and_one_that_adds_lose_nothing(database: Database) -> None:
    values = {START + i * 7 * 1_000_000_000: float(i) for i in range(1500)}
    rows = [reading(*item) for item in values.items()]
    added = threading.Event()

    def keep_settling() -> None:
        other = Database(database.engine.url.render_as_string(hide_password=False))
        while not added.is_set():
            rollups.settle(other)
        other.close()

    threads = [threading.Thread(target=keep_settling) for _ in range(2)]
    for thread in threads:
        thread.start()
    for first in range(0, len(rows), 20):
        add(database, rows[first : first + 20])
        if first == 500:
            delete_some(database, START, 2)
    added.set()
    for thread in threads:
        thread.join(60)
    rollups.settle(database)
    check(database, values)


# -- series ------------------------------------------------------------------------------------------------
def asked(database: Database, points: int, start: int = START, stop: int = START + 30 * DAY_NS) -> Series:
    return series(database, "roof", "a.c", start, stop, points)


def test_few_readings_are_given_as_they_are(database: Database) -> None:
    add(database, [reading(START + i, float(i)) for i in range(10)])
    said = asked(database, 10)
    assert (said.mode, said.time_ns, said.mean) == ("raw", [START + i for i in range(10)], list(range(10)))
    assert asked(database, 9).mode == "rolled"


def test_many_are_reduced_and_every_peak_is_kept(database: Database) -> None:
    values = {START + i * 10_000_000_000: math.sin(i) for i in range(10_000)}
    values[START + 55_550_000_000_000] = 99.0
    add(database, [reading(*item) for item in values.items()])
    for settled in (False, True):
        if settled:
            rollups.settle(database)
        for points in (3, 50, 2000):
            said = asked(database, points)
            assert said.mode == "rolled" and points / 3 <= len(said.n) <= points
            assert sum(said.n) == len(values) and max(said.maximum) == 99.0
            mean = np.average(said.mean, weights=said.n)
            assert mean == pytest.approx(statistics.fmean(values.values()))


def test_where_readings_were_deleted_roll_ups_are_the_truth(database: Database) -> None:
    values = {START + i * 1_000_000_000: float(i) for i in range(3600)}
    add(database, [reading(*item) for item in values.items()])
    delete_some(database, START, 1000)
    said = asked(database, 2000)
    assert (said.mode, len(said.n), sum(said.n)) == ("rolled", 60, 3600)
    assert (said.minimum[0], said.maximum[-1], said.width_s) == (0.0, 3599.0, 60)
    late = {START + 500_000_000: -7.0}
    add(database, [reading(*item) for item in late.items()])
    for _ in range(2):
        assert sum(asked(database, 2000).n) == 3601 and asked(database, 2000).minimum[0] == -7.0
        rollups.settle(database)


def test_years_are_read_from_hours_and_days(database: Database) -> None:
    values = {START + i * 300 * DAY_NS: float(i) for i in range(20)}  # 16 years
    add(database, [reading(*item) for item in values.items()])
    rollups.settle(database)
    add(database, [reading(START + 1, 1000.0)])  # not settled
    said = asked(database, 15, START, START + 10_000 * DAY_NS)
    assert said.width_s >= 86_400 and sum(said.n) == 21 and max(said.maximum) == 1000.0
    said = asked(database, 5, START, START + 2000 * DAY_NS)
    assert said.width_s >= 3600 and sum(said.n) == 8 and len(said.n) <= 5


def test_nothing_is_an_answer(database: Database) -> None:
    assert asked(database, 100).n == []
    assert fields(database, "nobody") == []


# -- arrays ------------------------------------------------------------------------------------------------
_numbers = st.floats(-1e9, 1e9, allow_nan=False)


@given(st.dictionaries(st.integers(0, 10 * HOUR_NS), _numbers, min_size=1, max_size=80), st.integers(1, 7))
def test_merging_parts_is_the_same_as_summing_up_all(values: dict[int, float], parts: int) -> None:
    items = list(values.items())
    pieces = [items[i::parts] for i in range(parts) if items[i::parts]]
    made = [
        buckets.of_values(np.array([t for t, _ in p]), np.array([v for _, v in p]), MINUTE_NS) for p in pieces
    ]
    merged = buckets.together(made, HOUR_NS)
    wanted = expected(values, 3600)
    assert merged.start_ns.tolist() == [one[0] for one in wanted]
    assert merged.n.tolist() == [one[1] for one in wanted]
    assert merged.mean.tolist() == pytest.approx([one[3] for one in wanted], rel=1e-9, abs=1e-5)
    assert merged.std.tolist() == pytest.approx([one[5] for one in wanted], rel=1e-6, abs=1e-4)


@given(st.dictionaries(st.integers(0, HOUR_NS - 1), _numbers, max_size=80), st.booleans())
def test_an_hour_is_packed_and_unpacked(values: dict[int, float], single: bool) -> None:
    if single:
        values = {t // MINUTE_NS * MINUTE_NS: v for t, v in values.items()}
    times = np.array(sorted(values), np.int64) + START
    numbers_ = np.array([values[t - START] for t in times.tolist()])
    minutes = buckets.of_values(times, numbers_, MINUTE_NS)
    again = buckets.unpack(buckets.pack(minutes, START), START)
    for name in ("start_ns", "n", "minimum", "mean", "maximum", "m2"):
        assert np.array_equal(getattr(again, name), getattr(minutes, name)), name
    assert np.array_equal(buckets.unpack_times(buckets.pack_times(times, START), START), times)


def test_numbers_of_a_payload() -> None:
    payload = (
        '{"a": {"c": 1, "t": "x"}, "ok": true, "none": null, "l": [1.5, {"z": 2}], "big": 1e200, "e": {}}'
    )
    assert dict(numbers(payload)) == {"a.c": 1.0, "l.0": 1.5, "l.1.z": 2.0}
    for other in ("", "[", "3", '"text"', "[" * 100_000):
        assert list(numbers(other)) == []
    many = ",".join(f'"f{i}": {i}' for i in range(1000))
    assert len(columns([(0, f"{{{many}}}")])) == 512
