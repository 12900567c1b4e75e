"""Interlocks: what trips, when, for how long, why; and that silence never passes for safety."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from pydantic import ValidationError

from kymograph.control.freshness import Freshness, names_of
from kymograph.control.grammar import Known
from kymograph.control.interlock import OK, PENDING, TRIPPED, Interlock, InterlockTable
from kymograph.control.interlocks import Interlocks, read_tables
from kymograph.model.block import Block, Rows
from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import ConfigError, NotFound, Refused

MS = 1_000_000
S = 1000 * MS
STAND = Stream("stand", (Channel("P1", unit="bar"), Channel("P2", unit="bar")), 1000)
TANK = Stream("tank", (Channel("T1", "float64", unit="Cel"),), 10)
WALL = 1_700_000_000 * S


def block(*rows, stream=STAND, step_ns=MS):
    """Rows of P1 and P2 (or P1 alone) a millisecond apart."""
    pairs = [row if isinstance(row, tuple) else (row,) * len(stream.channels) for row in rows]
    times = WALL + step_ns * np.arange(len(rows))
    columns = [np.array(column, np.float64) for column in zip(*pairs, strict=True)]
    return Block.pack(stream, 1, 0, Rows(stream.name, times, columns))


class Bench:
    """One interlock, fed as the station does it."""

    def __init__(self, words=None, **table):
        self.all = Interlocks({"one": InterlockTable(**table)}, [STAND, TANK], words)
        self.now_ns = 100 * S

    def take(self, *rows, ms=None, stream=STAND):
        self.now_ns += (len(rows) if ms is None else ms) * MS
        return self.all.take(block(*rows, stream=stream), self.now_ns)

    def wait(self, ms):
        self.now_ns += ms * MS
        return self.all.tick(self.now_ns)

    @property
    def told(self):
        return self.all.to_dict(self.now_ns)[0]

    @property
    def state(self):
        return self.told["state"]

    def passes(self):
        try:
            self.all.check("stand", "GOX1", self.now_ns)
        except Refused:
            return False
        return True


def test_a_trip_acts_once_says_why_and_is_latched():
    bench = Bench(trip="stand.P1 > 35", message="chamber pressure too high")
    assert bench.state == PENDING
    assert not bench.passes(), "nothing is known yet"
    assert [c.after for c in bench.take(1, 2)] == [OK]
    assert bench.passes()
    (change,) = bench.take(34, 36.25, 20)
    assert (change.before, change.after, change.actions) == (OK, TRIPPED, "safe")
    assert change.reason == "chamber pressure too high: stand.P1 is 36.25 bar, 1.25 bar above 35"
    assert change.time_ns == bench.now_ns - MS, "of the row that made the difference"
    assert bench.take(1, 1) == []
    assert bench.state == TRIPPED
    assert bench.told["reason"] == change.reason
    assert bench.told["now"] == "stand.P1 is 1 bar, 34 bar below 35"
    with pytest.raises(Refused, match=r"1\.25 bar above 35"):
        bench.all.check("stand", "GOX1", bench.now_ns)


def test_one_row_inside_a_block_is_not_missed():
    bench = Bench(trip="stand.P1 > 35")
    bench.take(1)
    rows = [1.0] * 2000
    rows[777] = 35.5
    assert [c.after for c in bench.take(*rows)] == [TRIPPED]


def test_a_latched_trip_is_reset_only_when_its_cause_is_gone():
    bench = Bench(trip="stand.P1 > 35", hysteresis=2)
    bench.take(1)
    bench.take(36)
    for value in (36, 34, 33.5):
        bench.take(value)
        with pytest.raises(Refused, match=r"cannot be reset: stand\.P1 is"):
            bench.all.reset("one", bench.now_ns)
    bench.take(32)
    (change,) = bench.all.reset("one", bench.now_ns)
    assert (change.before, change.after, change.actions) == (TRIPPED, OK, None)
    assert bench.all.reset("one", bench.now_ns) == []
    assert bench.passes()
    bench.take(34)
    assert bench.passes(), "hysteresis counts after a trip only"
    with pytest.raises(NotFound):
        bench.all.reset("two", bench.now_ns)


def test_a_reset_needs_fresh_values():
    bench = Bench(trip="stand.P1 > 35", max_age_s=0.1)
    bench.take(1)
    bench.take(36)
    bench.take(1)
    bench.wait(200)
    with pytest.raises(Refused, match="stale"):
        bench.all.reset("one", bench.now_ns)


def test_a_trip_waits_for_s_and_noise_does_not_restart_it_within_the_hysteresis():
    bench = Bench(trip="stand.P1 > 35", for_s=0.01, hysteresis=2)
    bench.take(1)
    assert [c.after for c in bench.take(36, 34, 36, 34)] == [PENDING]
    assert not bench.passes()
    assert "acts after 0.01 s" in bench.told["reason"]
    assert [c.after for c in bench.take(36, 36, 36)] == []
    assert [c.after for c in bench.take(36, 36, 36, 36)] == [TRIPPED]


def test_a_short_excursion_is_no_trip_and_no_flood_of_events():
    bench = Bench(trip="stand.P1 > 35", for_s=0.01)
    bench.take(1)
    assert bench.take(*[36, 1] * 50) == []
    assert bench.state == OK
    assert [c.after for c in bench.take(36)] == [PENDING]
    assert [c.after for c in bench.take(1)] == [OK]


def test_a_trip_that_waits_acts_without_further_rows():
    bench = Bench(trip="stand.P1 > 35", for_s=0.05)
    bench.take(1)
    bench.take(36)
    assert bench.wait(40) == []
    assert [c.after for c in bench.wait(10)] == [TRIPPED]


def test_the_time_of_rows_counts_and_not_that_of_their_arrival():
    bench = Bench(trip="stand.P1 > 35", for_s=0.05)
    bench.take(1)
    assert [c.after for c in bench.take(*[36] * 60, ms=1)] == [PENDING], "time does not run backwards"
    bench.wait(200)
    bench = Bench(trip="stand.P1 > 35", for_s=0.05)
    bench.take(1)
    (change,) = bench.take(*[1] * 20, *[36] * 60, *[1] * 20, ms=100)
    assert change.after == TRIPPED
    assert change.time_ns == bench.now_ns - 20 * MS, "of the last row that was high"


def test_silence_trips_at_once_and_says_so():
    bench = Bench(trip="stand.P1 > 35", for_s=3600, max_age_s=0.5)
    bench.take(1)
    assert bench.wait(500) == []
    (change,) = bench.wait(100)
    assert change.after == TRIPPED
    assert change.reason == "stand.P1 is stale: its last value is 0.6 s old, 0.5 s are allowed"


def test_rows_that_come_too_late_mean_nothing():
    bench = Bench(trip="stand.P1 > 35", max_age_s=0.5)
    bench.take(1)
    bench.now_ns += S
    (change,) = bench.all.take(block(1, 1), bench.now_ns, age_ns=600 * MS)
    assert (change.after, "stale" in change.reason) == (TRIPPED, True)


def test_it_says_whether_a_value_that_it_needs_is_stale():
    bench = Bench(trip="stand.P1 > 35", max_age_s=0.5)
    assert bench.told["stale"] is True  # there is none yet
    bench.take(10)
    assert bench.told["stale"] is False
    bench.take(40)
    assert (bench.told["stale"], bench.state) == (False, TRIPPED)
    bench.wait(600)
    assert bench.told["stale"] is True


def test_a_command_is_refused_over_stale_data_before_anybody_looked_at_the_time():
    bench = Bench(trip="stand.P1 > 35", max_age_s=0.5)
    bench.take(1)
    bench.now_ns += 501 * MS
    with pytest.raises(Refused, match="stale"):
        bench.all.check("stand", "", bench.now_ns)


def test_a_spoiled_value_is_no_value_and_only_lasting_ones_trip():
    nan = float("nan")
    bench = Bench(trip="stand.P1 > 35", max_age_s=0.1)
    bench.take(1)
    assert bench.take(nan) == []
    assert bench.take(nan, nan, 2, nan) == []
    assert bench.take(nan, ms=97) == []
    assert [c.after for c in bench.take(nan, ms=5)] == [TRIPPED]


def test_a_hole_inside_one_block_is_silence_too():
    nan = float("nan")
    bench = Bench(trip="stand.P1 > 35", max_age_s=0.01)
    bench.take(1)
    assert [c.after for c in bench.take(1, *[nan] * 20, 1)] == [TRIPPED]


def test_a_lost_link_is_silence_at_once():
    bench = Bench(trip="stand.P1 > 35", max_age_s=60)
    bench.take(1)
    assert [c.after for c in bench.all.forget("stand", bench.now_ns)] == [TRIPPED]


def test_nothing_is_acted_upon_before_the_first_values():
    bench = Bench(trip="stand.P1 > 35", max_age_s=0.1)
    assert bench.wait(10_000) == []
    assert bench.state == PENDING
    assert bench.told["reason"] == "stand.P1 has no value yet"
    assert [c.after for c in bench.take(36)] == [TRIPPED], "but the first of them can"


def test_what_is_not_known_at_first_is_no_danger_that_goes_on():
    nan = float("nan")
    for rows in ([nan, 34], [34]):
        bench = Bench(trip="stand.P1 > 35", hysteresis=2)
        assert [c.after for c in bench.take(*rows)] == [OK]


def test_a_permit_refuses_until_its_condition_has_lasted():
    bench = Bench(permit="stand.P1 > 10", for_s=0.02, hysteresis=1)
    assert not bench.passes()
    bench.take(5)
    assert bench.state == TRIPPED
    with pytest.raises(Refused, match=r"stand\.P1 is 5 bar, 5 bar below 10"):
        bench.all.check("stand", "", bench.now_ns)
    bench.take(10.5)
    assert bench.state == TRIPPED, "not by the hysteresis yet"
    assert [c.after for c in bench.take(12)] == [PENDING]
    assert "permits after 0.02 s" in bench.told["reason"]
    assert not bench.passes()
    bench.take(5)
    bench.take(12)
    assert [(c.after, c.actions) for c in bench.wait(25)] == [(OK, None)]
    assert bench.passes()
    bench.take(10.5)
    assert bench.passes()
    assert [(c.after, c.actions) for c in bench.take(9)] == [(TRIPPED, None)], "it refuses, and does nothing"


def test_a_trip_that_is_not_latched_goes_by_itself():
    bench = Bench(trip="stand.P1 > 35", clear="stand.P1 < 20", latched=False)
    bench.take(1)
    bench.take(36)
    bench.take(30)
    assert bench.state == TRIPPED
    assert [c.after for c in bench.take(19)] == [OK]


def test_conditions_over_two_streams_need_both():
    bench = Bench(trip="stand.P1 > 35 and tank.T1 > 50", max_age_s=1)
    bench.take(1)
    assert bench.state == PENDING
    bench.take(20.0, stream=TANK)
    assert bench.state == OK
    bench.take(36)
    assert bench.state == OK
    assert [c.after for c in bench.take(60.0, stream=TANK)] == [TRIPPED]
    bench = Bench(trip="stand.P1 > 35 or tank.T1 > 50", max_age_s=1)
    bench.take(20.0, stream=TANK)
    bench.take(1)
    assert [c.after for c in bench.take(1, ms=1001)] == [TRIPPED], "the tank says nothing"


def test_words_of_a_status_count_as_well():
    words = {"stand.state": Known(labels=("idle", "acquiring", "fault"))}
    bench = Bench(words, trip='stand.state == "fault" or stand.P1 > 35', max_age_s=10)
    bench.all.put("stand.state", "acquiring", bench.now_ns)
    bench.take(1, 2, 3)
    assert bench.state == OK
    (change,) = bench.all.put("stand.state", "fault", bench.now_ns)
    assert change.reason.startswith("stand.state is fault; stand.P1 is 3 bar")
    bench = Bench(words, permit='stand.state == "acquiring"', max_age_s=10)
    bench.all.put("stand.state", "acquiring", bench.now_ns)
    assert bench.passes()
    bench.all.put("stand.state", None, bench.now_ns)
    assert not bench.passes()


def test_the_margin_is_told():
    bench = Bench(trip="stand.P1 > 35")
    bench.take(30)
    assert bench.told["margin"] == 5
    bench.take(36)
    assert bench.told["margin"] == -1
    bench = Bench(permit="10 < stand.P1 < 20")
    bench.take(12)
    assert bench.told["margin"] == 2


def test_it_covers_what_it_applies_to():
    bench = Bench(trip="stand.P1 > 35", applies_to=("stand.GOX1", "tank"))
    bench.take(1)
    bench.take(36)
    for instrument, target, refused in (
        ("stand", "GOX1", True), ("stand", "FUEL1", False), ("tank", "heat", True), ("lamp", "", False)
    ):  # fmt: skip
        if refused:
            with pytest.raises(Refused):
                bench.all.check(instrument, target, bench.now_ns)
        else:
            bench.all.check(instrument, target, bench.now_ns)


def test_its_actions_come_with_the_trip():
    action = {"instrument": "stand", "command": "valves", "arguments": {"valves": [0] * 9}}
    bench = Bench(trip="stand.P1 > 35", actions=[action])
    bench.take(1)
    (change,) = bench.take(36)
    assert [a.model_dump() for a in change.actions] == [action]
    assert change.to_dict()["state"] == TRIPPED


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({}, "either trip or permit"),
        ({"trip": "stand.P1 > 1", "permit": "stand.P1 > 1"}, "either trip or permit"),
        ({"trip": "stand.P1 > 1", "clear": "stand.P1 < 1", "hysteresis": 1}, "either hysteresis or clear"),
        ({"permit": "stand.P1 > 1", "actions": "safe"}, "actions belong to a trip"),
        ({"trip": "stand.P1 > 1", "actions": []}, "at least 1"),
        ({"trip": "stand.P1 > 1", "max_age_s": 0}, "greater than 0"),
        ({"trip": "stand.P1 > 1", "colour": "red"}, "Extra"),
    ],
)
def test_a_table_makes_sense(table, words):
    with pytest.raises(ValidationError, match=words):
        InterlockTable(**table)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ({"trip": "stand.P3 > 1"}, "interlocks.hot.trip: there is no stand.P3 (column 1)"),
        ({"permit": "stand.P1 + 1"}, "interlocks.hot.permit: stand.P1 + 1 is a number"),
        ({"trip": "stand.P1 > 1", "clear": "P1 < 1"}, "interlocks.hot.clear: there is no P1"),
        ({"trip": "stand.P1 > stand.P2", "hysteresis": 1}, "interlocks.hot.hysteresis"),
        ({"trip": "1 > 2"}, "the same whatever happens"),
    ],
)
def test_expressions_are_read_with_the_station_file(table, words):
    with pytest.raises(ConfigError) as caught:
        Interlock("hot", InterlockTable(**table), names_of([STAND]))
    assert words in str(caught.value)


PLACES = ["stand", "stand.GOX1", "stand.valves", "lamp"]
TRIP = {"trip": "stand.P1 > 1"}


@pytest.mark.parametrize(
    ("name", "table", "words"),
    [
        ("hot", {"trip": "x", "for_s": -1}, "interlocks.hot.for_s: "),
        ("hot", {}, "interlocks.hot: Value error, give either trip or permit"),
        ("../hot", TRIP, "interlocks.../hot: the name may not start"),
        (
            "hot",
            {**TRIP, "applies_to": ["stand.GOX"]},
            "applies_to: there is no stand.GOX (did you mean stand.GOX1",
        ),
        (
            "hot",
            {**TRIP, "actions": [{"instrument": "stand", "command": "valve"}]},
            "did you mean stand.valves",
        ),
        (
            "hot",
            {**TRIP, "actions": [{"instrument": "stand"}]},
            "interlocks.hot.actions.0.command: Field required",
        ),
    ],
)
def test_what_is_wrong_in_the_station_file_is_said_with_its_key(name, table, words):
    with pytest.raises(ConfigError) as caught:
        read_tables({name: table}, PLACES)
    assert words in str(caught.value)


def test_tables_are_read_as_they_are():
    action = {"instrument": "stand", "command": "valves"}
    table = {**TRIP, "applies_to": ["lamp", "stand.GOX1"], "actions": [action]}
    assert read_tables({"hot": table}, PLACES) == {"hot": InterlockTable(**table)}


def test_freshness_knows_how_old_each_value_is():
    nan = float("nan")
    freshness = Freshness([STAND])
    freshness.watch(["stand.P1", "stand.P2"])
    assert freshness.newest("stand.P1") is None
    freshness.take(block((1, 2), (3, nan)), 10 * S)
    assert freshness.newest("stand.P1") == (3, 10 * S)
    assert freshness.newest("stand.P2") == (2, 10 * S - MS)
    freshness.take(block((nan, nan), (4, nan)), 11 * S, age_ns=5 * MS)
    assert freshness.newest("stand.P1") == (4, 11 * S - 5 * MS)
    assert freshness.newest("stand.P2") == (2, 10 * S - MS)
    assert freshness.fresh("stand.P2", 10 * S + 999 * MS, 1)
    assert not freshness.fresh("stand.P2", 11 * S, 1)
    freshness.put("word", "on", 0)
    assert freshness.newest("word") == ("on", 0)
    freshness.put("word", nan, 0)
    assert freshness.newest("word") is None
    assert freshness.newest("unheard.of") is None


@given(
    st.lists(st.lists(st.sampled_from([1.0, 34.0, 36.0, float("nan")]), min_size=1, max_size=8), max_size=12),
    st.booleans(),
    st.sampled_from([0.0, 2.0]),
)
def test_blocks_of_any_size_end_as_single_rows_do(blocks, latched, hysteresis):
    table = {"trip": "stand.P1 > 35", "for_s": 0.003, "hysteresis": hysteresis, "latched": latched}
    whole, single = (Bench(**table, max_age_s=0.005) for _ in range(2))
    for rows in blocks:
        many = [c.after for c in whole.take(*rows)]
        few = [c.after for row in rows for c in single.take(row)]
        assert whole.state == single.state
        assert (TRIPPED in many) == (TRIPPED in few)


class NeverOkOnStaleData(RuleBasedStateMachine):
    """Two channels that come, fail and fall silent; what is ok was measured, lately, and is harmless."""

    @initialize(latched=st.booleans(), for_s=st.sampled_from([0.0, 0.05]), permit=st.booleans())
    def begin(self, latched, for_s, permit):
        condition = {"permit": "stand.P1 <= 35"} if permit else {"trip": "stand.P1 > 35"}
        self.bench = Bench(**condition, latched=latched, for_s=for_s, max_age_s=0.2)
        self.latched, self.last, self.acted = latched, None, False

    def note(self, changes):
        self.acted = self.acted or any(c.after == TRIPPED for c in changes)

    @rule(rows=st.lists(st.sampled_from([1.0, 34.0, 36.0, float("nan")]), min_size=1, max_size=5))
    def rows(self, rows):
        self.note(self.bench.take(*rows))
        for back, value in enumerate(reversed(rows)):
            if value == value:
                self.last = (value, self.bench.now_ns - back * MS)
                break

    @rule(ms=st.integers(1, 300))
    def time_passes(self, ms):
        self.note(self.bench.wait(ms))

    @rule(ms=st.integers(1, 300))
    def time_passes_unseen(self, ms):
        self.bench.now_ns += ms * MS

    @rule()
    def link_lost(self):
        self.note(self.bench.all.forget("stand", self.bench.now_ns))
        self.last = None

    @rule()
    def reset(self):
        try:
            changes = self.bench.all.reset("one", self.bench.now_ns)
        except Refused:
            return
        self.acted = self.acted and not changes

    @invariant()
    def what_passes_is_fresh_and_harmless(self):
        if self.bench.passes():
            assert self.last is not None
            value, time_ns = self.last
            assert value <= 35
            assert self.bench.now_ns - time_ns <= 200 * MS
            assert not (self.latched and self.acted)


NeverOkOnStaleData.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
test_never_ok_on_stale_data = NeverOkOnStaleData.TestCase
