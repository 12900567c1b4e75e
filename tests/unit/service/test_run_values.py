"""What a run sees of the streams that its conditions name: each row with its time, and what it missed."""

import numpy as np
import pytest

from kymograph.acquire.fanout import Fanout
from kymograph.control.expression import Unknown, compile_condition
from kymograph.control.freshness import names_of
from kymograph.control.sequence.catalogue import Catalogue
from kymograph.control.sequence.read import read
from kymograph.control.sequence.runner import Run
from kymograph.model.block import Block, Rows
from kymograph.model.channel import Channel, Stream
from kymograph.model.clock import Clock
from kymograph.model.limits import RUN_BLOCKS_MAX
from kymograph.service.runs.values import RunValues

MS = 1_000_000
S = 1000 * MS
WALL = 1_700_000_000 * S
STAND = Stream("stand", (Channel("P1", "float64"),), 1000)
ROOM = Stream("room", (Channel("T", "float64"),), 0.1)
NAMES = names_of([STAND, ROOM])


class Empty:
    """A ring in which there is nothing yet."""

    extent = (0, 0)

    def view(self):
        return self

    def blocks(self, start, stop):
        return iter(())


class Bench:
    """The streams of a station without instruments, a clock, and a run of one `wait_until`."""

    def __init__(self, condition="stand.P1 > 10", stable_for=0.1, timeout=60, begin=True):
        self.now_ns = 100 * S
        self.streams = {stream.name: stream for stream in (STAND, ROOM)}
        self.stream_names = list(self.streams)
        self.rings = {name: Empty() for name in self.streams}
        self.fanouts = {name: Fanout() for name in self.streams}
        clock = Clock(lambda: self.now_ns, lambda: self.now_ns + WALL)
        self.values = RunValues([condition], Catalogue({}, NAMES), self, clock)
        self.values.open()
        text = f"wait_until: {{condition: {condition}, stable_for: {stable_for}, timeout: {timeout}}}"
        self.run = Run(read(f"name: a\nsteps:\n  - {text}\n"), {}, NAMES)
        self.seq = 0
        if begin:
            self.turn()

    def stream(self, name):
        return self.streams[name]

    def fanout(self, name):
        return self.fanouts[name]

    def measure(self, *values, stream=STAND):
        """Rows a millisecond apart, of which the last is measured just now, a millisecond per row later."""
        self.now_ns += len(values) * MS
        times = self.now_ns + WALL - MS * np.arange(len(values))[::-1]
        self.fanouts[stream.name].publish(
            Block.pack(stream, 1, self.seq, Rows(stream.name, times, [np.array(values, np.float64)]))
        )
        self.seq += len(values)

    def turn(self):
        """One turn of the thread that drives the run."""
        condition = self.run.condition
        for looked in self.values.take(condition):
            self.run.saw(*looked)
        self.run.advance(self.now_ns, self.values.at(self.now_ns), self.values.seen_ns(condition))
        return self.run.state


def test_a_spike_of_one_row_between_two_looks_breaks_what_is_to_be_stable():
    bench = Bench()
    bench.measure(*[20] * 50)
    assert bench.turn() == "running"
    bench.measure(*[20] * 30, 5, *[20] * 19)
    bench.measure(*[20] * 50)
    assert bench.turn() == "running"  # 150 ms after the first, and at every look it held
    bench.measure(*[20] * 31)
    assert bench.turn() == "running"
    bench.measure(20)
    assert bench.turn() == "done"
    (met,) = bench.run.met
    assert met.met_ns == 100 * S + 182 * MS


def test_what_held_for_long_enough_is_met_though_it_is_over_when_somebody_looks():
    bench = Bench()
    bench.measure(*[5] * 10, *[20] * 101, *[5] * 10)
    assert bench.turn() == "done"
    assert bench.run.met[0].met_ns == 100 * S + 111 * MS


def test_a_single_row_is_seen_where_nothing_need_be_stable():
    bench = Bench(stable_for=0)
    bench.measure(*[5] * 10, 20, *[5] * 10)
    assert bench.turn() == "done"


def test_silence_between_two_blocks_breaks_it_also_if_nobody_looked_meanwhile():
    bench = Bench(stable_for=2)
    bench.measure(*[20] * 10)
    bench.now_ns += 3 * S
    bench.measure(*[20] * 10)
    assert bench.turn() == "running"


def test_a_moment_without_a_number_does_not():
    bench = Bench()
    bench.measure(*[20] * 50, float("nan"), *[20] * 50)
    assert bench.turn() == "done"


def test_what_was_measured_before_the_step_began_does_not_count():
    bench = Bench(begin=False)
    bench.measure(*[20] * 500)
    assert bench.turn() == "running"
    bench.measure(*[20] * 99)
    assert bench.turn() == "running"
    bench.measure(20)
    assert bench.turn() == "done"


def test_what_is_measured_during_a_pause_does_not_count():
    bench = Bench()
    bench.measure(*[20] * 90)
    bench.turn()
    bench.run.pause(bench.now_ns)
    bench.measure(*[20] * 300)
    assert bench.turn() == "paused"
    bench.run.resume(bench.now_ns)
    assert bench.turn() == "running"
    bench.measure(*[20] * 99)
    assert bench.turn() == "running"
    bench.measure(20)
    assert bench.turn() == "done"


def test_more_blocks_than_are_kept_are_not_looked_at_and_break_it():
    bench = Bench(stable_for=0.4)
    for _ in range(RUN_BLOCKS_MAX):
        bench.measure(20)
    bench.measure(5)
    assert bench.values.rows_lost == 1
    assert bench.turn() == "running"
    bench.measure(*[20] * 400)  # the 401st row since the one that nobody saw is yet to come
    assert bench.turn() == "running"
    bench.measure(20)
    assert bench.turn() == "done"


def test_of_two_streams_both_must_have_been_seen():
    bench = Bench("stand.P1 > 10 and room.T < 30", stable_for=0.1)
    bench.measure(20, stream=ROOM)
    bench.measure(*[20] * 300)
    assert bench.turn() == "running"  # the room may have been hot meanwhile
    bench.measure(20, stream=ROOM)
    assert bench.turn() == "done"


def test_rows_of_the_slower_stream_break_it_too():
    bench = Bench("stand.P1 > 10 and room.T < 30", stable_for=0.1)
    bench.measure(20, stream=ROOM)
    bench.measure(*[20] * 300)
    bench.measure(40, stream=ROOM)
    assert bench.turn() == "running"
    bench.measure(20, stream=ROOM)
    bench.measure(*[20] * 101)
    bench.measure(20, stream=ROOM)
    assert bench.turn() == "done"


def test_what_no_condition_names_is_not_listened_to():
    bench = Bench()
    bench.measure(20, stream=ROOM)
    assert not bench.values.fresh
    bench.values.close()
    bench.measure(20)
    assert not bench.values.fresh


@pytest.mark.parametrize(("age_s", "known"), [(0.9, True), (1.1, False)])
def test_the_newest_value_is_known_as_long_as_it_is_fresh(age_s, known):
    bench = Bench()
    bench.measure(20)
    assert list(bench.values.take(compile_condition("room.T > 1", NAMES))) == []
    bench.now_ns += round(age_s * S)
    value = bench.values.at(bench.now_ns)["stand.P1"]
    assert isinstance(value, Unknown) is not known
