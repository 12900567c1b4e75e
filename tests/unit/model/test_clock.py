"""UTC never runs backwards but by a correction that is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kymograph.model.clock import STEP_NS, Clock

SECOND = 1_000_000_000


class Sources:
    """A monotonic clock and a wall clock, set by hand: the edge where a test stands in for the computer."""

    def __init__(self, mono=5 * SECOND, wall=1_700_000_000 * SECOND):
        self.mono = mono
        self.wall = wall

    def clock(self):
        return Clock(lambda: self.mono, lambda: self.wall)

    def pass_time(self, ns):
        self.mono += ns
        self.wall += ns


def test_it_begins_at_the_wall_clock():
    sources = Sources()
    assert sources.clock().now_ns() == sources.wall


@given(st.lists(st.integers(0, 10 * SECOND), max_size=20), st.integers(-(10**18), 10**18))
def test_a_jump_of_the_wall_clock_moves_nothing_until_it_is_observed(steps, jump):
    sources = Sources()
    clock = sources.clock()
    last = clock.now_ns()
    for step in steps:
        sources.wall += jump
        sources.mono += step
        assert clock.now_ns() == last + step
        last = clock.now_ns()


def test_a_small_difference_is_left_to_drift():
    sources = Sources()
    clock = sources.clock()
    sources.pass_time(3600 * SECOND)
    sources.wall += STEP_NS
    assert clock.observe() is None
    assert clock.generation == 0


def test_a_step_forwards_is_told_with_its_size_and_source():
    sources = Sources()
    clock = sources.clock()
    before = clock.offset_ns
    sources.wall += 30 * SECOND
    change = clock.observe("ntp")
    assert change is not None
    assert (change.old_offset_ns, change.new_offset_ns) == (before, before + 30 * SECOND)
    assert (change.step_ns, change.source) == (30 * SECOND, "ntp")
    assert change.error_bound_ns >= STEP_NS
    assert clock.now_ns() == sources.wall
    assert clock.generation == 0
    assert clock.observe() is None


def test_a_step_backwards_begins_a_new_generation():
    sources = Sources()
    clock = sources.clock()
    sources.wall -= 2 * 365 * 86400 * SECOND
    change = clock.observe()
    assert change is not None
    assert change.step_ns < 0
    assert clock.generation == 1
    assert clock.now_ns() == sources.wall


@pytest.mark.parametrize("excess", [-1, 1])
def test_the_bound_itself_is_not_a_step(excess):
    sources = Sources()
    clock = sources.clock()
    sources.wall += STEP_NS + excess
    assert (clock.observe() is not None) == (excess > 0)


def test_a_slow_reading_widens_the_error_bound_and_takes_the_middle():
    sources = Sources()
    clock = sources.clock()
    sources.pass_time(SECOND)
    sources.wall += 10 * SECOND
    readings = iter([sources.mono, sources.mono + 2000])
    slow = Clock(lambda: sources.mono, lambda: sources.wall - 10 * SECOND)
    slow._monotonic_ns = lambda: next(readings)
    slow._wall_ns = lambda: sources.wall
    change = slow.observe()
    assert change is not None
    assert change.new_offset_ns == sources.wall - (sources.mono + 1000)
    assert change.error_bound_ns == STEP_NS + 1000
    assert clock.observe() is not None
