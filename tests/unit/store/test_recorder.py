from __future__ import annotations

import hashlib
import json
import time

import pytest

from kymograph.model.channel import Channel, Stream
from kymograph.model.clock import Clock
from kymograph.model.errors import Conflict, DiskFull, InvalidInput
from kymograph.model.event import Event
from kymograph.store.recorder import RecorderOptions
from kymograph.store.sealer import Sealer
from tests.unit.store.made import EPOCH, STREAM, make_block, wait_until
from tests.unit.store.station import Station, rows_of

OTHER = Stream("thermo", (Channel("t", "float64", "Cel"),))


def test_what_is_put_is_sealed_listed_and_hashed(station: Station) -> None:
    recorder = station.recorder()
    recorder.start()
    for i in range(50):
        assert recorder.put(make_block(i * 10, 10))
    ended = recorder.stop()
    assert (ended.ended, ended.ended_ns is not None) == ("stop", True)
    assert recorder.folder.recording() == ended == station.ended[0]
    assert rows_of(recorder) == list(range(500))
    names = sorted(path.name for path in recorder.folder.path.iterdir())
    assert [n for n in names if not n.endswith(".preview")] == [
        "SHA256SUMS", "lidar_00000.jsonl", "manifest.json", "recording.json",
    ]  # fmt: skip
    (segment,), _ = recorder.folder.manifest()
    data = (recorder.folder.path / segment.filename).read_bytes()
    assert (segment.size_bytes, segment.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (segment.rows, segment.runs) == (500, ((0, EPOCH, 0),))
    assert station.segments == [segment]
    sums = (recorder.folder.path / "SHA256SUMS").read_text()
    assert sums == f"{segment.sha256}  lidar_00000.jsonl\n"
    assert not recorder.put(make_block(500, 1))
    assert recorder.rows_lost == 0


def test_the_recording_is_on_the_disk_before_its_first_row(station: Station) -> None:
    recorder = station.recorder()
    recorder.start()
    plain = json.loads((recorder.folder.path / "recording.json").read_bytes())
    assert (plain["id"], plain["ended"]) == ("rec-1", "recording")
    assert recorder.folder.path.name.endswith("Z_night")
    recorder.stop()
    assert recorder.folder.manifest() == ([], [])


def test_durable_seq_moves_while_it_runs(station: Station) -> None:
    recorder = station.recorder(flush_interval_s=0.1)
    recorder.start()
    recorder.put(make_block(0, 10))
    wait_until(lambda: recorder.status().streams[0].durable_seq == 10)
    recorder.put(make_block(10, 10))
    wait_until(lambda: recorder.status().streams[0].durable_seq == 20)
    status = recorder.status()
    assert (status.rows, status.rows_lost, status.streams[0].next_seq) == (20, 0, 20)
    assert status.size_bytes > 0
    recorder.stop()


def test_segments_roll_together_on_the_interval_and_empty_ones_make_no_file(station: Station) -> None:
    recording = station.recording(streams=(STREAM, OTHER), segment_interval_s=1.0)
    recorder = station.recorder(recording)
    recorder.start()
    seq = 0
    while len({s.index for s in station.segments if s.stream == "lidar"}) < 2:
        recorder.put(make_block(seq, 10))
        if seq < 100:
            recorder.put(make_block(seq, 10, stream=OTHER))
        seq += 10
        time.sleep(0.01)
        assert seq < 10_000
    recorder.stop()
    segments, _ = recorder.folder.manifest()
    assert [s.index for s in segments if s.stream == "lidar"] == list(range(len(segments) - 1))
    assert [s.index for s in segments if s.stream == "thermo"] == [0]
    assert rows_of(recorder) == list(range(seq))


def test_segments_roll_by_size(station: Station) -> None:
    recorder = station.recorder(segment_bytes_max=20_000)
    recorder.start()
    for i in range(40):
        recorder.put(make_block(i * 100, 100))
        wait_until(lambda i=i: recorder.status().rows == (i + 1) * 100)
    recorder.stop()
    segments, _ = recorder.folder.manifest()
    assert len(segments) >= 4
    assert rows_of(recorder) == list(range(4000))


def test_jumps_and_new_epochs_are_gaps_and_runs(station: Station) -> None:
    recorder = station.recorder()
    recorder.start()
    for block in (make_block(5, 5), make_block(20, 5), make_block(0, 3, EPOCH + 1000)):
        recorder.put(block)
    recorder.stop()
    (segment,), _ = recorder.folder.manifest()
    assert segment.runs == ((0, EPOCH, 5), (5, EPOCH, 20), (10, EPOCH + 1000, 0))
    assert station.gaps() == [
        {"stream": "lidar", "epoch": EPOCH, "from_seq": 10, "to_seq": 20, "rows": 10, "reason": "device"},
        {"stream": "lidar", "epoch": EPOCH, "from_seq": 25, "to_seq": None, "rows": None, "reason": "epoch"},
    ]
    assert list(recorder.folder.events.read()) == station.events


def test_rows_offered_twice_are_written_once(station: Station) -> None:
    recorder = station.recorder()
    recorder.start()
    for block in (make_block(0, 10), make_block(0, 10), make_block(5, 10), make_block(15, 5)):
        recorder.put(block)
    recorder.stop()
    assert rows_of(recorder) == list(range(20))


def test_an_overflow_is_counted_told_and_a_jump(station: Station) -> None:
    block = make_block(0, 100)
    recorder = station.recorder(queue_bytes_max=block.nbytes * 3)
    for i in range(6):  # before start, nobody takes them
        assert recorder.put(make_block(i * 100, 100)) == (i < 3)
    assert recorder.rows_lost == 300
    recorder.start()
    wait_until(lambda: recorder.status().rows == 300)
    recorder.put(make_block(600, 100))
    recorder.stop()
    assert recorder.status().rows_lost == 300
    assert recorder.status().streams[0].rows_lost == 300
    assert station.gaps() == [
        {"stream": "lidar", "epoch": EPOCH, "from_seq": 300, "to_seq": 600, "rows": 300, "reason": "overflow"}
    ]
    assert rows_of(recorder) == [*range(300), *range(600, 700)]


def test_very_many_gaps_become_few_events(station: Station) -> None:
    recorder = station.recorder()
    for i in range(100):
        recorder.put(make_block(i * 10, 9))
    recorder.start()
    recorder.stop()
    gaps = station.gaps()
    assert len(gaps) == 9
    assert sum(gap["rows"] for gap in gaps) == 99  # type: ignore[misc]
    (segment,), _ = recorder.folder.manifest()
    assert len(segment.runs) == 100


def test_a_recording_goes_on_with_the_next_index(station: Station) -> None:
    recording = station.recording()
    first = station.recorder(recording)
    first.start()
    first.put(make_block(0, 10))
    first.stop()
    first.folder.write_recording(recording)  # as if it had never ended
    second = station.recorder(recording)
    second.start()
    second.put(make_block(0, 10, EPOCH + 7))
    second.stop()
    assert second.folder.path == first.folder.path
    segments, _ = second.folder.manifest()
    assert [(s.index, s.rows) for s in segments] == [(0, 10), (1, 10)]


def test_two_recordings_of_one_name_in_one_second(station: Station) -> None:
    recorders = [station.recorder(station.recording(id=name, started_ns=10**18)) for name in ("a", "b")]
    for recorder in recorders:
        recorder.start()
    assert recorders[0].folder.path != recorders[1].folder.path
    for recorder in recorders:
        recorder.stop()


def test_metadata_and_events_are_durable_when_the_call_returns(station: Station) -> None:
    recorder = station.recorder()
    recorder.start()
    recorder.annotate({"who": "anna"})
    mark = Event("e1", 1, "user/anna", "mark", {"text": "door open"})
    recorder.add_event(mark)
    assert recorder.folder.recording().metadata == {"who": "anna"}
    assert list(recorder.folder.events.read()) == [mark]
    assert recorder.stop().metadata == {"who": "anna"}


def test_what_cannot_be_recorded_is_refused(station: Station) -> None:
    with pytest.raises(InvalidInput):
        RecorderOptions(flush_interval_s=0.01)
    with pytest.raises(InvalidInput):
        station.recorder(station.recording(segment_interval_s=0.1))
    with pytest.raises(InvalidInput):
        station.recorder(station.recording(streams=()))
    with pytest.raises(InvalidInput):
        station.recorder(station.recording(name="../x")).start()
    with pytest.raises(Conflict):
        station.recorder().stop()
    recorder = station.recorder()
    recorder.start()
    with pytest.raises(Conflict):
        recorder.start()
    recorder.stop()


def test_no_recording_begins_on_a_full_disk(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(station.data), "free_bytes", lambda self: 1000)
    with pytest.raises(DiskFull):
        station.recorder().start()


def test_sealing_that_takes_too_long_does_not_hold_up_the_end(station: Station, clock: Clock) -> None:
    station.sealer = Sealer(clock)
    station.sealer.close()
    recorder = station.recorder()
    recorder.start()
    recorder.put(make_block(0, 10))
    assert recorder.stop(timeout_s=0.2).ended == "stop"
    assert list(recorder.folder.journals()) == [("lidar", 0)]


def test_rows_that_are_not_durable_are_bounded(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kymograph.model.limits.JOURNAL_UNSYNCED_BYTES_MAX", 10_000)
    recorder = station.recorder(flush_interval_s=60.0)
    recorder.start()
    for i in range(10):
        recorder.put(make_block(i * 1000, 1000))
    wait_until(lambda: recorder.status().streams[0].durable_seq == 10_000)
    recorder.stop()
