"""Who may move what: leases, arming, interlocks, the stop of everything, and the audit, of all that moves.

A command for such an instrument passes here. Leave is asked twice: at once, so that a refusal is immediate,
and again in the device's own thread right before the command is sent.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from typing import Any, Final

from kymograph.acquire.instrument import Instrument
from kymograph.config import Config
from kymograph.control.authority import HANDED_OVER, Ended, Lease
from kymograph.control.command_life import Command, Order
from kymograph.control.interlock import Action, Change
from kymograph.control.stop_latch import Stop
from kymograph.model.clock import Clock
from kymograph.model.errors import KymographError, Refused
from kymograph.model.limits import COMMAND_TIMEOUT_S
from kymograph.service.contract import Plain
from kymograph.service.control.command_desk import CommandDesk
from kymograph.service.control.interlocking import Interlocking, read_armed
from kymograph.service.control.kept_stop import KeptStop
from kymograph.service.control.leases import LEASE_S, Leases
from kymograph.service.control.leave import LEASELESS, Leave
from kymograph.service.control.logbook import Logbook, Tell
from kymograph.service.control.safety_catch import SafetyCatch
from kymograph.service.control.standing import Standing, Wanted
from kymograph.service.instruments import Instruments

log = logging.getLogger(__name__)

_TICK_S: Final = 0.05
_SENT_S: Final = 1.0
"""How long a stop waits to be able to say whether it was sent."""


class Controls:
    """The control of one station. Any thread may call."""

    def __init__(self, config: Config, instruments: Instruments, clock: Clock, tell: Tell) -> None:
        """Read the interlocks, and whether an earlier run of the station was left stopped.

        Raises:
            ConfigError: an interlock is wrong, or what is to be armed is not there.
        """
        data = config.station.data
        self._instruments = instruments
        self._clock = clock
        self._interlocking = Interlocking(config.interlocks, instruments, clock, self._act)
        self._latch = KeptStop(data)
        self._leases = Leases(clock)
        self._logbook = Logbook(data if self.movers else None, clock, tell)
        self._catch = SafetyCatch(read_armed(config.control.armed, instruments), clock, self._logbook)
        self._leave = Leave(self._latch, self._leases, self._interlocking, self._catch)
        self._desk = CommandDesk(clock, self._logbook)
        self._upset: tuple[Callable[[str], None], ...] = ()
        self._acting = ThreadPoolExecutor(1, "interlock")
        self._quit = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="controls", daemon=True)

    @property
    def movers(self) -> list[Instrument]:
        """The instruments that can move something."""
        return [instrument for instrument in self._instruments if instrument.motion.actuators]

    def start(self) -> None:
        """Begin to watch leases and interlocks, where there is anything to watch."""
        self.listen()
        if self.movers or self._interlocking.any:
            self._thread.start()

    def listen(self) -> None:
        """Have the interlocks look at every block."""
        if self._interlocking.any:
            for name in self._instruments.stream_names:
                self._instruments.fanout(name).add(self._interlocking)

    def shutdown(self) -> None:
        """Cease; the instruments take their safe state when they are closed."""
        self._quit.set()
        if self._thread.is_alive():
            self._thread.join(2)
        self._acting.shutdown(wait=False, cancel_futures=True)
        self._logbook.close()

    # -- commands ------------------------------------------------------------------------------------------
    def command(
        self, order: Order, standing: Standing = Standing.ASKED, wanted: Wanted = lambda: True
    ) -> Any:
        """Have a command run, if nothing speaks against it, and return what the device answered.

        Who gives one while nobody holds control takes it for half a minute. `wanted` is asked in the device's
        own thread right before it goes: no longer wanted, it never goes.

        Raises:
            Conflict: another holds control.
            Refused: everything is stopped, an interlock forbids it, or it is not armed.
            TimedOut: it could not be sent in time, and never will be; or the device does not answer.
        """
        instrument = self._instruments.get(order.instrument)
        if instrument.motion.actuators:
            return self.carry_out(order, standing, wanted).answer
        late_s = COMMAND_TIMEOUT_S if order.late_s is None else order.late_s
        return instrument.command(order.command, order.arguments, late_s=late_s)

    def carry_out(
        self, order: Order, standing: Standing = Standing.ASKED, wanted: Wanted = lambda: True
    ) -> Command:
        """Have a command of what moves run as `command` does, and return it as far as it has come by then."""
        instrument = self._instruments.get(order.instrument)
        command, repeated = self._desk.accept(order, standing, instrument.motion)
        if repeated:
            return self._desk.repeated(command.id)
        try:
            with self._desk.under_way(command) as under_way:
                under_way.answer = self._send(command, instrument, standing, wanted)
        finally:
            if standing not in LEASELESS:
                self._logbook.settle()
        return self._desk.get(command.id)

    def _send(self, command: Command, instrument: Instrument, standing: Standing, wanted: Wanted) -> Any:
        order = command.order
        lease = self._leave.lease_of(order, standing)
        self._leave.ask(instrument, order, standing, lease)
        if standing not in LEASELESS:
            self._logbook.settle()  # that it was accepted is on the disk before anything moves

        def permit() -> None:
            if not wanted():
                raise Refused(f"{order.command} was withdrawn", hint="it was not sent")
            self._leave.ask(instrument, order, standing, lease, now=True)
            self._desk.send(command.id, None if lease is None else lease.fence)

        urgent = standing is Standing.EMERGENCY
        return instrument.command(order.command, order.arguments, permit, urgent, command.late_s)

    def lease_for(self, by: str, fence: int | None = None, ttl_s: float = LEASE_S) -> Lease:
        """See `Leave.lease_for`."""
        return self._leave.lease_for(by, fence, ttl_s)

    def keep(self, lease: Lease, ttl_s: float = LEASE_S) -> Lease:
        """Give a lease more time.

        Raises:
            Conflict: it holds no more.
        """
        return self._leases.keep(lease, ttl_s)

    # -- authority -----------------------------------------------------------------------------------------
    def take(self, by: str, ttl_s: float = LEASE_S) -> Plain:
        """See `ControlService.take`."""
        lease, new = self._leases.take(by, ttl_s)
        if new:
            self._logbook.event("state", {"control": "taken", "holder": by, "fence": lease.fence})
            self._logbook.line(by, "control taken", {"fence": lease.fence, "ttl_s": ttl_s}, wait=True)
        return lease.to_dict(self._clock.monotonic_ns())

    def give_up(self, by: str, break_: bool = False) -> Plain:
        """See `ControlService.give_up`."""
        ended = self._leases.give_up(by, break_)
        if ended is not None:
            self._lost(ended)
        return self.status()

    def hand_over(self, by: str, to: str, ttl_s: float = LEASE_S) -> Plain:
        """See `ControlService.hand_over`."""
        ended, lease = self._leases.hand_over(by, to, ttl_s)
        self._lost(ended, to)
        return lease.to_dict(self._clock.monotonic_ns())

    def _lost(self, ended: Ended, to: str = "") -> None:
        """Do what belongs to the end of a lease; what moves is made safe unless another has it by now."""
        if ended.why != HANDED_OVER:
            self.make_safe(self.movers)
        self._tell_upset(f"{ended.lease.holder}'s control was {ended.why}")
        self._catch.take_away("control went elsewhere")
        body = {"holder": ended.lease.holder, "why": ended.why, "by": ended.by, "fence": ended.lease.fence}
        body |= {"to": to} if to else {}
        what = "handed over" if to else "lost"
        self._logbook.event("state", {"control": what, **body})
        self._logbook.line(ended.by or ended.lease.holder, f"control {what}", body, wait=bool(ended.by))

    # -- arming --------------------------------------------------------------------------------------------
    def arm(self, target: str, by: str, ttl_s: float, fence: int | None = None) -> Plain:
        """See `ControlService.arm`."""
        self._latch.check()
        return self._catch.arm(target, self.lease_for(by, fence), ttl_s)

    def disarm(self, target: str, by: str) -> Plain:
        """See `ControlService.disarm`."""
        self._catch.disarm(target, by)
        return self.status()

    def needs_arming(self, instrument: str, moved: Iterable[str]) -> bool:
        """Return whether one of these actuators must be armed before it is moved."""
        return bool(self._catch.targets & {f"{instrument}.{name}" for name in moved})

    def spend(self, target: str, lease: Lease) -> None:
        """Use up the arming of a sequence: it begins now.

        Raises:
            Refused: it is not armed, or not by the holder of this lease, or no longer.
        """
        self._catch.spend(target, lease)

    # -- stop ----------------------------------------------------------------------------------------------
    def stop_all(self, by: str, reason: str = "") -> Plain:
        """Bring everything into its safe state, whoever asks and whatever goes on, and let nothing move
        until the stop is reset. Asks for no lease, and waits for no lock and no queue."""
        stop = self._latch.press(by or "somebody", reason, self._clock.now_ns())
        sent = self.make_safe(self.movers)
        self._tell_upset(f"everything was stopped by {stop.by}{f': {reason}' if reason else ''}")
        told = {name: _outcome(done) for name, done in sent.items()}
        self._catch.take_away("everything was stopped")
        self.keep_stop()
        self._logbook.event("alarm", {"stop": stop.to_dict(), "sent": told})
        self._logbook.line(by or "somebody", "stop all", {"reason": reason, "sent": told}, wait=True)
        return {**self._latch.to_dict(), "sent": told}

    def press(self, by: str, reason: str) -> Stop:
        """Let nothing move any more but an emergency, and move nothing oneself: `stop_all` comes after it."""
        return self._latch.press(by or "somebody", reason, self._clock.now_ns())

    @property
    def presses(self) -> int:
        """How often everything was stopped since the last reset."""
        return self._latch.stop.presses if self._latch.stop else 0

    def keep_stop(self) -> None:
        """Write the stop down, so that it outlives the program."""
        self._latch.keep()

    def reset_stop(self, by: str, number: int | None = None) -> Plain:
        """See `ControlService.reset_stop`."""
        now_ns = self._clock.monotonic_ns()
        if number is None:
            return {**self._latch.to_dict(), "confirm": self._latch.ask_reset(now_ns)}
        stop = self._latch.confirm_reset(number, now_ns)
        self._logbook.event("state", {"stop": None, "was": stop.to_dict(), "by": by})
        self._logbook.line(by, "stop reset", {"was": stop.to_dict()}, wait=True)
        return self._latch.to_dict()

    def note(self, who: str, what: str, body: Mapping[str, Any]) -> None:
        """Write a line of the audit about what moves things by itself; waits for nothing."""
        self._logbook.line(who, what, body)

    def make_safe(self, instruments: Iterable[Instrument]) -> dict[str, Future[bool]]:
        """Have actuators take their safe state before anything else; waits for nothing."""
        sent = {instrument.name: instrument.motion.make_safe() for instrument in instruments}
        for name in sent:
            self._desk.overtake(name, "it was made safe")
        return sent

    def on_upset(self, callback: Callable[[str], None]) -> None:
        """Call back with a reason whenever what runs by itself must end: a stop, a trip that acted, control
        that was lost, broken, given back or handed over. Called in any thread; must not wait."""
        self._upset = (*self._upset, callback)

    def _tell_upset(self, reason: str) -> None:
        for callback in self._upset:
            callback(reason)

    # -- interlocks ----------------------------------------------------------------------------------------
    def reset_interlock(self, name: str, by: str) -> Plain:
        """See `ControlService.reset_interlock`."""
        self._interlocking.reset(name)
        self._logbook.line(by, "interlock reset", {"interlock": name}, wait=True)
        return self.status()

    @property
    def alive(self) -> bool:
        """Whether leases and interlocks are watched, where they are to be: False is for a watchdog."""
        return self._quit.is_set() or self._thread.ident is None or self._thread.is_alive()

    def _watch(self) -> None:
        try:
            while not self._quit.wait(_TICK_S):
                self.tick()
        except Exception:
            log.exception("control cannot be watched any more: everything is stopped")
            self.stop_all("kymograph", "control cannot be watched any more")

    def tick(self) -> None:
        """Do what time brings: leases and armings that end, data that grows stale, commands that are late."""
        for ended in self._leases.expire():
            self._lost(ended)
        self._interlocking.tick()
        self._catch.tick()
        self._desk.tick()

    def _act(self, change: Change) -> None:
        """Do what belongs to an interlock's change, outside of the thread of an instrument, in order."""
        if change.actions == "safe":
            self.make_safe(self.movers)
        elif change.actions:
            for action in change.actions:
                self._later(partial(self._do, change.interlock, action))
        if change.actions:
            self._tell_upset(f"interlock {change.interlock} tripped: {change.reason}")
        kind = "alarm" if change.after == "tripped" else "state"
        self._logbook.event(kind, change.to_dict())
        self._logbook.line("interlock", f"interlock {change.after}", change.to_dict())

    def act_again(self) -> None:
        """Do once more what tripped interlocks did by commands, unless everything is stopped: the last steps
        of a run come after a trip, and must not undo it."""
        if self.presses:
            return
        for name, actions in self._interlocking.standing():
            for action in actions:
                self._later(partial(self._do, name, action))

    def _do(self, interlock: str, action: Action) -> None:
        order = Order(action.instrument, action.command, action.arguments, f"interlock {interlock}")
        try:
            self.command(order, Standing.EMERGENCY)
        except KymographError as error:
            log.error("an interlock's action failed: %s", error)

    def _later(self, work: Callable[[], None]) -> None:
        if not self._quit.is_set():
            self._acting.submit(work)

    # -- what can be seen ----------------------------------------------------------------------------------
    def status(self) -> Plain:
        """See `ControlService.status`."""
        now_ns = self._clock.monotonic_ns()
        held = self._leases.holder()
        return {
            "time_ns": now_ns + self._clock.offset_ns,
            **self._latch.to_dict(),
            "lease": None if held is None else held.to_dict(now_ns),
            "armed": self._catch.to_list(),
            "interlocks": self._interlocking.to_list(),
            "actuators": [
                {
                    "instrument": one.name,
                    **place,
                    "needs_arming": self.needs_arming(one.name, [place["name"]]),
                }
                for one in self.movers
                for place in one.motion.to_list()
            ],
            "commands": self._desk.to_list(),
        }


def _outcome(done: Future[bool]) -> str:
    try:
        return "sent" if done.result(_SENT_S) else "not open"
    except FutureTimeoutError:
        return "no answer yet"
    except KymographError as error:
        return error.message
