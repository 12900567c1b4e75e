"""A run of a sequence: in order and in time, and through its `always` steps whatever happens."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kymograph.control.grammar import Known
from kymograph.control.sequence.read import read, scenario
from kymograph.control.sequence.runner import OVER, Event, Recording, Run, Tell, Withdraw
from kymograph.model.errors import Conflict

MS = 1_000_000
S = 1000 * MS
KNOWN = {"stand.P1": Known("bar")}
CLOSED = [0] * 9


def run_of(text, **given):
    return Run(read(text), given, KNOWN)


def told(effects):
    return [effect.command for effect in effects if isinstance(effect, Tell)]


SMALL = """
name: small
steps:
  - command: {instrument: stand, command: one}
  - wait: 2
  - command: {instrument: stand, command: two, timeout: 1}
always:
  - command: {instrument: stand, command: close}
  - command: {instrument: stand, command: last}
"""


def test_a_command_waits_for_its_answer_and_a_wait_for_its_time():
    run = run_of(SMALL)
    (first,) = run.advance(0, {})
    assert (first.command, first.always, first.deadline_ns) == ("one", False, 5 * S)
    assert run.advance(S, {}) == []
    run.answered(first.number, outcome="verified")
    assert run.advance(S, {}) == []
    assert run.due_ns == 3 * S
    assert told(run.advance(3 * S - 1, {})) == []
    assert told(run.advance(3 * S, {})) == ["two"]
    run.answered(2)
    assert told(run.advance(3 * S, {})) == ["close"]
    assert run.state == "ending"
    run.answered(3)
    assert told(run.advance(3 * S, {})) == ["last"]
    run.answered(4)
    assert run.advance(3 * S, {}) == []
    assert (run.state, run.reason, run.due_ns) == ("done", "", None)
    assert [one.outcome for one in run.asked.values()] == ["verified", "done", "done", "done"]


def test_a_refused_command_ends_the_body_and_a_refused_last_step_does_not_end_the_rest():
    run = run_of(SMALL)
    run.advance(0, {})
    run.answered(1, "an interlock forbids it")
    assert told(run.advance(0, {})) == ["close"]
    run.answered(2, "no answer")
    assert told(run.advance(0, {})) == ["last"]
    run.answered(3)
    run.advance(0, {})
    assert run.state == "failed"
    assert run.reason == "line 4: stand one: an interlock forbids it"
    assert run.failures == ["line 8: stand close: no answer"]


def test_what_is_not_answered_in_time_is_withdrawn():
    run = run_of(SMALL)
    run.advance(0, {})
    effects = run.advance(5 * S, {})
    assert effects[0] == Withdraw((1,))
    assert told(effects) == ["close"]
    assert "was not answered in time" in run.reason
    run.answered(1, outcome="late")
    assert run.asked[1].outcome == "late"


def test_an_abort_withdraws_what_is_open_and_cannot_be_repeated():
    run = run_of(SMALL)
    run.advance(0, {})
    run.abort("anna wants it")
    assert [type(effect) for effect in run.advance(1, {})] == [Withdraw, Tell]
    for refused in (lambda: run.abort("again"), lambda: run.pause(2), lambda: run.resume(2)):
        with pytest.raises(Conflict):
            refused()
    run.fail("a trip")
    run.answered(1, "comes late, and is not the answer that is waited for")
    assert run.advance(2, {}) == []
    run.answered(2)
    run.advance(2, {})
    run.answered(3)
    run.advance(2, {})
    assert (run.state, run.reason) == ("aborted", "anna wants it")


def test_a_run_that_never_began_moves_nothing():
    run = run_of(SMALL)
    run.abort("changed my mind")
    assert run.state == "aborted"
    assert run.advance(0, {}) == []


def test_time_stands_still_in_a_pause():
    run = run_of("name: w\nsteps:\n  - wait: 2\n  - event: now\n")
    run.advance(0, {})
    run.pause(S)
    assert run.advance(100 * S, {}) == []
    run.resume(100 * S)
    assert run.advance(101 * S - 1, {}) == []
    assert run.advance(101 * S, {}) == [Event("now", {}, False)]


UNTIL = """
name: until
steps:
  - wait_until: {condition: stand.P1 > 10, stable_for: 1, timeout: 5}
  - event: there
"""


def test_a_condition_must_hold_without_a_break():
    run = run_of(UNTIL)
    run.advance(0, {"stand.P1": 11.0})
    run.advance(S // 2, {"stand.P1": 9.0})
    run.advance(S, {"stand.P1": 11.0})
    run.advance(3 * S // 2, {"stand.P1": float("nan")})
    assert run.advance(2 * S, {"stand.P1": 11.0}) == []
    assert run.due_ns == 3 * S
    assert [effect.text for effect in run.advance(3 * S, {"stand.P1": 11.0})] == ["there"]


@pytest.mark.parametrize("value", [3.0, None])
def test_a_condition_that_does_not_come_true_fails_with_its_values(value):
    run = run_of(UNTIL)
    run.advance(0, {"stand.P1": value})
    run.advance(5 * S, {"stand.P1": value})
    assert run.state == "failed"
    assert "stand.P1 > 10 did not come true in time: stand.P1 is" in run.reason


def test_repeats_groups_parameters_and_recordings():
    run = run_of("""
name: all
parameters:
  n: {type: integer, default: 2, low: 1, high: 5}
  m: {type: integer, default: 2}
  who: {type: text}
steps:
  - record: {do: start, name: "run-of-${who}"}
  - repeat:
      times: ${n}
      steps:
        - group: {name: both, steps: [{event: "a ${m}"}, {set: {m: 3}}]}
  - repeat: {times: 0, steps: [{event: never}]}
  - record: stop
""", who="anna")  # fmt: skip
    (start,) = run.advance(0, {})
    assert isinstance(start, Recording) and (start.do, start.name) == ("start", "run-of-anna")
    run.answered(start.number)
    effects = run.advance(0, {})
    assert [effect.text for effect in effects if isinstance(effect, Event)] == ["a 2", "a 3"]
    assert isinstance(effects[-1], Recording) and effects[-1].do == "stop"


def test_the_emergency_waits_for_nobody_and_nobody_ends_it():
    run, now, patterns = Run(scenario("emergency"), {}, {}), 0, []
    while run.state not in OVER:
        for effect in run.advance(now, {}):
            patterns.append(("".join(map(str, effect.arguments["valves"])), now // MS))
            run.answered(effect.number, "no answer" if len(patterns) % 2 else "")
        run.fail("a trip")
        with pytest.raises(Conflict):
            run.abort("no")
        now = run.due_ns or now
    assert patterns == [
        ("010010110", 0), ("010010000", 100), ("000000000", 200), ("100001000", 300), ("000000000", 1800),
        ("000000110", 2000), ("001100110", 2100), ("000000110", 7100), ("000000000", 7600),
    ]  # fmt: skip
    assert now == 9600 * MS
    assert [one.outcome for one in run.asked.values()] == ["failed", "done"] * 4 + ["failed"]


@pytest.mark.parametrize(("ended", "last"), [(True, [0, 0, 0, 0, 1, 0, 0, 1, 0]), (False, CLOSED)])
def test_a_scenario_closes_everything_unless_it_came_to_its_end(ended, last):
    run, now, valves = Run(scenario("fuelFeed"), {}, {}), 0, []
    while run.state not in OVER:
        for effect in (e for e in run.advance(now, {}) if isinstance(e, Tell)):
            valves.append(effect.arguments["valves"])
            run.answered(effect.number)
        if not ended and run.state == "running":
            run.abort("no")
        now = run.due_ns or now
    assert valves[-1] == last


BODY = """
name: any
steps:
  - command: {instrument: stand, command: body, timeout: 2}
  - repeat:
      times: 2
      steps:
        - wait: 1
        - command: {instrument: stand, command: body, confirm: false}
        - wait_until: {condition: stand.P1 > 10, stable_for: 1, timeout: 4}
  - record: {do: start}
always:
  - command: {instrument: stand, command: always-1, timeout: 2}
  - wait: 1
  - wait_until: {condition: stand.P1 > 10, timeout: 2}
  - repeat:
      times: 2
      steps:
        - command: {instrument: stand, command: always-2, timeout: 1}
  - command: {instrument: stand, command: always-3, confirm: false}
"""
ALWAYS = ["always-1", "always-2", "always-2", "always-3"]


class AnyHistory(RuleBasedStateMachine):
    """Whatever is done to a run: its last steps are told once, in order, and nothing of the body after."""

    def __init__(self):
        super().__init__()
        self.run, self.now, self.effects = run_of(BODY), 0, []

    def advance(self, value):
        self.effects += self.run.advance(self.now, {"stand.P1": value})
        # The last steps wait for nothing that the body was waiting for.
        assert self.run.state != "ending" or any(getattr(effect, "always", False) for effect in self.effects)

    @rule(step=st.sampled_from([0, 1, S // 2, S, 3 * S]), value=st.sampled_from([None, 0.0, 20.0]))
    def time_passes(self, step, value):
        self.now += step
        self.advance(value)

    @rule(number=st.integers(1, 12), error=st.sampled_from(["", "", "refused"]))
    def an_answer_comes(self, number, error):
        self.run.answered(number, error)

    @rule()
    def a_trip(self):
        self.run.fail("a trip")

    @rule(what=st.sampled_from(["pause", "resume", "abort"]))
    def somebody_wants_something(self, what):
        before = self.run.state
        try:
            self.run.abort("anna") if what == "abort" else getattr(self.run, what)(self.now)
        except Conflict:
            assert self.run.state == before
        else:
            assert before not in ("ending", *OVER)

    @precondition(lambda self: self.run.state == "paused")
    @rule()
    def nothing_is_told_in_a_pause(self):
        before = len(self.effects)
        self.now += S
        self.advance(20.0)
        assert not [e for e in self.effects[before:] if not isinstance(e, Withdraw)]

    @invariant()
    def the_body_is_silent_once_the_last_steps_began(self):
        parts = [effect.always for effect in self.effects if not isinstance(effect, Withdraw)]
        assert parts == sorted(parts)
        assert told(e for e in self.effects if getattr(e, "always", False)) == ALWAYS[: parts.count(True)]

    def teardown(self):
        began = bool(self.effects) or self.run.state not in ("ready", *OVER)
        self.run.fail("a lost lease")
        for _ in range(100):
            self.now += S
            self.advance(None)
        self.the_body_is_silent_once_the_last_steps_began()
        assert self.run.state in OVER
        assert [e.command for e in self.effects if getattr(e, "always", False)] == (ALWAYS if began else [])


AnyHistory.TestCase.settings = settings(max_examples=300, stateful_step_count=30, deadline=None)
TestAnyHistory = AnyHistory.TestCase
