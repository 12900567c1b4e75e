"""The run that asks nobody: its steps pass leases, interlocks, queues and the stop, and none is waited for.

The stop of everything is pressed before the first step, so that nobody else moves anything meanwhile, and
everything is made safe after the last one. A stop that is pressed during it ends it at once. Whatever is
brought out of its step by another - a trip that makes safe, a lease that runs out - is told again.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast

from kymograph.acquire.instrument import Instrument
from kymograph.control.command_life import Order
from kymograph.control.sequence.catalogue import Catalogue
from kymograph.control.sequence.effects import Tell
from kymograph.control.sequence.runner import Run
from kymograph.model.errors import Conflict, InvalidInput, KymographError
from kymograph.service.contract import Plain
from kymograph.service.control.controls import Controls
from kymograph.service.control.standing import Standing
from kymograph.service.runs.driving import Driving, Means, Ticket

LATE_S: Final = 1.0
"""How long a step may wait for the device's thread; later it never goes."""
SEEN_S: Final = 1.0
"""How long it is looked whether the safe state was taken; it was sent long before."""
_LOOK_S: Final = 0.02
_S: Final = 1_000_000_000

VERIFIED: Final = "verified"
UNVERIFIED: Final = "unverified"
FAILED: Final = "failed"


@dataclass(slots=True)
class Step:
    """One thing that was told, and what is known of it."""

    what: str
    effect: Tell
    wanted: Mapping[str, float]
    """Where each actuator is to be, as far as that can be seen in the command."""
    sent: bool = False
    outcome: str = UNVERIFIED
    detail: str = "sent; the device does not say that it is so"

    def to_dict(self) -> Plain:
        """Return it as plain data."""
        return {"step": self.what, "outcome": self.outcome, "detail": self.detail}


class Emergency(Driving):
    """An emergency under way."""

    def __init__(self, run: Run, ticket: Ticket, means: Means, catalogue: Catalogue) -> None:
        super().__init__(run, ticket, means)
        self._catalogue = catalogue
        self._steps: list[Step] = []
        self._threads: list[threading.Thread] = []
        self._presses = 0
        self._written = False
        self._safe: list[Plain] = []

    def begin(self) -> None:
        """Start at once; the record is written when the first step has gone."""
        self._presses = self.means.controls.press(self.ticket.by, "emergency").presses
        self.thread.start()

    def report(self) -> Plain:
        """Return how it went: `status message run_id feedback`."""
        feedback = [*(step.to_dict() for step in list(self._steps)), *self._safe]
        well = self.over.is_set() and all(one["outcome"] != FAILED for one in feedback)
        message = "nothing moves until the stop is reset"
        if self.run.reason:
            message = f"{self.run.reason}; {message}"
        elif not self.over.is_set():
            message = "it is still under way"
        said = {"status": "ok" if well and not self.run.reason else "error", "message": message}
        return {**said, "run_id": self.ticket.id, "feedback": feedback}

    def record(self) -> Plain:
        """Return what is kept of it."""
        return {**super().record(), "feedback": self.report()["feedback"]}

    # -- in its own thread ---------------------------------------------------------------------------------
    def look(self, now_ns: int) -> None:
        """Look whether somebody has stopped everything, and what the device says of the present step."""
        upset = False
        while self.upsets:
            self.upsets.popleft()
            upset = True
        presses = self.means.controls.presses
        if not presses:  # somebody has reset it, and could move something
            self._presses = self.means.controls.press(self.ticket.by, "emergency").presses
        elif presses > self._presses:
            self.drop("everything was stopped during the emergency")
        elif upset and self._steps:
            self._send(self._steps[-1])
        if self._steps:
            self._see(self._steps[-1])
            self._write_down()

    def _write_down(self) -> None:
        """Have the stop and the record written, once the first step has gone: nothing is to be before it."""
        first = self._steps[0]
        if not self._written and (first.sent or first.outcome == FAILED):
            self._written = True
            self.lanes.do("stop", self.means.controls.keep_stop)
            self.write_record()
            self.note("started")

    def pause(self) -> None:
        """Refuse it."""
        raise Conflict("an emergency cannot be paused")

    def resume(self) -> None:
        """Refuse it."""
        raise Conflict("an emergency cannot be paused")

    def abort(self, reason: str) -> None:
        """Refuse it."""
        raise Conflict("an emergency cannot be aborted", hint="a stop of everything ends it")

    def tell(self, effect: Tell) -> None:
        """Give a command, and go on."""
        instrument = self.means.instruments.get(effect.instrument)
        wanted = instrument.motion.expects(effect.command, effect.arguments)
        if self._steps:
            self._see(self._steps[-1], last=True)
        step = Step(f"{len(self._steps) + 1}: {_said(instrument, effect, wanted)}", effect, wanted)
        self._steps.append(step)
        self._send(step)
        self.answer(effect.number, outcome="sent")

    def _send(self, step: Step) -> None:
        thread = threading.Thread(target=self._give_urgently, args=(step,), name="emergency", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _give_urgently(self, step: Step) -> None:
        try:
            self.means.controls.command(self.order(step.effect), Standing.EMERGENCY)
            step.sent = True
        except KymographError as error:
            step.outcome, step.detail = FAILED, str(error)

    def order(self, effect: Tell) -> Order:
        """Return a step's command as an order that is not waited for, where the device knows how."""
        arguments = {**effect.arguments, "wait": False}
        try:
            self._catalogue.check(effect.instrument, effect.command, arguments)
        except InvalidInput:
            arguments = dict(effect.arguments)
        return Order(
            effect.instrument, effect.command, arguments, self.ticket.by,
            late_s=LATE_S, run=self.ticket.id,
        )  # fmt: skip

    def _see(self, step: Step, last: bool = False) -> None:
        """Compare a step with what the device says; what it says at the step's end counts."""
        if step.outcome == FAILED or not step.wanted or not step.sent:
            return
        told = self.means.instruments.get(step.effect.instrument).motion.read_back()
        known = {name: told.get(name) for name in step.wanted}
        wrong = [name for name, value in known.items() if value is not None and value != step.wanted[name]]
        if not wrong and None not in known.values():
            step.outcome, step.detail = VERIFIED, "the device itself says so"
        elif wrong and last:
            step.outcome, step.detail = FAILED, f"the device says that it is otherwise: {', '.join(wrong)}"

    def finish(self) -> None:
        """Make everything safe, whatever happened, and see whether it is."""
        try:
            if self._steps:
                self._see(self._steps[-1], last=True)
            for thread in self._threads:
                thread.join(LATE_S)
        finally:
            self._safe = made_safe(self.means.controls, self.ticket.by, self.run.reason or "emergency")
        bad = [step for step in self._steps if step.outcome == FAILED]
        with self.guard:
            self.run.failures += [f"{step.what}: {step.detail}" for step in bad]
            if bad and self.run.state == "done":
                self.run.state, self.run.reason = "failed", self.run.failures[0]


def made_safe(controls: Controls, by: str, reason: str) -> list[Plain]:
    """Stop everything, and return for each device how it took its safe state.

    The safe state is sent before anything is waited for. Then it is looked at, for a second at most.
    """
    sent = cast("dict[str, str]", controls.stop_all(by, reason)["sent"])
    quit_ = threading.Event()
    for _ in range(round(SEEN_S / _LOOK_S)):
        said = [_safe_step(name, told, controls) for name, told in sent.items()]
        if all(one["outcome"] != UNVERIFIED or one["detail"] == _NOTHING for one in said):
            break
        quit_.wait(_LOOK_S)
    else:
        said = [_safe_step(name, told, controls) for name, told in sent.items()]
    return said


_NOTHING: Final = "there is nothing that could be sent"


def _safe_step(name: str, told: str, controls: Controls) -> Plain:
    """Return how a device's step to its safe state went."""
    if told != "sent":
        return {"step": f"{name}: safe state", "outcome": FAILED, "detail": told}
    motion = next(one.motion for one in controls.movers if one.name == name)
    safe = {one.name: one.safe for one in motion.actuators if one.safe is not None}
    if not safe:
        # The board of the motors hears nothing while one turns.
        return {"step": f"{name}: stays where it is", "outcome": UNVERIFIED, "detail": _NOTHING}
    there = motion.read_back()
    wrong = [actuator for actuator, value in safe.items() if there.get(actuator) != value]
    if not wrong:
        return {"step": f"{name}: safe state", "outcome": VERIFIED, "detail": "the device itself says so"}
    detail = f"sent; not confirmed of {', '.join(wrong)}"
    return {"step": f"{name}: safe state", "outcome": UNVERIFIED, "detail": detail}


def _said(instrument: Instrument, effect: Tell, wanted: Mapping[str, float]) -> str:
    """Return a step in words."""
    if not wanted:
        return f"{effect.instrument} {effect.command}"
    safe = {actuator.name: actuator.safe for actuator in instrument.motion.actuators}
    moved = [name for name, value in wanted.items() if value != safe[name]]
    return f"{effect.instrument}: {' '.join(moved) or 'everything safe'}"
