"""One holder at a time, whatever happens in which order; and the lowest layer knows without asking."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kymograph.control.authority import Authority, Gate
from kymograph.model.errors import Conflict, InvalidInput, KymographError, NotFound
from kymograph.model.limits import LEASE_S_MAX

S = 1_000_000_000


def test_a_refusal_says_who_holds_it_and_for_how_long():
    authority = Authority(["stand"])
    authority.acquire("stand", "anna", 10, 0)
    with pytest.raises(Conflict) as caught:
        authority.acquire("stand", "ben", 10, 4 * S)
    assert caught.value.message == "anna holds control of stand for another 6.0 s"
    assert caught.value.facts["holder"] == "anna"
    assert caught.value.facts["until_ns"] == 10 * S


def test_who_has_it_already_gets_more_time_under_the_same_fence():
    authority = Authority(["stand"])
    first = authority.acquire("stand", "anna", 10, 0)
    again = authority.acquire("stand", "anna", 1, 4 * S)
    assert again == first, "asking for less never takes away"
    later = authority.renew(again, 10, 4 * S)
    assert (later.fence, later.until_ns) == (first.fence, 14 * S)


def test_a_lost_lease_is_told_once_and_before_the_next_holder():
    authority = Authority(["stand"])
    lease = authority.acquire("stand", "anna", 1, 0)
    assert authority.holder("stand", S) is None
    with pytest.raises(Conflict, match="made safe"):
        authority.acquire("stand", "ben", 1, S)
    assert [ended.lease for ended in authority.expire(S)] == [lease]
    assert authority.expire(S) == []
    assert authority.acquire("stand", "ben", 1, S).fence > lease.fence


def test_it_is_handed_over_without_a_moment_in_between():
    authority = Authority(["stand"], last_fence=41)
    lease = authority.acquire("stand", "anna", 10, 0)
    ended, given_on = authority.hand_over(lease, "ben", 10, S)
    assert (ended.why, given_on.holder, given_on.fence) == ("handed over", "ben", lease.fence + 1)
    assert lease.fence == 42
    with pytest.raises(Conflict, match="ben holds"):
        authority.check("stand", lease.fence, S)
    with pytest.raises(Conflict):
        authority.renew(lease, 10, S)


def test_an_admin_breaks_it():
    authority = Authority(["stand"])
    lease = authority.acquire("stand", "anna", 10, 0)
    ended = authority.break_("stand", "chief", S)
    assert ended is not None
    assert (ended.lease, ended.why, ended.by) == (lease, "broken", "chief")
    assert authority.break_("stand", "chief", S) is None
    with pytest.raises(Conflict, match="nobody holds"):
        authority.check("stand", lease.fence, S)


def test_groups_are_held_apart_and_seen_by_all():
    authority = Authority(["stand", "tank"])
    authority.acquire("stand", "anna", 10, 0)
    authority.acquire("tank", "ben", 20, 0)
    assert [lease.to_dict(S)["holder"] for lease in authority.held(S)] == ["anna", "ben"]
    assert [lease.holder for lease in authority.held(15 * S)] == ["ben"]
    assert authority.held(15 * S)[0].to_dict(15 * S)["remaining_s"] == 5
    with pytest.raises(NotFound):
        authority.acquire("moon", "anna", 10, 0)


@pytest.mark.parametrize("holder", ["", "  ", "a" * 129, "an\nna"])
def test_a_holder_has_a_name(holder):
    with pytest.raises(InvalidInput):
        Authority(["stand"]).acquire("stand", holder, 1, 0)


@pytest.mark.parametrize("ttl_s", [0, -1, 0.1, LEASE_S_MAX + 1, float("nan"), float("inf")])
def test_a_lease_has_a_time(ttl_s):
    authority = Authority(["stand"])
    with pytest.raises(InvalidInput):
        authority.acquire("stand", "anna", ttl_s, 0)
    assert authority.holder("stand", 0) is None


@given(st.lists(st.integers(0, 9), max_size=20))
def test_a_gate_never_goes_back(fences):
    gate = Gate("stand")
    for fence in fences:
        if fence < gate.highest:
            with pytest.raises(Conflict):
                gate.admit(fence)
        else:
            gate.admit(fence)
            assert gate.highest == fence


HOLDERS = st.sampled_from(["anna", "ben", "cem"])
SECONDS = st.sampled_from([0.5, 1, 2, 5])


class OneHolder(RuleBasedStateMachine):
    """A stand, three people who know only what they were told, and time."""

    @initialize()
    def begin(self):
        self.authority = Authority(["stand"])
        self.gate = Gate("stand")
        self.now_ns = 0
        self.leases = {}
        self.highest = 0
        self.moved = []

    @rule(seconds=st.sampled_from([0.1, 0.5, 1, 3]))
    def time_passes(self, seconds):
        self.now_ns += int(seconds * S)
        self.authority.expire(self.now_ns)

    @rule(seconds=st.sampled_from([0.5, 3]))
    def time_passes_unseen(self, seconds):
        self.now_ns += int(seconds * S)

    @rule(who=HOLDERS, ttl_s=SECONDS)
    def acquire(self, who, ttl_s):
        before = self.authority.holder("stand", self.now_ns)
        try:
            lease = self.authority.acquire("stand", who, ttl_s, self.now_ns)
        except Conflict:
            assert before is None or before.holder != who
            return
        assert before is None or before.holder == who
        assert lease.fence > self.highest or (before is not None and before.fence == lease.fence)
        self.remember(lease)

    @rule(who=HOLDERS, ttl_s=SECONDS, what=st.sampled_from(["renew", "release", "hand_over"]), to=HOLDERS)
    def use(self, who, ttl_s, what, to):
        lease = self.leases.get(who)
        if lease is None:
            return
        present = self.authority.holder("stand", self.now_ns)
        try:
            if what == "renew":
                self.remember(self.authority.renew(lease, ttl_s, self.now_ns))
            elif what == "release":
                self.authority.release(lease, self.now_ns)
            else:
                self.remember(self.authority.hand_over(lease, to, ttl_s, self.now_ns)[1])
        except Conflict:
            assert present is None or present.fence != lease.fence
            return
        assert present is not None
        assert present.fence == lease.fence, "only the present lease can be used"

    @rule()
    def break_(self):
        self.authority.break_("stand", "chief", self.now_ns)

    @rule(who=HOLDERS)
    def move(self, who):
        lease = self.leases.get(who)
        if lease is None:
            return
        try:
            self.authority.check("stand", lease.fence, self.now_ns)
            self.gate.admit(lease.fence)
        except KymographError:
            return
        self.moved.append((lease.fence, who))

    def remember(self, lease):
        self.leases[lease.holder] = lease
        self.highest = max(self.highest, lease.fence)

    @invariant()
    def nobody_moves_after_the_next(self):
        fences = [fence for fence, _ in self.moved]
        assert fences == sorted(fences)
        assert len({fence: who for fence, who in self.moved}) == len(set(self.moved))

    @invariant()
    def at_most_one_is_let_through(self):
        through = set()
        for who, lease in self.leases.items():
            try:
                self.authority.check("stand", lease.fence, self.now_ns)
            except Conflict:
                continue
            through.add(who)
            assert self.now_ns < self.authority.holder("stand", self.now_ns).until_ns
        assert len(through) <= 1


OneHolder.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
test_never_two_holders = OneHolder.TestCase
