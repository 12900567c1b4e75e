"""The thread that drives one run: gives the time and the newest values to it, and does what it asks for.

Nothing in it waits for a device: each instrument has a lane of its own, in which one command at a time is
given and waited for. The `always` steps have lanes beside those of the body, so that nothing of the body
is before them.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any, Final, cast

from kymograph.control.authority import Lease
from kymograph.control.command_life import Order
from kymograph.control.sequence.effects import Effect, Event, Recording, Tell, Withdraw
from kymograph.control.sequence.runner import OVER, Run
from kymograph.model import status
from kymograph.model.clock import Clock
from kymograph.model.errors import Conflict, KymographError
from kymograph.model.event import Event as Told
from kymograph.model.limits import RUN_EVENTS_PER_S_MAX
from kymograph.service.contract import Plain
from kymograph.service.control.controls import Controls
from kymograph.service.control.leases import LEASE_S
from kymograph.service.control.standing import Standing
from kymograph.service.instruments import Instruments
from kymograph.service.recording.desk import RecordingDesk
from kymograph.service.recording.recordings import Recordings
from kymograph.service.runs.lanes import Lanes
from kymograph.service.runs.values import RunValues
from kymograph.store.run_records import RunRecords

log = logging.getLogger(__name__)

RUN: Final = "run/"
"""Begins the source of every event of a run."""
LONG: Final = ("asked", "met", "timeline")
"""What of a run is left out of events and listings."""
LOOK_S: Final = 0.01
"""Between two looks whether there are new rows for a condition; each row is looked at."""
IDLE_S: Final = 0.25
"""Between two looks at everything else: links, recordings, the lease."""
RENEW_S: Final = LEASE_S / 3
WRITE_S: Final = 10.0
"""How long the end of a run waits for the disk to take its record."""
_S: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Means:
    """What a run works with."""

    instruments: Instruments
    controls: Controls
    desk: RecordingDesk
    recordings: Recordings
    clock: Clock
    tell: Callable[[Told], None]
    records: RunRecords


@dataclass(frozen=True, slots=True)
class Ticket:
    """What is known of a run before it begins."""

    id: str
    by: str
    lease: Lease | None
    keep: bool
    started_ns: int
    instruments: frozenset[str]
    """Those that it commands."""
    timeline: list[Plain]
    origin: Callable[[], Plain]
    """What its record says besides."""
    values: RunValues


class Driving:
    """One run under way. Public methods may be called from any thread and never wait for a device."""

    def __init__(self, run: Run, ticket: Ticket, means: Means) -> None:
        self.run = run
        self.ticket = ticket
        self.means = means
        self.guard = threading.RLock()
        """Held while the run is touched."""
        self.over = threading.Event()
        """Set when it has ended and its record is written."""
        self._wake = threading.Event()
        self.upsets: deque[str] = deque()
        self._withdrawn: set[int] = set()
        self.lanes = Lanes()
        self._begun: list[tuple[str, str]] = []
        """Recordings that it has begun: name and id."""
        self._recordings: list[str] = []
        self._origin: Plain = {}
        self._ended_ns: int | None = None
        self._said: tuple[Any, ...] = ()
        self._said_ns = 0
        self._renew_ns = 0
        self.thread = threading.Thread(target=self._drive, name="run", daemon=True)

    # -- from outside --------------------------------------------------------------------------------------
    def begin(self) -> None:
        """Write the record, and start.

        Raises:
            StorageError: the record cannot be written; nothing has moved.
        """
        self.means.records.write(self.record())
        self.note("started")
        self.thread.start()

    def pause(self) -> None:
        """See `Run.pause`."""
        with self.guard:
            self.run.pause(self.means.clock.monotonic_ns())
        self._wake.set()

    def resume(self) -> None:
        """See `Run.resume`."""
        with self.guard:
            self.run.resume(self.means.clock.monotonic_ns())
        self._wake.set()

    def abort(self, reason: str) -> None:
        """See `Run.abort`."""
        with self.guard:
            self.run.abort(reason)
        self._wake.set()

    def upset(self, reason: str) -> None:
        """Have it end because something happened: a stop, a trip, a lost lease. Never waits."""
        self.upsets.append(reason)
        self._wake.set()

    def drop(self, reason: str) -> None:
        """End it at once, without its `always` steps: another makes everything safe."""
        with self.guard:
            self.run.drop(reason)
        self._wake.set()

    def to_dict(self) -> Plain:
        """Return the run as anyone may see it."""
        with self.guard:
            now_ns = self.means.clock.monotonic_ns()
            said = self.run.progress(now_ns)
        ticket, offset_ns, state = self.ticket, self.means.clock.offset_ns, said["state"]
        if state == "ready":
            state = "running"
        elif state in OVER and self._ended_ns is None:
            state = "ending"
        return {
            "id": ticket.id, "sequence": said["name"], "sha256": said["sha256"], "by": ticket.by,
            "fence": ticket.lease.fence if ticket.lease else None, "keep": ticket.keep,
            "parameters": said["parameters"],
            "state": state, "reason": said["reason"], "started_ns": ticket.started_ns,
            "ended_ns": self._ended_ns,
            "line": said["line"], "waits_for": said["waits_for"], "left_s": said["left_s"],
            "path": said["path"], "failures": said["failures"], "recordings": list(self._recordings),
            "asked": [_in_utc(one, offset_ns) for one in said["asked"]],
            "met": [_in_utc(one, offset_ns) for one in said["met"]],
            "timeline": ticket.timeline,
        }  # fmt: skip

    def record(self) -> Plain:
        """Return what is kept of it."""
        self._origin = self._origin or self.ticket.origin()
        return {**self.to_dict(), **self._origin, "written_ns": self.means.clock.now_ns()}

    # -- in its own thread ---------------------------------------------------------------------------------
    def _drive(self) -> None:
        try:
            self.ticket.values.open()
            while self._turn():
                self._rest()
        finally:
            self._end()

    def _turn(self) -> bool:
        """Go on as far as it goes now; return whether it is not over."""
        now_ns = self.means.clock.monotonic_ns()
        self.look(now_ns)
        values = self.ticket.values
        with self.guard:
            condition = self.run.condition
            for looked in values.take(condition):
                self.run.saw(*looked)
            effects = self.run.advance(now_ns, values.at(now_ns), values.seen_ns(condition))
            over = self.run.state in OVER
        for effect in effects:
            self._do(effect)
        if not over:
            self._say(now_ns)
        return not over

    def _rest(self) -> None:
        with self.guard:
            due_ns, watching = self.run.due_ns, self.run.condition is not None
        now_ns = self.means.clock.monotonic_ns()
        until_ns = now_ns + round(IDLE_S * _S)
        until_ns = until_ns if due_ns is None else min(until_ns, due_ns)
        while (left_s := (until_ns - self.means.clock.monotonic_ns()) / _S) > 0:
            if self._wake.wait(min(left_s, LOOK_S) if watching else left_s):
                break
            if watching and self.ticket.values.fresh:
                return
        self._wake.clear()

    def _end(self) -> None:
        with self.guard:
            self.run.drop("it could not go on: see the log of the engine")  # nothing, if it has ended
        self.finish()
        self.ticket.values.close()
        self._note_recordings()
        self._ended_ns = self.means.clock.now_ns()
        wait([self.write_record()], WRITE_S)
        self.note(self.run.state)
        self._tell_state()
        self.lanes.close()
        self.over.set()

    # -- what differs in an emergency ----------------------------------------------------------------------
    def look(self, now_ns: int) -> None:
        """Look at what may end it, and keep its lease where that is its own business."""
        while self.upsets:
            self._fail(self.upsets.popleft())
        for name in self.ticket.instruments:
            told = self.means.instruments.get(name).status()
            if told.state in (status.CLOSED, status.FAULT):
                self._fail(f"{name} is {told.state}{f': {told.error}' if told.error else ''}")
        lease = self.ticket.lease
        if self.ticket.keep and lease is not None and now_ns >= self._renew_ns:
            self._renew_ns = now_ns + round(RENEW_S * _S)
            try:
                self.means.controls.keep(lease)
            except Conflict as error:
                self._fail(str(error))

    def tell(self, effect: Tell) -> None:
        """Give a command."""
        self.lanes.do((effect.instrument, effect.always), self._give, effect)

    def finish(self) -> None:
        """Do what belongs to the end."""
        if self.run.reason.startswith("it could not go on"):
            self.means.controls.make_safe(self.means.controls.movers)
        self.means.controls.act_again()

    # -- what is done --------------------------------------------------------------------------------------
    def _fail(self, reason: str) -> None:
        with self.guard:
            self.run.fail(reason)

    def answer(self, number: int, error: str = "", outcome: str = "done") -> None:
        """Take an answer."""
        with self.guard:
            self.run.answered(number, error, outcome, self.means.clock.monotonic_ns())
        self._wake.set()

    def _do(self, effect: Effect) -> None:
        match effect:
            case Tell():
                self.tell(effect)
            case Recording():
                self.lanes.do("recording", self._record, effect)
            case Event():
                self.event("mark", {"text": effect.text, **effect.fields})
            case Withdraw():
                self._withdrawn.update(effect.numbers)

    def order(self, effect: Tell) -> Order:
        """Return a step's command as an order."""
        late_s = (effect.deadline_ns - self.means.clock.monotonic_ns()) / _S
        fence = self.ticket.lease.fence if self.ticket.lease else None
        return Order(
            effect.instrument, effect.command, effect.arguments, self.ticket.by, fence,
            late_s=max(late_s, 0.001), run=self.ticket.id,
        )  # fmt: skip

    def _give(self, effect: Tell) -> None:
        def wanted() -> bool:
            return effect.number not in self._withdrawn

        if not wanted():
            self.answer(effect.number, outcome="withdrawn")
            return
        standing = Standing.LAST if effect.always else Standing.RUN
        try:
            self.answer(
                effect.number, *judged(self.means.controls.command(self.order(effect), standing, wanted))
            )
        except KymographError as error:
            self.answer(effect.number, str(error))

    def _record(self, effect: Recording) -> None:
        try:
            if effect.do == "start":
                name = effect.name or self.run.sequence.name
                wish = {"name": name, "metadata": dict(effect.metadata), "by": self.ticket.by}
                self._begun.append((name, self.means.desk.start(wish)["id"]))
            else:
                self.means.desk.stop(self._recording(effect.name))
        except KymographError as error:
            self.answer(effect.number, str(error))
        else:
            self.answer(effect.number)

    def _recording(self, name: str) -> str:
        """Return which recording is meant by its end: the last that this run has begun, or has so called.

        Raises:
            Conflict: it has begun none.
        """
        for known, recording_id in reversed(self._begun):
            if name in ("", known):
                self._begun.remove((known, recording_id))
                return recording_id
        raise Conflict("this run has begun no such recording", hint="record: {do: start, name: …} begins one")

    # -- what is said --------------------------------------------------------------------------------------
    def event(self, kind: str, body: Mapping[str, Any]) -> None:
        """Tell an event, also to the recordings that run."""
        now_ns = self.means.clock.now_ns()
        self.means.tell(Told(str(uuid.uuid4()), now_ns, RUN + self.ticket.id, kind, dict(body)))

    def note(self, what: str) -> None:
        """Write a line of the audit."""
        run = self.run
        told: Plain = {"run": self.ticket.id, "sequence": run.sequence.name, "sha256": run.sequence.sha256}
        lease = self.ticket.lease
        told |= {"parameters": dict(run.parameters), "fence": lease.fence if lease else None}
        self.means.controls.note(self.ticket.by, f"run {what}", {**told, "reason": run.reason})

    def _tell_state(self) -> None:
        said = self.to_dict()
        for key in LONG:
            del said[key]
        self.event("state", said)

    def _say(self, now_ns: int) -> None:
        """Tell a change: of the state always and durably, of the step as often as is of use."""
        changed = self._note_recordings()
        with self.guard:
            said = self.run.state, self.run.line
        if said == self._said and not changed:
            return
        state_too = said[0] != (self._said or ("",))[0]
        if not (state_too or changed) and now_ns - self._said_ns < _S // RUN_EVENTS_PER_S_MAX:
            return
        self._said, self._said_ns = said, now_ns
        if state_too:
            self.write_record()
        self._tell_state()

    def _note_recordings(self) -> bool:
        """Take note of recordings that run beside; return whether there is a new one."""
        running = [recorder.recording.id for recorder in self.means.recordings.running()]
        fresh = [recording_id for recording_id in running if recording_id not in self._recordings]
        self._recordings += fresh
        return bool(fresh)

    def write_record(self) -> Future[None]:
        """Have the record written as it is now, after those before it."""
        return self.lanes.do("records", self._write, self.record())

    def _write(self, record: Plain) -> None:
        try:
            self.means.records.write(record)
        except KymographError as error:
            log.error("the record of the run %s could not be written: %s", self.ticket.id, error)


def _in_utc(one: Plain, offset_ns: int) -> Plain:
    """Return what happened with its times as UTC."""
    return {
        key: value + offset_ns if key.endswith("_ns") and value is not None else value
        for key, value in one.items()
    }


def judged(result: Any) -> tuple[str, str]:
    """Return what a device's answer means for a step: why it failed, or a word for how it went."""
    said = cast("dict[str, Any]", result) if isinstance(result, dict) else {}
    outcome = str(said.get("outcome", "done"))
    if outcome == "contradicted":
        return f"the device says that it is otherwise: {', '.join(map(str, said.get('differ', ())))}", ""
    return "", outcome
