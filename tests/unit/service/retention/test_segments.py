"""Sealed segments: which go, which never, and what is said of those that went."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert, select

from kymograph import config as configuration
from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import Conflict, KymographError
from kymograph.model.ranges import Ranges
from kymograph.model.recording import Recording, Run, Segment
from kymograph.model.strata import HOUR_NS
from kymograph.service.retention import recordings
from kymograph.service.retention.readings import Wish
from kymograph.service.retention.recordings import FREE, PINNED, UNSHIPPED, YOUNG, Item, SegmentTerms
from kymograph.service.retention.retention import Retention
from kymograph.service.station import Station
from kymograph.store.completeness import ledger
from kymograph.store.reader import RecordingReader
from kymograph.store.recording_folder import RecordingFolder
from kymograph.store.sql import schema, tables
from kymograph.store.sql.database import Database
from kymograph.store.verify import verify_recording
from kymograph.sync.mirror import Mirror, Wishes
from kymograph.sync.source import Offer
from kymograph.sync.transfer import Pieces
from tests.unit.service.retention.test_thinning import NEVER
from tests.unit.service.test_station import until

MINUTE_NS = 60_000_000_000


def item(minute: int, state: str = FREE, size: int = 10, stream: str = "gen") -> Item:
    return Item("r", "night", stream, f"{stream}_{minute:05d}.csv", minute * MINUTE_NS, size, 100, state)


# -- choosing ----------------------------------------------------------------------------------------------
_items = st.lists(
    st.tuples(st.integers(0, 300), st.sampled_from([FREE, FREE, PINNED, UNSHIPPED, YOUNG])),
    unique_by=lambda one: one[0],
    max_size=60,
)


@given(_items, st.integers(0, 700), st.booleans())
def test_only_what_is_free_and_no_more_than_needed(
    minutes: list[tuple[int, str]], size: int, everything: bool
) -> None:
    items = [item(*one) for one in minutes]
    chosen = recordings.choose(items, Wish("test", size_bytes=size, everything=everything))
    assert all(one.state == FREE for one in chosen)
    gone = sum(one.size_bytes for one in chosen)
    assert everything or gone < size + 10
    if everything:
        assert len(chosen) == sum(one.state == FREE for one in items)


def test_evenly_and_the_same_again() -> None:
    left = [item(minute) for minute in range(24 * 60)]
    for _ in range(6):
        gone = set(recordings.choose(left, Wish("test", size_bytes=len(left) * 2)))
        left = [one for one in left if one not in gone]
        hours = [one.first_ns // HOUR_NS for one in left]
        per_hour = [hours.count(hour) for hour in range(24)]
        assert max(per_hour) <= 2 * min(per_hour)
    assert recordings.choose(left, Wish("test")) == []


def test_an_age_takes_what_is_older() -> None:
    items = [item(minute) for minute in range(10)]
    chosen = recordings.choose(items, Wish("test", everything=True), 4 * MINUTE_NS)
    assert [one.first_ns for one in chosen] == [i * MINUTE_NS for i in range(4)]


def test_why_a_segment_stays() -> None:
    terms = SegmentTerms({("r", "a"): 1, ("r", "b"): 2, ("r", "c"): 9}, 5, Ranges([(1, 1)]))
    made = Recording("r", "night", (), "csv", 1.0, 1)
    ended = made.end("stop", 2)
    assert [terms.state(ended, name) for name in "abcd"] == [FREE, UNSHIPPED, YOUNG, YOUNG]
    assert terms.state(made, "a") == "running"


# -- by the engine -----------------------------------------------------------------------------------------
@pytest.fixture
def station(tmp_path: Path) -> Iterable[Station]:
    instruments = {"gen": {"driver": "sine", "options": {"rate_hz": 500, "channels": 1, "counter": True}}}
    data = {"station": {"name": "bench", "data": str(tmp_path / "data")}, "instruments": instruments}
    data |= {"recording": {"segment_interval_s": 1, "format": "csv"}, "readings": {"interval_s": 3600}}
    data |= {"destinations": {"hub": {"url": "http://127.0.0.1:9"}}}
    data |= {"retention": {"keep_last_s": 0, "recordings_bytes_max": 1}}
    made = Station(configuration.parse(data))
    made.start()
    yield made
    made.shutdown()


def recorded(station: Station, name: str, segments: int = 3) -> RecordingFolder:
    id_ = station.record_start({"name": name})["id"]
    until(lambda: station.recorders() and station.recorders()[0]["segments"] >= segments, 20)
    if name != "running":
        station.record_stop(id_)
    return station.recordings.files(id_)


def test_files_go_and_their_manifest_says_so(station: Station) -> None:
    folder = recorded(station, "night")
    id_, (listed, _) = folder.recording().id, folder.manifest()
    names = [listed[1].filename, listed[0].filename]
    rows = sum(segment.rows for segment in listed)
    told = station.retention.thin(id_, [*names, "../station.json", "nothing"], "a test")
    assert sorted(told["deleted"]) == sorted(names) and told["rows"] == listed[0].rows + listed[1].rows
    assert not any((folder.path / name).exists() for name in names)
    assert [one.segment for one in folder.deleted()] == listed[:2]
    assert station.retention.thin(id_, names, "again")["deleted"] == []
    check = verify_recording(folder.path)
    assert check.ok and {gap.reason for gap in check.gaps} == {"deleted by retention"}
    assert sum(gap.rows or 0 for gap in check.gaps) == told["rows"]
    found = ledger(folder.path, 1)
    assert not found.complete and found.fetched and "rows deleted by retention" in found.summary
    (stream,) = found.streams
    assert (stream.expected_rows, stream.held_rows) == (rows, rows - told["rows"])
    read = sum(block.rows for block in RecordingReader(folder.path).blocks("gen"))
    assert read == rows - told["rows"]
    assert any(event["source"] == "retention" for event in until(station.events))


def test_what_is_pinned_or_running_is_refused(station: Station) -> None:
    folder = recorded(station, "night")
    id_, name = folder.recording().id, folder.manifest()[0][0].filename
    assert station.retention.pin(id_, True, "anna")["pinned"]
    with pytest.raises(Conflict, match="pinned"):
        station.retention.thin(id_, [name], "a test")
    station.retention.pin(id_, False, "anna")
    station.annotate(id_, {"note": "x"})
    assert not folder.recording().pinned
    running = recorded(station, "running")
    with pytest.raises(Conflict, match="running"):
        station.retention.thin(running.recording().id, [running.manifest()[0][0].filename], "a test")
    station.retention.pin(running.recording().id, True)
    ended = station.record_stop(running.recording().id)
    assert ended["pinned"] and running.recording().pinned
    assert station.retention.thin(id_, [name], "a test")["deleted"] == [name]


def test_a_pass_takes_what_has_arrived_and_finishes_what_a_crash_left(station: Station) -> None:
    folder = recorded(station, "night")
    id_, (listed, _) = folder.recording().id, folder.manifest()
    database = Database(station.config.database_url)
    schema.upgrade(database)
    with database.begin() as connection:
        for seq, segment in enumerate(listed, 1):
            connection.execute(insert(tables.segments), [_row(id_, seq, segment)])
        facts = tables.facts.c
        epoch = int(connection.scalar(select(facts.value).where(facts.name == "epoch")) or 0)
        row = {"destination": "hub", "stream": "segments", "epoch": epoch, "first": 1, "last": 1}
        connection.execute(insert(tables.shipped), [row])
    retention = Retention(station.config, database, station.retention)
    done = retention.run_once(NEVER).done
    assert [(one.stream, one.segments, one.error) for one in done] == [("recordings", 1, "")]
    assert [s.filename for s in folder.manifest()[0]] == [s.filename for s in listed[1:]]
    with database.read() as connection:
        (stone,) = connection.execute(select(tables.tombstones)).mappings()
    assert (stone["stream"], stone["what"]) == ("segments", listed[0].filename)
    assert stone["sha256"] == listed[0].sha256
    left = folder.path / listed[0].filename
    left.write_bytes(b"killed before it was removed")
    retention.run_once(NEVER)
    assert not left.exists()
    database.close()


def _row(recording_id: str, seq: int, segment: Segment) -> dict[str, Any]:
    return {
        "seq": seq, "station": "bench", "recording_id": recording_id, "filename": segment.filename,
        "sha256": segment.sha256, "size_bytes": segment.size_bytes, "first_ns": segment.first_ns,
        "last_ns": segment.last_ns, "facts": {},
    }  # fmt: skip


# -- mirrors -----------------------------------------------------------------------------------------------
class Source:
    """A station that deletes one of two files before the mirror has it, and the other afterwards."""

    kind, url, station, station_id = "kymograph", "http://127.0.0.1:9", "bench", "bench-1"
    body = b"rows"

    def __init__(self) -> None:
        sha256 = hashlib.sha256(self.body).hexdigest()
        self.files = [
            Segment("gen", i, f"gen_0000{i}.csv", 1, 4, sha256, 1, 1, 2, (Run(0, 1, i),)) for i in range(3)
        ]
        self.deleted = {0}

    def ids(self, wanted: object, known: object) -> list[str]:
        return ["6f1c6c1e-0000-4000-8000-000000000001"]

    def offer(self, id: str) -> Offer:
        ended = Recording(id, "night", (Stream("gen", (Channel("x"),), 10.0),), "csv", 60.0, 1).end("stop", 2)
        there = tuple(one for one in self.files if one.index not in self.deleted)
        return Offer(ended, False, there, tuple(one for one in self.files if one.index in self.deleted))

    def open_files(self, id: str) -> list[Any]:
        return []

    @contextmanager
    def fetch(self, id: str, filename: str, offset: int, tag: str) -> Iterable[Pieces]:
        yield Pieces(offset, iter([self.body[offset:]]))

    def report(self, id: str, told: Mapping[str, Any]) -> None:
        pass


def test_a_mirror_keeps_what_its_source_has_deleted(tmp_path: Path) -> None:
    source = Source()
    for _ in range(2):
        mirror = Mirror(source, tmp_path, Wishes(tails=False))
        mirror.pass_once()
        mirror.close()
        source.deleted.add(1)
    (copy,) = (tmp_path / "recordings").iterdir()
    assert sorted(path.name for path in copy.glob("*.csv")) == ["gen_00001.csv", "gen_00002.csv"]
    found = ledger(copy, time.time_ns())
    assert found.fetched and [one.filename for one in found.files] == ["gen_00001.csv", "gen_00002.csv"]
    assert [(one.from_seq, one.reason) for one in found.missing] == [(0, "deleted by retention")]


def test_a_recording_that_is_not_there(station: Station) -> None:
    with pytest.raises(KymographError):
        station.retention.thin("no such recording", ["x"], "a test")
