"""Readings: each is there once, in order, whatever comes twice and whatever a clock says."""

from __future__ import annotations

import calendar
import json
from datetime import UTC, datetime

import msgspec
import pytest
from sqlalchemy import Connection, text

from kymograph.model.errors import StorageError
from kymograph.store.sql import readings, schema
from kymograph.store.sql.database import Database
from kymograph.store.sql.readings import Added, Reading, Span, insert_readings

MINUTE_NS = 60 * 10**9
START_NS = calendar.timegm((2026, 5, 1, 3, 0, 0)) * 10**9
TWO_HOURS_NS = 7200 * 10**9


def made(minute: int, device: str = "weather-01", payload: str = '{"cpu_temp":{"c":48.5}}') -> Reading:
    time_ns = START_NS + minute * MINUTE_NS
    return Reading(device, time_ns, time_ns + TWO_HOURS_NS, msgspec.Raw(payload.encode()))


@pytest.fixture
def database(database_url: str) -> Database:
    database = Database(database_url)
    schema.upgrade(database)
    return database


def added(database: Database, rows: list[Reading]) -> Added:
    with database.begin() as connection:
        return insert_readings(connection, rows)


@pytest.mark.parametrize("size", [0, 1, 360, readings.COPY_ROWS_MIN])
def test_what_comes_twice_is_there_once(database: Database, size: int) -> None:
    rows = [made(minute) for minute in range(size)]

    assert added(database, rows) == Added(size, 0)
    assert added(database, rows) == Added(0, size)
    assert added(database, [*rows, made(size)]) == Added(1, size)

    with database.read() as connection:
        found = readings.page(connection, Span(), 10_000)
    assert [row.time_ns for row in found] == [made(minute).time_ns for minute in range(size + 1)]
    assert sorted(row.id for row in found) == [row.id for row in found]


@pytest.mark.parametrize("size", [10, readings.COPY_ROWS_MIN])
def test_a_row_that_is_twice_in_one_batch_counts_once(database: Database, size: int) -> None:
    rows = [made(minute) for minute in range(size)]
    assert added(database, [*rows, *rows]) == Added(size, size)


@pytest.mark.parametrize("copied", [False, True])
def test_payloads_keep_what_they_say(database: Database, copied: bool) -> None:
    payload = {"bme280": {"error": 'no "answer" \\ at\t0x77\nor 0x76'}, "ö": [1.25, None, True, -0.0, 1e-7]}
    filler = [made(minute, "other") for minute in range(readings.COPY_ROWS_MIN)] if copied else []
    added(database, [made(0, "wörld\tone\\two", json.dumps(payload, indent=1)), *filler])
    with database.read() as connection:
        found = readings.latest(connection, "wörld\tone\\two")
    assert found is not None
    assert json.loads(bytes(found.payload)) == payload
    assert found.local_ns - found.time_ns == TWO_HOURS_NS


def test_what_is_no_json_is_refused_by_postgresql(postgres_url: str) -> None:
    database = Database(postgres_url)
    schema.upgrade(database)
    with pytest.raises(StorageError):
        added(database, [made(0), made(1, payload=r'{"a":"\u0000"}')])
    with database.read() as connection:
        assert readings.page(connection, Span(), 10) == []


def test_the_newest_of_one_and_of_all(database: Database) -> None:
    with database.read() as connection:
        assert readings.latest(connection) is None
        assert readings.latest(connection, "a") is None
        assert readings.devices(connection) == []
    added(database, [made(1, "a"), made(5, "b"), made(3, "c"), made(2, "a")])
    with database.read() as connection:
        assert readings.devices(connection) == ["a", "b", "c"]
        newest = readings.latest(connection)
        assert newest is not None and (newest.device_id, newest.time_ns) == ("b", made(5).time_ns)
        of_a = readings.latest(connection, "a")
        assert of_a is not None and of_a.time_ns == made(2).time_ns
        assert [row.device_id for row in readings.latest_of(connection, ["c", "none", "a"])] == ["c", "a"]


@pytest.mark.parametrize("clock", ["time_ns", "local_ns"])
def test_pages_go_through_a_stretch_without_a_hole_or_a_repeat(database: Database, clock: str) -> None:
    span = Span(
        "local_ns" if clock == "local_ns" else "time_ns", getattr(made(10), clock), getattr(made(40), clock)
    )
    added(database, [made(minute, device) for minute in reversed(range(60)) for device in ("b", "a", "c")])
    seen: list[tuple[int, str]] = []
    with database.read() as connection:
        after = None
        while found := readings.page(connection, span, 7, after):
            seen += [(row.time_ns, row.device_id) for row in found]
            after = readings.place(found[-1], span)
    assert seen == [(made(minute).time_ns, device) for minute in range(10, 40) for device in ("a", "b", "c")]


def test_a_stretch_of_one_device(database: Database) -> None:
    added(database, [made(minute, device) for minute in range(5) for device in ("a", "b")])
    with database.read() as connection:
        found = readings.page(connection, Span("local_ns", made(3).local_ns, None, "b"), 10)
    assert [(row.device_id, row.time_ns) for row in found] == [("b", made(3).time_ns), ("b", made(4).time_ns)]


STRANGE = ["1969-12-31T23:59:00", "1970-01-01T00:00:30", "2019-12-31T23:59:59", "2020-01-01T00:00:00",
           "2026-12-31T23:59:59", "2036-11-21T00:00:00", "2099-12-31T23:59:59", "2100-01-01T00:00:00",
           "2261-01-01T00:00:00"]  # fmt: skip


def test_a_clock_that_is_wrong_costs_no_row(database: Database) -> None:
    times = [int(datetime.fromisoformat(t).replace(tzinfo=UTC).timestamp()) * 10**9 for t in STRANGE]
    rows = [Reading("a", time_ns, time_ns, msgspec.Raw(b"{}")) for time_ns in times]
    assert added(database, rows) == Added(len(rows), 0)
    with database.read() as connection:
        assert [row.time_ns for row in readings.page(connection, Span("local_ns"), 100)] == times


def parts(connection: Connection) -> set[str]:
    found = connection.execute(
        text("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'readings'::regclass")
    )
    return set(found.scalars())


def test_a_month_has_a_part_of_its_own_and_the_next_one_is_ready(postgres_url: str) -> None:
    database = Database(postgres_url)
    schema.upgrade(database)
    with database.read() as connection:
        assert parts(connection) == {"readings_early", "readings_late"}

    added(database, [made(0)])

    with database.read() as connection:
        assert parts(connection) == {
            "readings_early",
            "readings_late",
            "readings_2026_05",
            "readings_2026_06",
        }
        kept_in = connection.execute(text("SELECT tableoid::regclass::text FROM readings")).scalar_one()
        assert kept_in == "readings_2026_05"
        indexed = connection.execute(
            text("SELECT count(*) FROM pg_indexes WHERE tablename = 'readings_2026_06'")
        )
        assert indexed.scalar_one() == 4
