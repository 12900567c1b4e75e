"""A recording that begins in the past: nothing missing and nothing twice where the past meets the present."""

import threading
import time

import numpy as np
import pytest

from kymograph import config as configuration
from kymograph.acquire.fanout import Fanout
from kymograph.acquire.ring import Ring
from kymograph.model.block import Block, Rows
from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import Conflict, InvalidInput
from kymograph.service.recording.pretrigger import CatchUp, find_span
from kymograph.service.station import Station
from kymograph.store.block_queue import Lost, RecorderQueue
from kymograph.store.reader import RecordingReader

STREAM = Stream("s", (Channel("n", "int64"),), 1000.0)


def until(condition, timeout_s=20.0):
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never became so"
        time.sleep(0.005)
    return found


def block(seq, rows, epoch=1, at_ns=None):
    index = np.arange(seq, seq + rows)
    times = index * 1_000_000 if at_ns is None else at_ns + np.arange(rows) * 1_000_000
    return Block.pack(STREAM, epoch, seq, Rows("s", times, [index]))


# -- what a ring holds of a time ---------------------------------------------------------------------------
def test_a_span_begins_at_its_time_and_says_how_far_it_goes_back():
    ring = Ring(STREAM, 10_000)
    ring.put(block(0, 3000))
    span = find_span(ring.view(), 1.0, 3_000_000_000)
    assert (span.row, span.rows, span.first_ns, span.given_s) == (2000, 1000, 2_000_000_000, 1.0)
    span = find_span(ring.view(), 10.0, 3_000_000_000)
    assert (span.row, span.rows, span.given_s) == (0, 3000, 3.0)


def test_a_span_of_a_ring_that_has_nothing():
    assert find_span(Ring(STREAM, 100).view(), 5.0, 10**9)[2:] == (0, None, 0.0)


def test_a_span_of_a_full_ring_leaves_aside_what_is_being_overwritten():
    ring = Ring(STREAM, 1000)
    for seq in range(0, 3000, 100):
        ring.put(block(seq, 100))
    span = find_span(ring.view(), 60.0, 3_000_000_000)
    assert 2000 < span.row <= 2100 and span.row + span.rows == 3000 and 0.9 <= span.given_s < 1


def test_a_span_of_a_silent_stream_is_empty_and_whole():
    ring = Ring(STREAM, 1000)
    ring.put(block(0, 100))
    span = find_span(ring.view(), 1.0, 100 * 10**9)
    assert (span.rows, span.given_s) == (0, 1.0)


def test_a_span_goes_over_an_epoch_but_not_over_a_clock_that_was_set_back():
    ring = Ring(STREAM, 1000)
    ring.put(block(0, 100, epoch=1, at_ns=10**9))
    ring.put(block(0, 100, epoch=2, at_ns=2 * 10**9))
    assert find_span(ring.view(), 5.0, 2_100_000_000).rows == 200
    ring.put(block(0, 100, epoch=3, at_ns=10**9))
    span = find_span(ring.view(), 5.0, 1_100_000_000)
    assert (span.rows, span.row) == (100, 200) and span.given_s == pytest.approx(0.1)


# -- the seam ----------------------------------------------------------------------------------------------
class Sink:
    """A recorder's edge: takes what it is given, and how much waits is said by the test."""

    def __init__(self):
        self.blocks, self.lost, self.waiting_bytes = [], [], 0
        self.ended = threading.Event()

    def put(self, block):
        self.blocks.append(block)
        return True

    def lose(self, stream, at, rows):
        self.lost.append((at.epoch, at.seq, rows))

    def wait_ended(self, timeout_s):
        return self.ended.wait(timeout_s)

    @property
    def numbers(self):
        """Rows as a recorder keeps them: by identity, so a row that is offered twice counts once."""
        seen, next_ = [], -1
        for one in list(self.blocks):
            fresh = [n for n in range(one.seq, one.seq + one.rows) if n >= next_]
            seen += fresh
            next_ = max(next_, one.seq + one.rows)
        return seen


def catch(ring, sink, asked_s=1e6, now_ns=10**15, **more):
    fanout = Fanout()
    fanout.add(ring)
    span = find_span(ring.view(), asked_s, now_ns)
    made = CatchUp(sink, [(ring.view(), span, fanout)], **more)
    return made, fanout


def test_past_and_present_meet_without_a_hole_however_blocks_fall():
    ring, sink = Ring(STREAM, 2_000_000), Sink()
    ring.put(block(0, 50_000))
    ring.put(block(50_000, 50_000))
    made, fanout = catch(ring, sink)
    made.start()
    rng, seq = np.random.default_rng(3), 100_000
    while not made.caught_up or seq < 150_000:
        count = int(rng.integers(1, 200))
        fanout.publish(block(seq, count))
        seq += count
        time.sleep(0.0005)  # no stream is faster than memory can be copied
        assert seq < 1_900_000
    made.finish(5)
    assert sink.numbers == list(range(seq)) and sink.lost == []


def test_a_silent_stream_is_waited_for_from_the_ring():
    ring, sink = Ring(STREAM, 10_000), Sink()
    ring.put(block(0, 100))
    made, fanout = catch(ring, sink)
    made.start()
    until(lambda: len(sink.numbers) == 100)
    assert not made.caught_up
    for seq in range(100, 200, 10):
        fanout.publish(block(seq, 10))
    until(lambda: made.caught_up)
    fanout.publish(block(200, 10))
    made.finish(5)
    fanout.publish(block(210, 10))
    assert sink.numbers == list(range(210))


def test_a_disk_that_is_too_slow_is_told_row_by_row():
    ring, sink = Ring(STREAM, 1000), Sink()
    ring.put(block(0, 1000))
    made, fanout = catch(ring, sink)
    sink.waiting_bytes = 10**9
    made.start()
    for seq in range(1000, 5000, 100):
        fanout.publish(block(seq, 100))
    sink.waiting_bytes = 0
    until(lambda: sink.blocks)
    fanout.publish(block(5000, 100))
    until(lambda: made.caught_up)
    made.finish(5)
    [(epoch, first, rows)] = sink.lost
    assert (epoch, first, rows) == (1, 0, 4000)
    assert sink.numbers == list(range(4000, 5100))


def test_the_past_alone_ends_by_itself():
    ring, sink, done = Ring(STREAM, 10_000), Sink(), threading.Event()
    ring.put(block(0, 5000))
    made, fanout = catch(ring, sink, only_past=True, on_done=done.set)
    fanout.publish(block(5000, 100))
    made.start()
    assert done.wait(10) and sink.numbers == list(range(5000))


def test_an_end_that_comes_early_still_takes_what_there_was():
    ring, sink = Ring(STREAM, 2_000_000), Sink()
    for seq in range(0, 1_000_000, 50_000):
        ring.put(block(seq, 50_000))
    made, _ = catch(ring, sink)
    made.start()
    made.finish(20)
    assert sink.numbers == list(range(1_000_000)) and sink.lost == []


def test_an_end_that_cannot_wait_counts_what_is_lost():
    ring, sink = Ring(STREAM, 10_000), Sink()
    ring.put(block(0, 5000))
    sink.waiting_bytes = 10**9
    made, _ = catch(ring, sink)
    made.start()
    made.finish(0.05)
    assert sink.lost == [(1, 0, 5000)] and sink.blocks == []


def test_the_giver_never_waits_and_memory_is_bounded_while_the_disk_stands_still():
    ring, sink = Ring(STREAM, 4_000_000), Sink()
    ring.put(block(0, 10))
    made, fanout = catch(ring, sink)
    made.start()
    until(lambda: len(sink.numbers) == 10)
    sink.waiting_bytes = 10**9
    time.sleep(0.05)  # the thread has seen it, or sees it within the next blocks
    for seq in range(10, 1_000_010, 10_000):
        fanout.publish(block(seq, 10_000))
    held = made._feeds[0].seam._bytes
    assert held < 8 * 2**20
    sink.waiting_bytes = 0
    fanout.publish(block(1_000_010, 10))
    until(lambda: made.caught_up)
    made.finish(5)
    assert sink.numbers == list(range(1_000_020)) and sink.lost == []


def test_a_recorder_counts_and_tells_what_the_ring_lost():
    queue = RecorderQueue(10**6)
    queue.put(block(0, 10))
    queue.lose(Lost("s", 1, 10, 30, 20))
    queue.put(block(30, 10))
    assert queue.rows_lost == queue.rows_lost_of("s") == 20
    kinds = [(type(item).__name__, item.rows) for item in queue.take(0.0)]
    assert kinds == [("Block", 10), ("Lost", 20), ("Block", 10)]


# -- a station ---------------------------------------------------------------------------------------------
def make(tmp_path, **tables):
    data = {
        "station": {"name": "bench", "data": str(tmp_path / "data")},
        "instruments": {
            "gen": {"driver": "sine", "options": {"rate_hz": 10_000, "channels": 4, "counter": True}},
            "slow": {"driver": "sine", "options": {"rate_hz": 20, "channels": 1, "counter": True}},
        },
        **tables,
    }
    return Station(configuration.parse(data))


@pytest.fixture
def station(tmp_path):
    made = make(tmp_path)
    made.start()
    yield made
    made.shutdown()


def rows_of(station, recording_id, stream):
    path = station.recordings.files(recording_id).path
    blocks = list(RecordingReader(path).blocks(stream))
    seqs = np.concatenate([np.arange(b.seq, b.seq + b.rows) for b in blocks])
    return seqs, np.concatenate([b.columns()[0] for b in blocks]), np.concatenate([b.time_ns for b in blocks])


def acquired(station, stream, rows):
    until(lambda: station.ring_view(stream).extent[1] >= rows)


def test_at_ten_kilohertz_the_seam_has_no_hole_and_no_repetition(station):
    acquired(station, "gen", 15_000)
    acquired(station, "slow", 20)
    began_ns = station.clock.now_ns()
    begun = station.record_start({"name": "burn", "pre_s": 1.0})
    assert begun["metadata"] == {"pre_s": 1.0, "pre_s_given": 1.0}
    until(lambda: station.recorders()[0]["rows"] > 20_000)
    ended = station.record_stop(begun["id"])
    for stream in ("gen", "slow"):
        seqs, counter, times = rows_of(station, ended["id"], stream)
        assert (np.diff(seqs) == 1).all(), stream
        assert (np.diff(counter) == 1).all(), stream
        assert times[0] <= began_ns - 900_000_000 and times[0] >= began_ns - 1_000_000_000
    assert ended["started_ns"] < began_ns
    events = list(station.recordings.files(ended["id"]).events.read())
    assert not [e for e in events if e.kind == "gap"]
    assert any(e.body.get("streams", {}).get("gen", {}).get("given_s") == 1.0 for e in events)


def test_more_than_the_ring_holds_gives_what_it_has_and_says_so(station):
    acquired(station, "gen", 3000)
    begun = station.record_start({"name": "burn", "streams": ["gen"], "pre_s": 600})
    given_s = begun["metadata"]["pre_s_given"]
    assert begun["metadata"]["pre_s"] == 600 and 0.2 < given_s < 60
    until(lambda: station.recorders()[0]["rows"] > 5000)
    ended = station.record_stop(begun["id"])
    seqs, _, _ = rows_of(station, ended["id"], "gen")
    assert seqs[0] == 0 and (np.diff(seqs) == 1).all()


def test_what_happened_in_its_past_stands_in_the_recording_once(station):
    acquired(station, "gen", 3000)
    station.configure("slow", {})  # told as an event of that instrument
    acquired(station, "gen", 6000)
    begun = station.record_start({"name": "burn", "pre_s": 60})
    other = station.promote({"name": "kept", "seconds": 60, "streams": ["gen"]})

    def about_slow(recording):
        events = station.recordings.files(recording["id"]).events.read()
        return [e for e in events if e.source == "instrument/slow" and "options" in e.body]

    assert len(about_slow(begun)) == 1 and about_slow(other) == []
    station.configure("slow", {})
    until(lambda: len(about_slow(begun)) == 2)
    events = list(station.recordings.files(begun["id"]).events.read())
    assert len({event.id for event in events}) == len(events)


@pytest.mark.parametrize("wrong", [-1, "x", True, 1e9])
def test_a_past_that_makes_no_sense(station, wrong):
    with pytest.raises(InvalidInput):
        station.record_start({"name": "x", "pre_s": wrong})
    with pytest.raises(InvalidInput):
        station.promote({"name": "x", "seconds": wrong})
    assert station.recorders() == []


def test_promoting_keeps_the_last_seconds_beside_what_is_recorded(station):
    acquired(station, "gen", 12_000)
    main = station.record_start({"name": "main"})
    kept = station.promote({"name": "kept", "seconds": 1.0, "streams": ["gen"], "metadata": {"who": "ana"}})
    until(lambda: len(station.recorders()) == 1)
    seqs, counter, _ = rows_of(station, kept["id"], "gen")
    assert 9_000 <= len(seqs) <= 10_500 and (np.diff(seqs) == 1).all() and (np.diff(counter) == 1).all()
    ended = station.recordings.files(kept["id"]).recording()
    assert ended.ended == "stop" and ended.metadata["who"] == "ana" and ended.origin["begun_by"] == "promote"
    assert ended.metadata["promoted_s"] == ended.metadata["promoted_s_given"] == 1.0
    assert station.recorders()[0]["recording_id"] == main["id"]


def test_nothing_can_be_promoted_before_there_is_anything(tmp_path):
    made = make(tmp_path)  # not started: nothing acquires
    try:
        with pytest.raises(Conflict):
            made.promote({"name": "x", "seconds": 10})
    finally:
        made.shutdown()


def test_a_stop_right_after_the_start_has_the_past(station):
    acquired(station, "gen", 12_000)
    begun = station.record_start({"name": "short", "streams": ["gen"], "pre_s": 1.0})
    ended = station.record_stop(begun["id"])
    seqs, _, _ = rows_of(station, ended["id"], "gen")
    assert len(seqs) >= 9_900 and (np.diff(seqs) == 1).all()


# -- autostart ---------------------------------------------------------------------------------------------
def names(station):
    return [one["name"] for one in station.recorders()]


def test_a_station_records_from_its_start(tmp_path):
    made = make(tmp_path, recording={"autostart": True})
    made.start()
    try:
        assert names(made) == ["bench"]
        until(lambda: made.recorders()[0]["rows"] > 1000)
    finally:
        made.shutdown()


def test_a_recording_that_goes_on_after_a_crash_is_not_made_twice(tmp_path):
    tables = {"recording": {"autostart": "watch", "after_crash": "continue"}}
    made = make(tmp_path, **tables)
    made.start()
    until(lambda: made.recorders()[0]["rows"] > 1000)
    id = made.recorders()[0]["recording_id"]
    cut_off(made)
    again = make(tmp_path, **tables)
    again.start()
    try:
        assert [one["recording_id"] for one in again.recorders()] == [id]
        manual = again.recordings.files(id).recording()
        assert manual.name == "watch" and manual.running
    finally:
        again.shutdown()


def test_what_was_recorded_by_hand_before_a_crash_is_not_recorded_twice(tmp_path):
    made = make(tmp_path, recording={"after_crash": "continue"})
    made.start()
    made.record_start({"name": "mine", "streams": ["gen"]})
    until(lambda: made.recorders()[0]["rows"] > 1000)
    cut_off(made)
    again = make(tmp_path, recording={"autostart": "watch", "after_crash": "continue"})
    again.start()
    try:
        assert sorted(names(again)) == ["mine", "watch"]
        watch = next(one for one in again.recorders() if one["name"] == "watch")
        assert [s["stream"] for s in watch["streams"]] == ["slow"]
    finally:
        again.shutdown()


def cut_off(station):
    """End a station and leave its recordings as a crash would: running, as far as anyone can tell."""
    files = [recorder.folder.path / "recording.json" for recorder in station.recordings.running()]
    before = [file.read_text() for file in files]
    station.shutdown()
    for file, text in zip(files, before, strict=True):
        file.write_text(text)
