"""Triggers: what fires them, what does not, when they may again, and what they record."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kymograph import config as configuration
from kymograph.control.expression import compile_condition
from kymograph.control.freshness import Freshness, names_of
from kymograph.model.block import Block, Rows
from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import ConfigError, Conflict, NotFound
from kymograph.service.recording.trigger import ARMED, OFF, RECORDING, WAITING, Trigger, TriggerTable
from kymograph.service.recording.triggers import read_triggers
from kymograph.service.station import Station
from kymograph.store.reader import RecordingReader

STREAM = Stream("s", (Channel("x", "float32", "bar"),), 1000.0)
S = 1_000_000_000


class Bench:
    """One trigger over one channel, and a clock."""

    def __init__(self, **table):
        self.freshness = Freshness([STREAM])
        condition = compile_condition("s.x > 20", names_of([STREAM]))
        self.freshness.watch(condition.names)
        self.trigger = Trigger("t", TriggerTable(when="s.x > 20", **table), condition)
        self.now_ns, self.seq = S, 0

    def see(self, *values):
        count = len(values)
        times = np.arange(self.seq, self.seq + count) * 1_000_000
        block = Block.pack(STREAM, 1, self.seq, Rows("s", times, [np.array(values, np.float32)]))
        self.seq += count
        self.now_ns += count * 1_000_000
        self.freshness.take(block, self.now_ns)
        crossing = self.trigger.take(block, self.freshness, self.now_ns)
        if crossing is not None:
            self.trigger.begin(block.last_ns - crossing.age_ns, self.now_ns)
        return crossing

    def wait(self, seconds):
        self.now_ns += int(seconds * S)
        if self.trigger.over(self.now_ns):
            self.trigger.end(self.now_ns)
        return self.state

    @property
    def state(self):
        return self.trigger.state(self.now_ns)


def test_a_crossing_fires_and_says_why_and_when():
    bench = Bench()
    bench.see(1, 2, 3)
    assert bench.state == ARMED
    crossing = bench.see(4, 5, 25, 26, 27)
    assert crossing.age_ns == 2_000_000 and "s.x is 25 bar, 5 bar above 20" in crossing.reason
    assert bench.state == RECORDING and bench.trigger.last_ns == 5_000_000


def test_a_spike_of_one_row_is_seen():
    bench = Bench()
    assert bench.see(1, 2, 99, 1, 2) is not None


def test_what_is_true_from_the_start_is_no_crossing():
    bench = Bench()
    assert bench.see(30, 30) is None and bench.state == WAITING
    assert bench.see(30, 10) is None and bench.state == ARMED
    assert bench.see(30) is not None


def test_it_is_armed_again_only_after_the_condition_was_false():
    bench = Bench(post_s=1)
    bench.see(1, 30)
    assert bench.wait(1.5) == WAITING
    assert bench.see(30, 31) is None
    assert bench.see(5) is None and bench.state == ARMED
    assert bench.see(30) is not None


def test_it_rests_before_it_is_armed_again():
    bench = Bench(post_s=1, rearm_s=5)
    bench.see(1, 30)
    bench.wait(1)
    assert bench.see(1, 30, 1) is None and bench.state == WAITING
    assert bench.wait(5) == ARMED
    assert bench.see(1, 30) is not None


def test_a_crossing_meanwhile_prolongs_and_what_merely_lasts_does_not():
    bench = Bench(post_s=1)
    bench.see(1, 30)
    assert bench.wait(0.8) == RECORDING
    assert bench.see(30, 30) is None  # it lasts
    assert bench.wait(0.1) == RECORDING
    assert bench.see(1, 30) is not None and bench.trigger.fired == 1
    assert bench.wait(0.9) == RECORDING
    assert bench.wait(0.2) == WAITING


def test_a_condition_that_holds_goes_on_if_that_is_asked():
    bench = Bench(post_s=1, hold=True)
    bench.see(1, 30)
    for _ in range(5):
        assert bench.wait(0.8) == RECORDING
        bench.see(30)
    bench.see(1)
    assert bench.wait(1.1) == ARMED


def test_what_is_not_known_neither_fires_nor_arms():
    bench = Bench(post_s=1)
    nan = float("nan")
    bench.see(nan, nan)
    assert bench.state == WAITING
    assert bench.see(1, nan, nan, 30) is not None  # known false, then known true
    bench.wait(2)
    assert bench.see(nan, nan) is None and bench.state == WAITING


def test_one_that_is_off_sees_the_data_and_does_not_fire():
    bench = Bench(armed=False)
    assert bench.see(1, 30, 1) is None and bench.state == OFF
    bench.trigger.wanted = True
    assert bench.state == ARMED
    assert bench.see(30) is not None


@given(st.lists(st.lists(st.sampled_from([10.0, 30.0, float("nan")]), min_size=1, max_size=6), max_size=12))
def test_however_rows_are_cut_into_blocks_the_same_crossing_fires(blocks):
    """The first crossing does not depend on where blocks begin."""
    whole = [value for block in blocks for value in block]
    one_by_one, together = Bench(), Bench()
    fired = [bool(one_by_one.see(value)) for value in whole]
    in_blocks = [bool(together.see(*block)) for block in blocks]
    assert any(fired) == any(in_blocks)
    if any(fired):
        before = sum(len(block) for block in blocks[: in_blocks.index(True)])
        assert before <= fired.index(True) < before + len(blocks[in_blocks.index(True)])


# -- from the station file ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"when": "s.y > 20"}, "triggers.t.when: "),
        ({"when": "s.x"}, "is a number"),
        ({"when": "s.x >"}, "triggers.t.when"),
        ({}, "triggers.t.when"),
        ({"when": "s.x > 20", "pre": 3}, "triggers.t.pre"),
        ({"when": "s.x > 20", "post_s": 0}, "triggers.t.post_s"),
        ({"when": "s.x > 20", "streams": ["q"]}, "triggers.t.streams: there is no q"),
        ({"when": "s.x > 20", "instruments": ["q"]}, "triggers.t.instruments: there is no q"),
        ({"when": "s.x > 20", "format": "doc"}, "triggers.t.format: there is no doc"),
        ({"when": "s.x > 20", "record": "../x"}, "triggers.t.record"),
    ],
)
def test_a_wrong_table_is_refused_with_its_place(table, said):
    with pytest.raises(ConfigError, match=said.replace(".", r"\.")):
        read_triggers({"t": table}, [STREAM], ["s"])


# -- a station ---------------------------------------------------------------------------------------------
def until(condition, timeout_s=20.0):
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it never became so"
        time.sleep(0.005)
    return found


def make(tmp_path, triggers):
    gen = {"driver": "sine", "options": {"rate_hz": 1000, "channels": 2, "counter": True, "frequency_hz": 1}}
    data = {
        "station": {"name": "bench", "data": str(tmp_path / "data")},
        "instruments": {"gen": gen, "other": {"driver": "sine", "options": {"rate_hz": 100, "channels": 1}}},
        "triggers": triggers,
    }
    return Station(configuration.parse(data))


def test_a_trigger_records_what_was_before_and_after(tmp_path):
    when = {"when": "gen.counter >= 1000", "pre_s": 0.5, "post_s": 0.5, "record": "burn", "streams": ["gen"]}
    station = make(tmp_path, {"ignition": when, "sleeping": {**when, "armed": False}})
    station.start()
    try:
        until(lambda: station.triggers.status()[0]["fired"])
        [id] = until(lambda: station.triggers.status()[0]["recordings"])
        until(lambda: station.recordings.find(id) is None)
        told = {one["name"]: one for one in station.triggers.status()}
        assert told["ignition"]["state"] == "waiting" and told["sleeping"]["state"] == "off"
        assert told["sleeping"]["recordings"] == []
        recording = station.recordings.files(id).recording()
        assert (recording.name, recording.ended) == ("burn", "stop")
        assert recording.origin["begun_by"] == "trigger/ignition"
        blocks = list(RecordingReader(station.recordings.files(id).path).blocks("gen"))
        counter = np.concatenate([block.columns()[0] for block in blocks])
        assert counter[0] == 500 and counter[-1] >= 1450 and (np.diff(counter) == 1).all()
        kinds = [e.body.get("state") for e in station.recordings.files(id).events.read()]
        assert "recording" in kinds
        said = [e for e in station.events(100) if e["source"] == "trigger/ignition"]
        assert {"fired", "recording", "ended"} >= {e["body"]["state"] for e in said} >= {"fired", "recording"}
        assert (
            "gen.counter is 1000" in next(e for e in said if e["body"]["state"] == "fired")["body"]["reason"]
        )
    finally:
        station.shutdown()


def test_by_hand(tmp_path):
    table = {"when": "gen.counter < 0", "post_s": 0.3, "streams": ["gen"]}
    station = make(tmp_path, {"hand": table})
    station.start()
    try:
        until(lambda: station.triggers.status()[0]["state"] == "armed")
        main = station.record_start({"name": "main"})  # a trigger's recording stands beside another
        station.triggers.fire("hand", "ana")
        until(lambda: station.triggers.status()[0]["recordings"])
        assert station.triggers.status()[0]["state"] == "recording"
        assert len(station.recorders()) == 2
        until(lambda: station.triggers.status()[0]["state"] == "armed")
        until(lambda: len(station.recorders()) == 1)
        assert station.record_stop(main["id"])["ended"] == "stop"
        assert station.triggers.disarm("hand", "ana")["state"] == "off"
        with pytest.raises(Conflict):
            station.triggers.fire("hand")
        station.triggers.arm("hand")
        with pytest.raises(NotFound):
            station.triggers.arm("none")
        station.triggers.fire("hand")
        id = until(lambda: station.triggers.status()[0]["recording_id"])
        station.record_stop(id)  # somebody else ends it
        until(lambda: station.triggers.status()[0]["state"] == "armed")
    finally:
        station.shutdown()


def test_a_recording_of_a_trigger_that_a_crash_cut_off_is_closed_and_not_continued(tmp_path):
    table = {"when": "gen.counter < 0", "post_s": 60, "streams": ["gen"]}
    data = {"recording": {"after_crash": "continue"}}
    station = make(tmp_path, {"hand": table})
    station.start()
    until(lambda: station.triggers.status()[0]["state"] == "armed")
    station.triggers.fire("hand")
    id = until(lambda: station.triggers.status()[0]["recording_id"])
    until(lambda: station.recorders() and station.recorders()[0]["rows"] > 100)
    file = station.recordings.files(id).path / "recording.json"
    before = file.read_text()
    station.shutdown()
    file.write_text(before)
    config = {
        "station": {"name": "bench", "data": str(tmp_path / "data")},
        "instruments": {
            "gen": {"driver": "sine", "options": {"rate_hz": 1000, "channels": 2, "counter": True}}
        },
        **data,
    }
    again = Station(configuration.parse(config))
    again.start()
    try:
        until(lambda: again.recordings.files(id).recording().ended == "crash")
    finally:
        again.shutdown()
