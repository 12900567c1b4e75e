"""What is to be shipped: each row by its number, no number given out too early, what was told remembered."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import text

from kymograph.model.ranges import Ranges
from kymograph.service.keeping.gathering import Gatherer
from kymograph.service.keeping.outbox import STREAMS, Batch, Outbox
from kymograph.store.sql.database import Database
from kymograph.store.sql.readings import Reading, insert_readings
from tests.running import until
from tests.unit.service.keeping.folder import Data, reading, seal


class Edge:
    """A data folder, its database, and what is to be shipped of them."""

    def __init__(self, data: Path, url: str) -> None:
        self.data = Data(data)
        self.database = Database(url)
        self.outbox = Outbox(self.database, "edge", data)
        self.gather()

    def gather(self) -> None:
        Gatherer(self.data.path, "edge", self.database, ["hub", "other"]).turn()

    def compose(self, first: int, count: int = 1) -> None:
        self.data.compose(first, count)
        self.gather()

    def owed(self, destination: str = "hub", stream: str = "readings") -> list[list[int]]:
        return self.outbox.unshipped(destination, stream).to_list()

    def batch(self, first: int, last: int, limit: int = 1000, stream: str = "readings") -> Batch:
        found = self.outbox.batch(stream, first, last, limit)
        assert found is not None
        return found

    def execute(self, statement: str) -> None:
        with self.database.begin() as connection:
            connection.execute(text(statement))


@pytest.fixture
def edge(tmp_path: Path, database_url: str) -> Edge:
    return Edge(tmp_path / "data", database_url)


def rows(batch: Batch) -> list[dict[str, Any]]:
    assert batch.sha256 == hashlib.sha256(batch.body).hexdigest()
    found = [json.loads(line) for line in batch.body.splitlines()]
    assert len(found) == batch.rows
    return found


def test_nothing_is_there_at_first(edge: Edge) -> None:
    extents = edge.outbox.extents()
    assert [extent.stream for extent in extents] == list(STREAMS)
    assert {(extent.first, extent.next, extent.newest_ns, extent.rows) for extent in extents} == {
        (1, 1, None, 0)
    }
    assert extents[0].epoch == extents[1].epoch > 10**18
    for stream in STREAMS:
        assert edge.outbox.batch(stream, 1, 100, 10) is None
        assert not edge.outbox.unshipped("hub", stream)


def test_readings_are_numbered_and_come_as_they_are(edge: Edge) -> None:
    edge.compose(0, 5)
    extent = edge.outbox.extents()[0]
    assert (extent.first, extent.next, extent.rows, extent.newest_ns) == (1, 6, 5, reading(4)["time_ns"])
    batch = edge.batch(1, 5)
    assert (batch.first, batch.last, batch.epoch) == (1, 5, extent.epoch)
    assert rows(batch) == [{"seq": number + 1, **reading(number)} for number in range(5)]
    assert edge.batch(1, 5) == batch, "asked again, it is the same to the byte"


def test_a_limit_cuts_at_a_row(edge: Edge) -> None:
    edge.compose(0, 10)
    batch = edge.batch(3, 9, limit=4)
    assert (batch.first, batch.last, batch.rows) == (3, 6, 4)
    assert edge.batch(7, 99, limit=100).last == 10


def test_holes_are_told_with_the_rows_around_them(edge: Edge) -> None:
    edge.compose(0, 10)
    edge.execute("DELETE FROM readings WHERE id IN (1, 2, 5, 6)")
    extent = edge.outbox.extents()[0]
    assert (extent.first, extent.next) == (3, 11)
    assert edge.owed() == [[3, 10]]
    batch = edge.batch(3, 10)
    assert (batch.first, batch.last) == (3, 10)
    assert [row["seq"] for row in rows(batch)] == [3, 4, 7, 8, 9, 10]
    assert edge.outbox.batch("readings", 5, 6, 10) is None


def test_the_number_of_a_row_that_is_gone_is_not_given_again(edge: Edge) -> None:
    edge.compose(0, 3)
    edge.execute("DELETE FROM readings")
    edge.compose(3)
    extent = edge.outbox.extents()[0]
    assert (extent.first, extent.next) == (4, 5)


def test_what_is_acknowledged_is_owed_no_more_to_that_one(edge: Edge) -> None:
    edge.compose(0, 10)
    epoch = edge.outbox.extents()[0].epoch
    assert edge.owed() == [[1, 10]]
    for first, last in ((8, 10), (1, 2), (4, 5), (5, 6), (3, 3)):
        edge.outbox.acknowledge("hub", "readings", epoch, first, last)
    assert edge.owed() == [[7, 7]]
    assert edge.owed("other") == [[1, 10]]
    again = Outbox(edge.database, "edge", edge.data.path)
    assert again.unshipped("hub", "readings").to_list() == [[7, 7]]
    edge.outbox.acknowledge("hub", "readings", epoch, 7, 7)
    assert edge.owed() == []
    with edge.database.read() as connection:
        assert connection.execute(text("SELECT count(*) FROM shipped")).scalar() == 1


def test_another_epoch_counts_for_nothing(edge: Edge) -> None:
    edge.compose(0, 3)
    edge.outbox.acknowledge("hub", "readings", 7, 1, 3)
    assert edge.owed() == [[1, 3]]


def test_a_hub_that_has_lost_some_gets_them_again(edge: Edge) -> None:
    edge.compose(0, 10)
    epoch = edge.outbox.extents()[0].epoch
    edge.outbox.acknowledge("hub", "readings", epoch, 1, 8)
    edge.outbox.forget_acknowledged("hub", "readings", epoch, Ranges([(3, 4), (7, 20)]))
    assert edge.owed() == [[1, 2], [5, 6], [9, 10]]
    edge.outbox.forget_acknowledged("hub", "readings", epoch, Ranges())
    assert edge.owed() == [[1, 10]]


def test_the_older_systems_flag_says_what_all_destinations_have(edge: Edge) -> None:
    edge.compose(0, 4)
    epoch = edge.outbox.extents()[0].epoch
    edge.outbox.acknowledge("hub", "readings", epoch, 1, 3)
    edge.outbox.acknowledge("other", "readings", epoch, 3, 4)
    name = "sensor_project.readings" if edge.database.dialect == "postgresql" else "sensor_project_readings"
    with edge.database.read() as connection:
        found = connection.execute(text(f"SELECT * FROM {name} ORDER BY id")).mappings().all()
    assert list(found[0]) == ["id", "device_id", "ts_utc", "ts_local", "payload", "is_synced"]
    assert [bool(row["is_synced"]) for row in found] == [False, False, True, False]
    expected = "2026-05-28 20:26:40"
    assert str(found[0]["ts_utc"]).startswith(expected)
    assert str(found[0]["ts_local"]).startswith("2026-05-28 21:26:40")


def test_events_of_this_station_are_shipped_and_no_others(edge: Edge) -> None:
    night = edge.data.record("night")
    edge.data.event(1, "gap", night)
    edge.data.event(2)
    edge.gather()
    edge.execute(
        "INSERT INTO events (station, id, revision, time_ns, source, kind, body)"
        " VALUES ('elsewhere', 'x', 0, 1, 's', 'mark', '{}')"
    )
    edge.data.event(3)
    edge.gather()
    extent = edge.outbox.extents()[1]
    assert (extent.first, extent.next, extent.newest_ns) == (1, 5, 1_780_000_000_000_000_003)
    found = rows(edge.batch(1, 4, stream="events"))
    assert [(row["seq"], row["id"], row["recording_id"]) for row in found] == [
        (1, "e1", "id-night"), (2, "e2", None), (4, "e3", None),
    ]  # fmt: skip
    assert found[0] == {
        "seq": 1, "id": "e1", "time_ns": 1_780_000_000_000_000_001, "source": "user/anna", "kind": "gap",
        "body": {"n": 1}, "revision": 0, "recording_id": "id-night",
    }  # fmt: skip


def test_sealed_files_are_shipped_with_their_bytes(edge: Edge) -> None:
    night = edge.data.record("night")
    segments = seal(night, 2)
    edge.gather()
    found = rows(edge.batch(1, 2, stream="segments"))
    assert [row["sha256"] for row in found] == [segment.sha256 for segment in segments]
    assert set(found[0]) == {
        "seq", "recording", "recording_id", "stream", "filename", "sha256", "size_bytes", "rows",
        "first_ns", "last_ns", "epoch", "first_seq", "next_seq", "format",
    }  # fmt: skip
    path = edge.outbox.file(segments[1].sha256)
    assert path is not None and path == night.path / segments[1].filename
    path.unlink()
    assert edge.outbox.file(segments[1].sha256) is None
    assert edge.outbox.file("0" * 64) is None
    night.delete()
    assert edge.outbox.file(segments[0].sha256) is None


def test_a_number_is_not_told_while_one_below_may_still_come(tmp_path: Path, postgres_url: str) -> None:
    """Two write at one time: the one with the lower numbers commits last."""
    edge = Edge(tmp_path / "data", postgres_url)
    edge.compose(0, 3)
    assert edge.outbox.extents()[0].next == 4
    told: list[int] = []
    with edge.database.engine.connect() as slow:
        with slow.begin():
            late = reading(50)
            row = Reading(late["device_id"], late["time_ns"], late["local_ns"], msgspec.Raw(b"{}"))
            assert insert_readings(slow, [row]).inserted == 1
            edge.compose(3, 2)
            assert edge.outbox.unshipped("hub", "readings").to_list() == [[1, 3]]
            asks = threading.Thread(target=lambda: told.append(edge.outbox.extents()[0].next))
            asks.start()
            until(lambda: _waits_for_lock(edge.database), what="the question")
            assert told == []
    asks.join(20)
    assert told and [row["seq"] for row in rows(edge.batch(1, told[0] - 1))] == list(range(1, 7))


def _waits_for_lock(database: Database) -> bool:
    time.sleep(0.01)
    with database.read() as connection:
        waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        return connection.execute(waiting).scalar_one() > 0
