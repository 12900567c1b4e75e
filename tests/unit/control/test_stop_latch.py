"""Stop-all: pressed by anyone at any time, reset in two steps, and across a restart."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kymograph.control.stop_latch import StopLatch, stop_from_dict
from kymograph.model.errors import Conflict, Refused
from kymograph.model.limits import STOP_RESET_S_MAX

S = 1_000_000_000


def test_it_stays_until_both_steps_are_taken():
    latch = StopLatch()
    latch.check()
    latch.press("anna", "smoke", 7)
    with pytest.raises(Refused, match="stopped by anna: smoke"):
        latch.check()
    number = latch.ask_reset(0)
    with pytest.raises(Refused):
        latch.check()
    assert latch.confirm_reset(number, S).by == "anna"
    latch.check()
    assert latch.to_dict() == {"stopped": False, "stop": None}


def test_the_first_press_is_told_and_all_are_counted():
    latch = StopLatch()
    latch.press("anna", "smoke", 7)
    stop = latch.press("ben", "fire", 8)
    assert (stop.by, stop.reason, stop.time_ns, stop.presses) == ("anna", "smoke", 7, 2)


def test_a_press_between_the_steps_counts_more():
    latch = StopLatch()
    latch.press("anna", "", 0)
    number = latch.ask_reset(0)
    latch.press("ben", "", 0)
    with pytest.raises(Conflict, match="begin again"):
        latch.confirm_reset(number, 0)
    with pytest.raises(Refused):
        latch.check()


def test_a_second_step_that_comes_late_or_for_another_does_nothing():
    latch = StopLatch()
    with pytest.raises(Conflict, match="nothing is stopped"):
        latch.ask_reset(0)
    latch.press("anna", "", 0)
    first = latch.ask_reset(0)
    second = latch.ask_reset(0)
    with pytest.raises(Conflict):
        latch.confirm_reset(first, 0)
    with pytest.raises(Conflict, match="later"):
        latch.confirm_reset(second, int(STOP_RESET_S_MAX * S) + 1)
    with pytest.raises(Conflict):
        latch.confirm_reset(second, 0)
    assert latch.stop is not None


def test_a_stop_outlives_the_program():
    stop = StopLatch().press("anna", "smoke", 7)
    latch = StopLatch(stop_from_dict(stop.to_dict()))
    with pytest.raises(Refused, match="anna"):
        latch.check()


class Latch(RuleBasedStateMachine):
    """Nothing passes after a press until somebody asked, and confirmed, with no press in between."""

    @initialize()
    def begin(self):
        self.latch, self.now_ns = StopLatch(), 0
        self.stopped, self.good = False, None

    @rule()
    def press(self):
        self.latch.press("anyone", "", 0)
        self.stopped, self.good = True, None

    @rule()
    def ask(self):
        try:
            self.good = (self.latch.ask_reset(self.now_ns), self.now_ns)
        except Conflict:
            assert not self.stopped

    @rule(number=st.integers(0, 5), ms=st.sampled_from([1, 1000, 40_000]), right=st.booleans())
    def confirm(self, number, ms, right):
        self.now_ns += ms * 1_000_000
        if right and self.good:
            number = self.good[0]
        try:
            self.latch.confirm_reset(number, self.now_ns)
        except Conflict:
            return
        assert self.good is not None
        assert self.good[0] == number
        assert self.now_ns - self.good[1] <= STOP_RESET_S_MAX * S
        self.stopped, self.good = False, None

    @invariant()
    def it_holds(self):
        if not hasattr(self, "latch"):
            return
        try:
            self.latch.check()
            assert not self.stopped
        except Refused:
            assert self.stopped


Latch.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
test_it_holds_in_every_history = Latch.TestCase
