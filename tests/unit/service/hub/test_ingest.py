"""Batches: what is taken, what is known again, and what is put aside."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import select

from kymograph.model.errors import Forbidden, InvalidInput
from kymograph.store.sql.tables import dirty, events
from tests.unit.service.hub.conftest import BEGIN_NS, MINUTE_NS, RunningHub, reading

HOUR_NS = 60 * MINUTE_NS


def test_a_batch_is_there_once_however_often_it_comes(hub: RunningHub) -> None:
    assert hub.hello(next=11) == []
    first = hub.ship(1, 10)
    assert (first.what, first.committed, first.duplicates) == ("taken", 10, 0)
    again = hub.ship(1, 10)
    assert (again.what, again.committed, again.duplicates) == ("known", 0, 10)
    overlapping = hub.ship(6, 15)
    assert (overlapping.what, overlapping.committed, overlapping.duplicates) == ("taken", 5, 5)
    assert hub.hello(next=16) == [[1, 15]]
    assert hub.held() == [("roof", BEGIN_NS + seq * MINUTE_NS) for seq in range(1, 16)]


def test_holes_in_a_batch_count_as_told(hub: RunningHub) -> None:
    assert hub.put([reading(1), reading(5)], 1, 10).committed == 2
    assert hub.hello(next=11) == [[1, 10]]
    (books,) = hub.books()
    assert (books["expected"], books["held"], books["missing"]) == (10, 10, 0)


def test_the_same_range_with_other_bytes_is_kept_aside_and_an_alarm(hub: RunningHub) -> None:
    hub.ship(1, 10)
    other = [reading(seq, payload={"other": seq}) for seq in range(1, 11)]
    assert hub.put(other, 1, 10).what == "contradicts"
    assert hub.put(other, 1, 10).what == "contradicts"
    (aside,) = hub.depot.fleet.rejects(None, None, 10)
    assert (aside["kind"], aside["station"], aside["first"], aside["last"]) == ("quarantined", "roof", 1, 10)
    _, body = hub.depot.fleet.reject_body(aside["id"])
    assert [json.loads(line) for line in body.splitlines()] == other
    with hub.database.read() as connection:
        (alarm,) = connection.execute(select(events).where(events.c.kind == "alarm")).all()
    assert alarm.station == "roof" and alarm.body["what"] == "quarantined"
    assert len(hub.held()) == 10 and hub.readings.latest().id > 0


BAD: list[tuple[str, bytes]] = [
    ("no JSON", b'{"seq": 1, \n'),
    ("no object", b"[1, 2]\n"),
    ("not UTF-8", json.dumps(reading(1)).replace("roof", "r\xff").encode("latin-1") + b"\n"),
    ("no device", json.dumps({**reading(1), "device_id": ""}).encode()),
    ("a time that is none", json.dumps({**reading(1), "time_ns": 2**70}).encode()),
    ("a payload that is no object", json.dumps({**reading(1), "payload": [1]}).encode()),
    ("a zero in a text", json.dumps({**reading(1), "payload": {"a": "\0"}}).encode()),
    ("outside of the range", json.dumps(reading(11)).encode()),
    ("not in order", (json.dumps(reading(2)) + "\n" + json.dumps(reading(1))).encode()),
    ("twice", (json.dumps(reading(2)) + "\n" + json.dumps(reading(2))).encode()),
    (
        "nested without end",
        b'{"seq":1,"device_id":"roof","time_ns":1,"local_ns":1,"payload":' + b'{"a":' * 5000,
    ),
]


@pytest.mark.parametrize("body", [body for _, body in BAD], ids=[name for name, _ in BAD])
def test_what_cannot_be_taken_is_kept_aside_and_holds_up_nothing(small_hub: RunningHub, body: bytes) -> None:
    refused = small_hub.put_body(body, 1, 10)
    assert refused.what == "refused" and refused.reason
    assert small_hub.put_body(body, 1, 10).what == "refused"
    assert small_hub.ship(11, 20).committed == 10
    assert small_hub.hello(next=21) == [[1, 20]], "it counts as told"
    (aside,) = small_hub.depot.fleet.rejects("roof", None, 10)
    assert aside["kind"] == "dead" and small_hub.depot.fleet.reject_body(aside["id"])[1] == body
    (books,) = small_hub.books()
    assert books["missing"] == 10
    assert [(r["first"], r["last"], r["reason"]) for r in books["ranges"]] == [(1, 10, "dead_letter")]


def test_a_dead_letter_that_is_dropped_is_asked_for_once_more(hub: RunningHub) -> None:
    hub.put_body(b"nothing\n", 1, 10)
    (aside,) = hub.depot.fleet.rejects("roof", None, 10)
    hub.depot.fleet.drop_reject(aside["id"])
    assert hub.hello(next=11) == []
    assert hub.ship(1, 10).committed == 10
    assert hub.books()[0]["missing"] == 0


def test_what_the_database_alone_refuses_is_a_dead_letter_too(hub: RunningHub) -> None:
    huge = json.dumps(reading(1)).replace("0.1", "1e200000").encode()
    outcome = hub.put_body(huge, 1, 1)
    wanted = "refused" if hub.database.dialect == "postgresql" else "taken"
    assert outcome.what == wanted
    assert hub.hello(next=2) == [[1, 1]]


def test_many_rows_at_once_are_there_once(hub: RunningHub) -> None:
    assert hub.ship(1, 2500).committed == 2500
    overlapping = hub.ship(1501, 4000)
    assert (overlapping.committed, overlapping.duplicates) == (1500, 1000)
    assert len(hub.held()) == 4000
    with hub.database.read() as connection:
        hours = set(connection.execute(select(dirty.c.start_ns)).scalars())
    times = [BEGIN_NS + seq * MINUTE_NS for seq in range(1, 4001)]
    assert hours == {time // HOUR_NS * HOUR_NS for time in times}


def test_hours_before_1970_are_marked_by_their_beginning(hub: RunningHub) -> None:
    hub.put([reading(1, time_ns=-1), reading(2, time_ns=-HOUR_NS)], 1, 2)
    with hub.database.read() as connection:
        assert set(connection.execute(select(dirty.c.start_ns)).scalars()) == {-HOUR_NS}


def test_damage_on_the_way_is_not_put_aside(small_hub: RunningHub) -> None:
    with pytest.raises(InvalidInput):
        small_hub.ship(1, 3, sha256="0" * 64)
    assert small_hub.hello(next=4) == [] and not small_hub.depot.fleet.rejects(None, None, 10)


def test_a_station_speaks_for_its_own_device_only(small_hub: RunningHub) -> None:
    rows = [reading(1), reading(2, "cellar")]
    with pytest.raises(Forbidden, match="cellar"):
        small_hub.put(rows, 1, 2)
    assert small_hub.hello(next=3) == [] and not small_hub.depot.fleet.rejects(None, None, 10)
    assert small_hub.put(rows, 1, 2, any_device=True).committed == 2


def event(seq: int, **more: Any) -> dict[str, Any]:
    return {
        "seq": seq, "id": f"e{seq}", "time_ns": BEGIN_NS, "source": "recorder", "kind": "gap",
        "body": {"rows": seq}, "revision": 0, "recording_id": None, **more,
    }  # fmt: skip


def test_events_are_there_once_and_revisions_beside_each_other(hub: RunningHub) -> None:
    assert hub.put([event(1), event(2)], 1, 2, "events").committed == 2
    assert hub.put([event(2), event(3, id="e2", revision=1)], 2, 3, "events").committed == 1
    with hub.database.read() as connection:
        kept = connection.execute(select(events.c.id, events.c.revision, events.c.body)).all()
    assert sorted((row.id, row.revision) for row in kept) == [("e1", 0), ("e2", 0), ("e2", 1)]
    assert {row.body["rows"] for row in kept} == {1, 2, 3}


def segment(seq: int, sha256: str, filename: str = "lidar_00000.parquet", **more: Any) -> dict[str, Any]:
    return {
        "seq": seq, "recording_id": "r1", "recording": {"id": "r1", "name": "night"}, "stream": "lidar",
        "filename": filename, "sha256": sha256, "size_bytes": 4, "rows": 9, "first_ns": 5, "last_ns": 9,
        **more,
    }  # fmt: skip


def test_a_segment_comes_after_its_bytes(hub: RunningHub) -> None:
    import hashlib

    sha256 = hashlib.sha256(b"rows").hexdigest()
    missing = hub.put([segment(1, sha256)], 1, 1, "segments")
    assert (missing.what, missing.missing) == ("incomplete", (sha256,))
    with hub.depot.uploads.piece("roof", sha256, 0) as piece:
        piece.write(b"rows")
    hub.depot.uploads.finish("roof", sha256)
    assert hub.put([segment(1, sha256)], 1, 1, "segments").committed == 1
    assert hub.put([segment(1, sha256)], 1, 1, "segments").what == "known"
    (recording,) = hub.depot.fleet.recordings("roof", None, 10)
    assert (recording["recording_id"], recording["segments"], recording["size_bytes"]) == ("r1", 1, 4)
    assert recording["recording"]["name"] == "night"
    assert hub.depot.fleet.segments("roof", "r1") == [segment(1, sha256)]
    other = hashlib.sha256(b"other").hexdigest()
    with hub.depot.uploads.piece("roof", other, 0) as piece:
        piece.write(b"other")
    hub.depot.uploads.finish("roof", other)
    assert hub.put([segment(2, other)], 2, 2, "segments").what == "refused", "a sealed file never changes"
    escaping = segment(3, sha256, filename="../x")
    assert hub.put([escaping], 3, 3, "segments").what == "refused"
