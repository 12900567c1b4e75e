"""One run of a sequence, a moment at a time.

Nothing here waits: `advance` is called with the time and the newest values, and returns what is to be done
now; answers come in by `answered`. However a run ends - done, aborted, failed, a trip, a lost lease - it
goes through the `always` steps, which nothing pauses or ends, and of which a failed one does not stop the
next. A run that never began has moved nothing, and ends at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias, assert_never

from kymograph.control.expression import Expression, Unknown, Value, compile_condition
from kymograph.control.grammar import Known
from kymograph.control.sequence import model
from kymograph.control.sequence.effects import Asked, Effect, Event, Met, Recording, Tell, Withdraw
from kymograph.control.sequence.holding import Holding, Truths
from kymograph.control.sequence.model import Sequence, Step, resolve
from kymograph.control.sequence.validate import count
from kymograph.model.block import Times
from kymograph.model.errors import Conflict, InvalidInput
from kymograph.model.limits import SEQUENCE_STEPS_AT_ONCE_MAX

State: TypeAlias = Literal["ready", "running", "paused", "ending", "done", "aborted", "failed"]
Outcome: TypeAlias = Literal["done", "aborted", "failed"]
OVER: Final = ("done", "aborted", "failed")
_S: Final = 1_000_000_000


@dataclass(slots=True)
class _Level:
    """Steps that are being done, and how often they are to be done again."""

    steps: tuple[Step, ...]
    times: int = 1
    name: str = ""
    at: int = 0
    round: int = 1


@dataclass(slots=True)
class _Waiting:
    """What the present step waits for. Times are shifted by pauses."""

    what: str
    until_ns: int | None = None
    condition: Expression | None = None
    holding: Holding | None = None
    began_ns: int = 0
    number: int = 0
    values: Mapping[str, Value] = field(default_factory=dict[str, Value])


class Run:
    """A run of a sequence. Not for several threads at once."""

    def __init__(self, sequence: Sequence, given: Mapping[str, Any], known: Mapping[str, Known]) -> None:
        """Make a run; nothing happens until it is advanced. `known` are the names that conditions may use.

        Raises:
            InvalidInput: a parameter is missing or does not fit, or there are too many steps.
        """
        self.sequence = sequence
        self.parameters = sequence.settle(given)
        count(sequence, self.parameters)
        self.state: State = "ready"
        self.reason = ""
        self.failures: list[str] = []
        """What failed in the `always` steps."""
        self.asked: dict[int, Asked] = {}
        self.met: list[Met] = []
        """The conditions that came true."""
        self._known = known
        self._levels: list[_Level] = [_Level(sequence.steps)]
        self._step: Step | None = None
        self._waiting: _Waiting | None = None
        self._outcome: Outcome = "done"
        self._effects: list[Effect] = []
        self._now_ns = 0
        self._seen_ns = 0
        self._paused_ns = 0

    # -- from outside --------------------------------------------------------------------------------------
    def saw(self, times: Times, held: Truths, seen_ns: int) -> None:
        """Take in whether `condition` held in rows that were measured; see `Holding.see`."""
        holding = self._waiting.holding if self._waiting else None
        if holding is not None and self.state in ("running", "ending"):
            holding.see(times, held, seen_ns)

    def advance(self, now_ns: int, values: Mapping[str, Value], seen_ns: int | None = None) -> list[Effect]:
        """Go on as far as the time (monotonic) and the newest values allow; return what is to be done now.

        All rows up to `seen_ns` were told by `saw`; None: the values are all that there was.
        """
        self._now_ns = max(self._now_ns, now_ns)
        # A condition that begins to be waited for here was not asked of when this was worked out.
        self._seen_ns = self._now_ns if seen_ns is None else min(seen_ns, self._now_ns)
        if self.state == "ready":
            self.state = "running"
        for _ in range(SEQUENCE_STEPS_AT_ONCE_MAX):
            if self.state not in ("running", "ending") or not self._go_on(values):
                break
        effects, self._effects = self._effects, []
        return effects

    @property
    def due_ns(self) -> int | None:
        """When to advance at the latest, in monotonic nanoseconds; None if nothing but values or an answer
        can move it, or nothing at all."""
        if self.state not in ("running", "ending"):
            return None
        waiting = self._waiting
        if waiting is None:
            return self._now_ns
        stable = waiting.holding.due_ns(self._now_ns) if waiting.holding else None
        return min((t for t in (waiting.until_ns, stable) if t is not None), default=None)

    @property
    def condition(self) -> Expression | None:
        """The condition that it waits for now, if it is one."""
        going = self.state in ("running", "ending")
        return self._waiting.condition if going and self._waiting else None

    @property
    def line(self) -> int | None:
        """The line of the step that it is at."""
        return self._step.line if self._step else None

    def answered(self, number: int, error: str = "", outcome: str = "done", now_ns: int = 0) -> None:
        """Say what came of something that was asked for: why it failed, or a word for how it went.

        Answers that come late, twice, or to nothing are noted or left aside; they never go wrong.
        """
        asked = self.asked.get(number)
        if asked is None or asked.outcome not in ("waiting", "unanswered"):
            return
        asked.outcome, asked.detail = ("failed", error) if error else (outcome, "")
        asked.ended_ns = max(now_ns, asked.told_ns)
        if self._waiting is None or self._waiting.number != number:
            return
        self._waiting = None
        if error:
            self._failed(f"{asked.what}: {error}")

    def pause(self, now_ns: int) -> None:
        """Let the time of the run stand still; what was told already goes on.

        Raises:
            Conflict: it does not run, or it is at its `always` steps.
        """
        if self.state != "running":
            raise Conflict(f"{self.sequence.name} is {self._told()} and cannot be paused", state=self.state)
        self._now_ns = self._paused_ns = max(self._now_ns, now_ns)
        self.state = "paused"

    def resume(self, now_ns: int) -> None:
        """Go on after a pause; a condition has to be stable anew.

        Raises:
            Conflict: it is not paused.
        """
        if self.state != "paused":
            raise Conflict(f"{self.sequence.name} is {self._told()}, not paused", state=self.state)
        self._now_ns = max(self._now_ns, now_ns)
        if self._waiting is not None:
            if self._waiting.holding is not None:
                self._waiting.holding.restart(self._now_ns)
            if self._waiting.until_ns is not None:
                self._waiting.until_ns += self._now_ns - self._paused_ns
        self.state = "running"

    def abort(self, reason: str) -> None:
        """End the run because somebody wants it to; the next `advance` begins the `always` steps.

        Raises:
            Conflict: it is over, or at its `always` steps.
        """
        if self.state not in ("ready", "running", "paused"):
            raise Conflict(f"{self.sequence.name} is {self._told()} and cannot be aborted", state=self.state)
        self._leave("aborted", reason)

    def fail(self, reason: str) -> None:
        """End the run because something happened to it: a trip, a lost lease, a lost link.

        While it is at its `always` steps, and afterwards, this changes nothing.
        """
        if self.state in ("ready", "running", "paused"):
            self._leave("failed", reason)

    def drop(self, reason: str) -> None:
        """End the run as failed at once, without its `always` steps: another makes everything safe."""
        if self.state in OVER:
            return
        self.reason, self._outcome = reason, "failed"
        self._waiting = self._step = None
        self._levels = []
        self._withdraw()
        self._close()

    def progress(self, now_ns: int = 0) -> dict[str, Any]:
        """Return where it is, for people: state, reason, step, groups and rounds, what it waits for."""
        waiting = self._waiting
        now_ns = self._now_ns if self.state == "paused" else max(self._now_ns, now_ns)
        left = None if waiting is None or waiting.until_ns is None else waiting.until_ns - now_ns
        return {
            "name": self.sequence.name, "state": self.state, "reason": self.reason,
            "sha256": self.sequence.sha256, "parameters": dict(self.parameters),
            "line": self.line,
            "waits_for": waiting.what if waiting else "",
            "left_s": None if left is None else max(left, 0) / _S,
            "path": [
                {"name": level.name, "round": level.round, "times": level.times}
                for level in self._levels if level.name
            ],
            "failures": list(self.failures),
            "asked": [asked.to_dict() for asked in self.asked.values()],
            "met": [met.to_dict() for met in self.met],
        }  # fmt: skip

    # -- steps ---------------------------------------------------------------------------------------------
    def _go_on(self, values: Mapping[str, Value]) -> bool:
        """Do one thing; return whether there may be another one to do now."""
        if self._waiting is not None:
            return self._look(self._waiting, values)
        self._step = self._next()
        if self._step is None:
            self._at_the_end()
            return True
        try:
            self._begin(self._step)
        except InvalidInput as error:
            self._failed(str(error))
        return True

    def _next(self) -> Step | None:
        while self._levels:
            level = self._levels[-1]
            if level.at < len(level.steps) and level.round <= level.times:
                level.at += 1
                return level.steps[level.at - 1]
            if level.round < level.times and level.steps:
                level.round, level.at = level.round + 1, 0
            else:
                self._levels.pop()
        return None

    def _at_the_end(self) -> None:
        if self.state == "running":
            self._leave("done", "")
            return
        if self._outcome == "done" and self.failures:
            self._outcome, self.reason = "failed", self.failures[0]
        self._close()

    def _close(self) -> None:
        for asked in self.asked.values():
            asked.outcome = "unanswered" if asked.outcome == "waiting" else asked.outcome
        self.state = self._outcome

    def _leave(self, outcome: Outcome, reason: str) -> None:
        """Leave the body for the `always` steps; of a run that did not begin there is nothing to leave."""
        self.reason, self._outcome = reason, outcome
        self._waiting = self._step = None
        if self.state == "ready":
            self.state = outcome
            self._levels = []
            return
        if outcome != "done":
            self._withdraw()
        self._levels = [_Level(self.sequence.always)]
        self.state = "ending"

    def _withdraw(self) -> None:
        open_ = tuple(number for number, asked in self.asked.items() if asked.outcome == "waiting")
        if open_:
            self._effects.append(Withdraw(open_))

    def _failed(self, reason: str) -> None:
        where = f"line {self._step.line}: " if self._step else ""
        self._waiting = None
        if self.state == "ending":
            self.failures.append(where + reason)
        else:
            self._leave("failed", where + reason)

    def _begin(self, step: Step) -> None:
        match step:
            case model.Command() | model.Record():
                self._ask(step)
            case model.Wait():
                wait_s = model.seconds(step.seconds, self.parameters)
                self._waiting = _Waiting(f"{wait_s:g} s", self._now_ns + round(wait_s * _S))
            case model.WaitUntil():
                self._wait_until(step)
            case model.Repeat():
                times = model.times(step, self.parameters)
                self._levels.append(_Level(step.steps, times, "repeat"))
            case model.Group():
                if not (step.unless_done and self._outcome == "done"):
                    self._levels.append(_Level(step.steps, 1, step.name))
            case model.Mark():
                text, fields = resolve(step.text, self.parameters), resolve(step.fields, self.parameters)
                self._effects.append(Event(text, fields, self.state == "ending"))
            case model.Set():
                self._set(step)
            case _:
                assert_never(step)

    def _set(self, step: model.Set) -> None:
        settled = self.sequence.settle({**self.parameters, **resolve(step.values, self.parameters)})
        self.parameters.update(settled)

    def _ask(self, step: model.Command | model.Record) -> None:
        number, always = len(self.asked) + 1, self.state == "ending"
        fill: Callable[[Any], Any] = lambda value: resolve(value, self.parameters)  # noqa: E731
        deadline_ns = self._now_ns + round(model.seconds(step.timeout, self.parameters) * _S)
        if isinstance(step, model.Command):
            instrument, command = str(fill(step.instrument)), str(fill(step.command))
            what, wait = f"{instrument} {command}", step.confirm
            arguments = fill(step.arguments)
            effect = Tell(number, instrument, command, arguments, deadline_ns, always)
        else:
            what, wait, arguments = f"record {step.do}", True, {"name": str(fill(step.name))}
            effect = Recording(number, step.do, arguments["name"], fill(step.metadata), deadline_ns, always)
        self.asked[number] = Asked(number, what, step.line, always, self._now_ns, arguments=arguments)
        self._effects.append(effect)
        if wait:
            self._waiting = _Waiting(f"the answer to {what}", deadline_ns, number=number)

    def _wait_until(self, step: model.WaitUntil) -> None:
        text = resolve(step.condition, self.parameters)
        timeout_s = model.seconds(step.timeout, self.parameters)
        self._waiting = _Waiting(
            text,
            self._now_ns + round(timeout_s * _S),
            compile_condition(text, self._known),
            Holding(round(model.seconds(step.stable_for, self.parameters) * _S), self._now_ns),
            began_ns=self._now_ns,
        )

    def _look(self, waiting: _Waiting, values: Mapping[str, Value]) -> bool:
        """Look whether what is waited for is there; return whether it is, or is not waited for any more."""
        if waiting.condition is not None and waiting.holding is not None:
            found = waiting.condition.evaluate(values)
            holds = not isinstance(found, Unknown) and bool(found)
            if waiting.holding.look(holds, self._now_ns, self._seen_ns):
                met_ns = min(waiting.holding.met_ns or self._now_ns, self._now_ns)
                self.met.append(Met(waiting.what, self.line or 0, waiting.began_ns, met_ns))
                self._waiting = None
                return True
        if waiting.until_ns is None or self._now_ns < waiting.until_ns:
            return False
        self._waiting = None
        if waiting.number:
            self.asked[waiting.number].outcome = "unanswered"
            self._effects.append(Withdraw((waiting.number,)))
            self._failed(f"{self.asked[waiting.number].what} was not answered in time")
        elif waiting.condition is not None:
            self._failed(f"{waiting.what} did not come true in time: {waiting.condition.explain(values)}")
        return True

    def _told(self) -> str:
        return "at its last steps" if self.state == "ending" else self.state
