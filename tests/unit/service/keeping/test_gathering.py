"""What the folder holds is in the database once, whoever is killed or away."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text

from kymograph.service.keeping.gathering import Gatherer
from kymograph.service.keeping.keeping_state import read_keeping
from kymograph.store import spool
from kymograph.store.recording_folder import RecordingFolder
from kymograph.store.sql import readings, tables
from kymograph.store.sql.database import Database
from kymograph.store.sql.readings import Span
from tests.postgres import Server
from tests.running import until
from tests.unit.service.keeping.folder import Data, reading, seal


@pytest.fixture
def data(tmp_path: Path) -> Data:
    return Data(tmp_path / "data")


@pytest.fixture
def database(database_url: str) -> Database:
    return Database(database_url)


def gather(data: Data, database: Database) -> Gatherer:
    """Do what a keeper does that has just been started, until nothing is left."""
    gatherer = Gatherer(data.path, "edge", database, ["hub"])
    gatherer.turn()
    return gatherer


def kept(database: Database) -> list[dict[str, Any]]:
    with database.read() as connection:
        found = readings.page(connection, Span(), 100_000)
    names = ("device_id", "time_ns", "local_ns")
    return [
        {name: getattr(row, name) for name in names} | {"payload": json.loads(bytes(row.payload))}
        for row in found
    ]


def rows_of(database: Database, name: str) -> list[Any]:
    with database.read() as connection:
        return list(connection.execute(select(tables.tables.tables[name]).order_by(text("seq"))))


def test_readings_come_once_and_what_was_read_is_let_go(data: Data, database: Database) -> None:
    data.compose(0, 30)
    assert len(spool.spool_files(data.path / "readings")) == 1
    for number in range(30, 60):
        data.compose(number)

    gatherer = gather(data, database)

    assert kept(database) == [reading(number) for number in range(60)]
    assert gatherer.kept == 60
    assert len(spool.spool_files(data.path / "readings")) == 1
    assert gatherer.status()["spool_bytes"] == 0

    data.compose(60)
    again = gather(data, database)
    assert again.kept == 1
    assert kept(database) == [reading(number) for number in range(61)]


def test_a_line_that_is_no_reading_holds_up_nobody(data: Data, database: Database) -> None:
    data.compose(0)
    data.spool.append([b"{", b'{"device_id":"a"}', b"\xff"])
    data.compose(1)
    gatherer = gather(data, database)
    assert kept(database) == [reading(0), reading(1)]
    assert gatherer.unreadable == 3


def test_what_a_database_refuses_is_left_out_by_itself(data: Data, database: Database) -> None:
    data.compose(0, 2, said="a\0b")
    endless = 10**30
    data.spool.append([json.dumps(reading(2) | {"payload": {"n": 1}, "local_ns": endless}).encode()])
    data.compose(3)
    with (data.path / "events.jsonl").open("a") as log:
        for number, body in enumerate(('{"text":"a\\u0000b"}', '{"value":NaN}', "{}")):
            time_ns = endless if number == 2 else number
            log.write(f'{{"id":"e{number}","time_ns":{time_ns},"source":"s","kind":"mark","body":{body}}}\n')
    data.event(3)

    gather(data, database)

    assert [row["payload"].get("said") for row in kept(database)] == ["a\ufffdb", "a\ufffdb", None]
    bodies = {row.id: row.body for row in rows_of(database, "events")}
    assert bodies == {"e0": {"text": "a\ufffdb"}, "e1": {"value": None}, "e3": {"n": 3}}


def test_what_postgresql_refuses_holds_up_nobody(data: Data, postgres_url: str) -> None:
    data.compose(0)
    huge = json.dumps(reading(1)).replace("0.1", "1e200000").encode()
    data.spool.append([huge])
    data.compose(2)
    gatherer = gather(data, database := Database(postgres_url))
    assert kept(database) == [reading(0), reading(2)]
    assert (gatherer.kept, gatherer.unreadable) == (2, 1)
    assert gatherer.status()["spool_bytes"] == 0


def test_a_clock_that_was_set_back_takes_the_place_of_none(data: Data, database: Database) -> None:
    data.compose(0, 3)
    gather(data, database)
    data.compose(1, 2, lived="twice")
    data.compose(2, 1, lived="thrice")

    gather(data, database)

    times = [(r["time_ns"] - reading(0)["time_ns"], r["payload"].get("lived")) for r in kept(database)]
    minute = reading(1)["time_ns"] - reading(0)["time_ns"]
    assert times == [
        (0, None), (minute, None), (minute + 1000, "twice"),
        (2 * minute, None), (2 * minute + 1000, "twice"), (2 * minute + 2000, "thrice"),
    ]  # fmt: skip


def test_a_spool_that_is_read_twice_adds_nothing(data: Data, database: Database) -> None:
    data.compose(0, 5)
    gather(data, database)
    with database.begin() as connection:
        connection.execute(text("DELETE FROM facts WHERE name LIKE 'gathered%'"))
    assert gather(data, database).kept == 0
    assert kept(database) == [reading(number) for number in range(5)]


def test_two_folders_may_share_a_database(tmp_path: Path, database: Database) -> None:
    one, other = Data(tmp_path / "one"), Data(tmp_path / "other")
    (other.path / "station.json").write_text('{"id": "6", "name": "other"}')
    one.compose(0, 20)
    one.event(1)
    gather(one, database)
    other.compose(20)
    other.event(2)
    gather(other, database)
    assert len(kept(database)) == 21
    assert [row.id for row in rows_of(database, "events")] == ["e1", "e2"]


def test_events_of_station_and_recordings_come_once_with_their_recording(
    data: Data, database: Database
) -> None:
    night = data.record("night")
    data.event(1)
    data.event(2, "gap", night)
    data.event(2, "gap")
    gather(data, database)
    data.event(3, "clock")
    with (data.path / "events.jsonl").open("ab") as file:
        file.write(b'no event\n{"id":"half')
    gather(data, database)
    gather(data, database)
    found = {
        row.id: (row.kind, row.recording_id, row.body, row.station) for row in rows_of(database, "events")
    }
    assert found == {
        "e1": ("mark", None, {"n": 1}, "edge"),
        "e2": ("gap", "id-night", {"n": 2}, "edge"),
        "e3": ("clock", None, {"n": 3}, "edge"),
    }


def test_sealed_files_are_listed_as_they_come(data: Data, database: Database) -> None:
    night = data.record("night")
    gatherer = gather(data, database)
    assert rows_of(database, "segments") == []
    for count in (1, 3):
        segments = seal(night, count)
        gatherer.turn(everything=True)
        assert [row.filename for row in rows_of(database, "segments")] == [s.filename for s in segments]
    gather(data, database)
    rows = rows_of(database, "segments")
    assert len(rows) == 3
    facts = rows[0].facts
    assert facts["recording"]["name"] == "night" and facts["recording"]["id"] == facts["recording_id"]
    assert (facts["first_seq"], facts["next_seq"], facts["rows"], facts["format"]) == (0, 10, 10, "parquet")
    assert facts["recording"]["streams"][0]["name"] == "lidar"


def test_a_recording_that_will_be_one_file_waits_until_it_is(data: Data, database: Database) -> None:
    night = data.record("night", merge=True)
    seal(night, 2)
    gatherer = gather(data, database)
    assert rows_of(database, "segments") == []
    night.write_recording(night.recording().end("stop", 2**62))
    gatherer.turn(everything=True)
    assert rows_of(database, "segments") == []
    seal(night, 1, ("lidar_00001.parquet",))
    gatherer.turn(everything=True)
    assert [row.filename for row in rows_of(database, "segments")] == ["lidar_00000.parquet"]


def test_a_recording_that_is_deleted_or_damaged_holds_up_nobody(data: Data, database: Database) -> None:
    night, day = data.record("night"), data.record("day")
    data.event(1, recording=night)
    gatherer = gather(data, database)
    (day.path / "recording.json").write_text("{")
    data.event(2, recording=day)
    night.delete()
    data.event(3)
    gatherer.turn(everything=True)
    assert [row.id for row in rows_of(database, "events")] == ["e1", "e3"]
    assert RecordingFolder(day.path).path.is_dir()


def test_while_the_database_is_away_everything_waits_and_is_said_once(
    data: Data, postgres: Server, postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kymograph.service.keeping")
    database = Database(postgres_url)
    data.compose(0, 10)
    gatherer = gather(data, database)
    stop = threading.Event()
    thread = threading.Thread(target=gatherer.run, args=(stop,))
    thread.start()
    try:
        postgres.kill()
        for number in range(10, 40):
            data.compose(number)
        until(lambda: read_keeping(data.path)["database"] == "away")
        until(lambda: read_keeping(data.path)["spool_bytes"] > 0)
        until(lambda: gatherer.status()["failures"] > 2)
        postgres.start()
        until(lambda: gatherer.kept == 40)
    finally:
        stop.set()
        thread.join(30)
    assert kept(database) == [reading(number) for number in range(40)]
    said = [record.levelname for record in caplog.records if record.name.endswith("gathering")]
    assert said == ["WARNING", "INFO"]


class _Killed(Exception):
    pass


@pytest.mark.parametrize("after", ["the rows", "the place", "the commit"])
def test_killed_in_between_nothing_is_lost_or_twice(
    data: Data, database: Database, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    """The process ends where it hurts most; what it had not committed is gone, as the kernel would do it."""
    from kymograph.service.keeping import gathering

    data.compose(0, 5)
    gatherer = gather(data, database)
    data.compose(5, 5)

    def die(*arguments: object) -> None:
        raise _Killed

    with monkeypatch.context() as patched:
        if after == "the commit":
            patched.setattr(spool, "drop_read", die)
        elif after == "the rows":
            patched.setattr(gathering, "set_fact", die)
        else:
            patched.setattr(gathering.json, "dumps", die)
        with pytest.raises(_Killed):
            gatherer.turn()

    gather(data, database)
    assert kept(database) == [reading(number) for number in range(10)]


def test_a_database_that_never_answers_is_told(data: Data) -> None:
    gatherer = Gatherer(data.path, "edge", Database("postgresql+psycopg://nobody@127.0.0.1:1/none"))
    data.compose(0)
    assert gatherer.turn() > 0
    told = read_keeping(data.path)
    assert (told["running"], told["database"]) == (True, "away") and told["error"] and told["spool_bytes"]
