"""Arm, then execute: in time, once, by the same one, under the same control."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from kymograph.control.arming import Arming
from kymograph.model.errors import Conflict, InvalidInput, KymographError, Refused

S = 1_000_000_000


def test_what_was_armed_can_be_done_once():
    arming = Arming()
    arming.arm("ignition", "anna", 1, 5, 0)
    assert arming.armed("ignition", S).to_dict(S)["remaining_s"] == 4
    assert arming.execute("ignition", "anna", 1, 4 * S).by == "anna"
    with pytest.raises(Refused, match="not armed"):
        arming.execute("ignition", "anna", 1, 4 * S)


@pytest.mark.parametrize(
    ("by", "fence", "now_s", "words"),
    [("ben", 1, 1, "by anna"), ("anna", 2, 1, "by anna"), ("anna", 1, 5, "ended 0.0 s ago")],
)
def test_it_is_for_who_armed_it_and_for_a_time(by, fence, now_s, words):
    arming = Arming()
    arming.arm("ignition", "anna", 1, 5, 0)
    with pytest.raises(Refused, match=words):
        arming.execute("ignition", by, fence, now_s * S)


def test_another_may_disarm_and_not_arm_again():
    arming = Arming()
    arming.arm("ignition", "anna", 1, 5, 0)
    with pytest.raises(Conflict, match="anna"):
        arming.arm("ignition", "ben", 1, 5, S)
    assert arming.disarm("ignition").by == "anna"
    assert arming.disarm("ignition") is None
    arming.arm("ignition", "ben", 1, 5, S)
    arming.arm("purge", "ben", 1, 1, S)
    assert [held.target for held in arming.expire(3 * S)] == ["purge"]
    assert arming.expire(3 * S) == []
    assert [held.target for held in arming.every(3 * S)] == ["ignition"]
    assert [held.target for held in arming.disarm_all()] == ["ignition"]
    assert arming.every(3 * S) == []


@pytest.mark.parametrize("ttl_s", [0, -1, 61, float("nan")])
def test_it_has_a_time(ttl_s):
    with pytest.raises(InvalidInput):
        Arming().arm("ignition", "anna", 1, ttl_s, 0)


class Armings(RuleBasedStateMachine):
    """What is executed was armed by the same one, under the same fence, not long ago, and once."""

    @initialize()
    def begin(self):
        self.arming, self.now_ns, self.valid = Arming(), 0, {}

    @rule(by=st.sampled_from("ab"), fence=st.integers(1, 2), ttl_s=st.sampled_from([0.5, 2, 10]))
    def arm(self, by, fence, ttl_s):
        try:
            self.arming.arm("ignition", by, fence, ttl_s, self.now_ns)
        except Conflict:
            return
        self.valid = {(by, fence): self.now_ns + ttl_s * S}

    @rule(by=st.sampled_from("ab"), fence=st.integers(1, 2))
    def execute(self, by, fence):
        try:
            self.arming.execute("ignition", by, fence, self.now_ns)
        except KymographError:
            assert self.now_ns >= self.valid.get((by, fence), 0)
            return
        assert self.now_ns < self.valid.pop((by, fence))

    @rule(ms=st.integers(1, 3000))
    def time_passes(self, ms):
        self.now_ns += ms * 1_000_000

    @rule()
    def stop(self):
        self.arming.disarm_all()
        self.valid = {}

    @rule()
    def expire(self):
        self.arming.expire(self.now_ns)


Armings.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
test_expired_arming_never_executes = Armings.TestCase
