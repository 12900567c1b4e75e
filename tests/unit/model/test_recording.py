"""Recordings, segments, events and status as plain data and back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kymograph.model.block import Cursor
from kymograph.model.channel import Channel, Stream
from kymograph.model.event import KINDS, Event, event_from_dict
from kymograph.model.recording import (
    ENDINGS,
    Recording,
    Run,
    Segment,
    recording_from_dict,
    segment_from_dict,
)
from kymograph.model.status import Health, InstrumentStatus, RecorderStatus, StreamDurability

TIMES = st.integers(0, 2**62)
STREAM = Stream("lidar", (Channel("distance", unit="m"), Channel("angle", "float64", "deg")), 5000.0)


def recording(**changes):
    given = {"id": "1", "name": "night", "streams": (STREAM,), "format": "hdf5", "segment_interval_s": 60.0}
    return Recording(**{**given, "started_ns": 5, **changes})


def segment(runs, rows=100):
    return Segment("lidar", 0, "lidar_00000.h5", rows, 1234, "ab" * 32, 1, 2, 3, tuple(runs))


@given(started=TIMES, ended=st.none() | TIMES, how=st.sampled_from(ENDINGS), merge=st.booleans())
def test_a_recording_survives_being_json(started, ended, how, merge):
    made = recording(
        started_ns=started, ended_ns=ended, ended=how, merge=merge, metadata={"by": "Anna", "n": [1]},
        origin={"station": "roof"},
    )  # fmt: skip
    assert recording_from_dict(json.loads(json.dumps(made.to_dict()))) == made


def test_a_recording_runs_until_it_ends():
    made = recording()
    assert made.running
    ended = made.end("crash", 99)
    assert not ended.running
    assert (ended.ended, ended.ended_ns) == ("crash", 99)
    assert made.running


def test_what_a_later_version_adds_is_left_aside():
    assert recording_from_dict({**recording().to_dict(), "colour": "red"}) == recording()
    made = segment([Run(0, 1, 0)])
    assert segment_from_dict({**made.to_dict(), "colour": "red"}) == made


@given(st.lists(st.tuples(st.integers(1, 50), TIMES, TIMES), min_size=1, max_size=5))
def test_a_segment_survives_being_json_and_knows_its_ends(pieces):
    runs, row = [], 0
    for rows, epoch, seq in pieces:
        runs.append(Run(row, epoch, seq))
        row += rows
    made = segment(runs, rows=row)
    assert segment_from_dict(json.loads(json.dumps(made.to_dict()))) == made
    assert made.first == Cursor(runs[0].epoch, runs[0].seq)
    rows, epoch, seq = pieces[-1]
    assert made.next == Cursor(epoch, seq + rows)


@pytest.mark.parametrize("kind", KINDS)
def test_an_event_survives_being_json(kind):
    event = Event("7", 123, "recorder", kind, {"rows_missing": 3}, revision=2)
    assert event_from_dict(json.loads(json.dumps(event.to_dict()))) == event


def test_an_event_without_a_body_has_an_empty_one():
    plain = {"id": "7", "time_ns": 1, "source": "x", "kind": "mark", "body": None}
    assert event_from_dict(plain) == Event("7", 1, "x", "mark")


def test_status_is_plain_data_all_the_way_down():
    said = InstrumentStatus("lidar", "ydlidar", "acquiring", Health(rows=3), ("lidar",))
    assert json.loads(json.dumps(said.to_dict()))["health"]["rows"] == 3
    durable = StreamDurability("lidar", 1, 10, 8, 10, 0)
    recorder = RecorderStatus("1", "night", 5, 10, 0, 400, 0, 0, (durable,))
    assert json.loads(json.dumps(recorder.to_dict()))["streams"][0]["durable_seq"] == 8
