"""A command's life: every step told, nothing sent late, nothing given twice."""

import itertools

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from kymograph.control.command_life import TRANSITIONS, Commands, Order
from kymograph.model.errors import Conflict, InvalidInput, KymographError, NotFound, TimedOut, TooMany
from kymograph.model.limits import COMMAND_LATE_S, COMMAND_TIMEOUT_S, COMMANDS_KEPT_MAX, COMMANDS_WAITING_MAX

S = 1_000_000_000
OPEN = Order("stand", "valves", {"valves": [1] * 9}, by="anna", fence=3, late_s=1)
SEEN_S = 2
ANSWER_NS = int(COMMAND_TIMEOUT_S * S)


def made():
    numbers = itertools.count(1)
    return Commands(lambda: f"c{next(numbers)}", lambda now_ns: now_ns + 1000)


def test_each_step_is_an_event_of_one_command():
    commands = made()
    steps = [
        commands.accept(OPEN, 0),
        commands.send("c1", 1),
        commands.acknowledge("c1", 2, {"ok": True}, SEEN_S),
        commands.end("c1", "verified", "", 3),
    ]
    events = [step.event for step in steps]
    assert [event.body["state"] for event in events] == ["accepted", "sent", "acknowledged", "verified"]
    assert {event.id for event in events} == {"c1"}
    assert [event.revision for event in events] == [0, 1, 2, 3]
    assert [event.time_ns for event in events] == [1000, 1001, 1002, 1003]
    assert {(event.kind, event.source) for event in events} == {("command", "instrument/stand")}
    assert events[-1].body["answer"] == {"ok": True}
    assert events[-1].body["arguments"] == {"valves": [1] * 9}
    assert commands.waiting() == []


def test_what_comes_late_is_never_sent():
    commands = made()
    commands.accept(OPEN, 0)
    with pytest.raises(TimedOut, match="was to be sent"):
        commands.send("c1", S)
    (step,) = commands.expire(S)
    assert (step.command.state, step.command.reason) == ("timed_out", "it could not be sent by its deadline")
    with pytest.raises(TimedOut):
        commands.send("c1", S - 1)
    assert commands.expire(9 * S) == []


def test_a_silent_device_is_told_from_one_that_does_not_do_it():
    commands = made()
    for _ in range(2):
        commands.accept(OPEN, 0)
    commands.send("c1", S // 2)
    commands.send("c2", S // 2)
    commands.acknowledge("c2", ANSWER_NS - S, None, SEEN_S)
    assert commands.expire(ANSWER_NS) == []
    ended = {step.command.id: step.command for step in commands.expire(ANSWER_NS + S)}
    assert (ended["c1"].state, ended["c1"].reason) == ("timed_out", "the device did not answer in time")
    assert ended["c2"].state == "unknown"


def test_without_a_read_back_an_acknowledgement_is_the_end():
    commands = made()
    commands.accept(Order("stand", "beep"), 0)
    commands.send("c1", 0)
    step = commands.acknowledge("c1", 0)
    assert step.command.ended
    assert step.event.source == "instrument/stand"
    assert commands.expire(10**12) == []
    with pytest.raises(Conflict):
        commands.end("c1", "failed", "", 1)


def test_a_lost_link_leaves_nothing_to_be_sent_later():
    commands = made()
    for instrument in ("stand", "stand", "lamp"):
        commands.accept(Order(instrument, "x"), 0)
    commands.send("c1", 1)
    ended = {step.command.id: step.command.state for step in commands.link_lost("stand", 2)}
    assert ended == {"c1": "unknown", "c2": "refused"}
    assert [command.id for command in commands.waiting()] == ["c3"]


def test_one_key_is_one_command():
    commands = made()
    request = Order("stand", "valves", {"a": 1, "b": 2}, key="k")
    first = commands.accept(request, 0)
    commands.send("c1", 1)
    again = commands.accept(Order("stand", "valves", {"b": 2, "a": 1}, key="k"), 10**12)
    assert again.event is None
    assert (again.command.id, again.command.state) == (first.command.id, "sent")
    with pytest.raises(Conflict, match="another command"):
        commands.accept(Order("stand", "valves", {"a": 2}, key="k"), 0)


def test_too_many_are_refused_but_never_what_is_urgent():
    commands = made()
    for _ in range(COMMANDS_WAITING_MAX):
        commands.accept(Order("stand", "x"), 0)
    with pytest.raises(TooMany):
        commands.accept(Order("stand", "x"), 0)
    commands.accept(Order("lamp", "x"), 0)
    commands.accept(Order("stand", "safe"), 0, urgent=True)


def test_those_that_ended_are_forgotten_and_those_that_wait_are_not():
    commands = made()
    commands.accept(Order("lamp", "x", key="waits"), 0)
    for number in range(COMMANDS_KEPT_MAX + 3):
        commands.accept(Order("stand", "x", key=f"k{number}"), 0)
        commands.end(f"c{number + 2}", "refused", "no", 0)
    with pytest.raises(NotFound):
        commands.get("c2")
    assert commands.get("c1").state == "accepted"
    assert commands.accept(Order("stand", "x", key="k0"), 0).event is not None
    assert commands.accept(Order("stand", "x", key="k9"), 0).event is None


@pytest.mark.parametrize("late_s", [0, -1, float("nan")])
def test_it_needs_a_time(late_s):
    with pytest.raises(InvalidInput):
        made().accept(Order("stand", "x", late_s=late_s), 0)


def test_it_says_when_it_was_accepted_and_until_when_it_waits():
    commands = made()
    command = commands.accept(Order("stand", "x"), 7).command
    assert (command.time_ns, command.late_s) == (1007, COMMAND_LATE_S)
    assert command.deadline_ns == 7 + int(COMMAND_LATE_S * S)
    commands.send("c1", 8)
    assert commands.get("c1").time_ns == 1007


def test_nothing_is_sent_twice():
    commands = made()
    commands.accept(OPEN, 0)
    commands.send("c1", 1)
    with pytest.raises(Conflict, match="is sent; it cannot become sent"):
        commands.send("c1", 2)


def test_it_ends_only_in_an_end():
    commands = made()
    commands.accept(OPEN, 0)
    for state in ("accepted", "sent", "acknowledged", "eaten"):
        with pytest.raises(InvalidInput):
            commands.end("c1", state, "", 0)


class Lives(RuleBasedStateMachine):
    """Commands go only along the arrows, are sent in time and once, and every step is told."""

    @initialize()
    def begin(self):
        self.commands, self.now_ns = made(), 0
        self.told, self.deadlines, self.sent = {}, {}, set()

    def note(self, step):
        command, event = step
        if event is None:
            return
        states = self.told.setdefault(command.id, [])
        assert event.revision == len(states)
        if states:
            assert command.state in TRANSITIONS[states[-1]]
        states.append(event.body["state"])

    @rule(late_s=st.sampled_from([0.1, 1, 5]), key=st.sampled_from(["", "k", "l"]))
    def accept(self, late_s, key):
        try:
            step = self.commands.accept(Order("stand", "x", late_s=late_s, key=key), self.now_ns)
        except TooMany:
            return
        self.note(step)
        if step.event is not None:
            self.deadlines[step.command.id] = self.now_ns + int(late_s * S)

    @rule(
        data=st.data(),
        what=st.sampled_from(["send", "acknowledge", "verified", "refused", "failed", "unknown"]),
        seen_s=st.sampled_from([0.0, 2.0]),
    )
    def go_on(self, data, what, seen_s):
        if not self.told:
            return
        which = data.draw(st.sampled_from(sorted(self.told)))
        try:
            if what == "send":
                step = self.commands.send(which, self.now_ns)
                assert which not in self.sent
                assert self.now_ns < self.deadlines[which]
                self.sent.add(which)
            elif what == "acknowledge":
                step = self.commands.acknowledge(which, self.now_ns, None, seen_s)
            else:
                step = self.commands.end(which, what, "", self.now_ns)
        except KymographError:
            return
        self.note(step)

    @rule(ms=st.integers(1, 40_000))
    def time_passes(self, ms):
        self.now_ns += ms * 1_000_000

    @rule()
    def expire(self):
        for step in self.commands.expire(self.now_ns):
            self.note(step)
        assert all(command.deadline_ns > self.now_ns for command in self.commands.waiting())

    @rule()
    def link_lost(self):
        for step in self.commands.link_lost("stand", self.now_ns):
            self.note(step)
        assert self.commands.waiting() == []

    @invariant()
    def what_is_told_is_what_is(self):
        for which, states in getattr(self, "told", {}).items():
            assert self.commands.get(which).state == states[-1]


Lives.TestCase.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
test_lives = Lives.TestCase
