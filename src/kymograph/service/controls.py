"""Who may move what: leases, interlocks, the stop of everything, and the audit, of all that moves.

A command for such an instrument passes here. Leave is asked twice: at once, so that a refusal is immediate,
and again in the device's own thread right before the command is sent.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from functools import partial
from pathlib import Path
from typing import Any, Final

from kymograph.acquire.instrument import Instrument
from kymograph.control.audit import Audit
from kymograph.control.authority import Authority, Ended, Lease
from kymograph.control.interlock import Change
from kymograph.control.interlocks import Interlocks, read_tables
from kymograph.control.stop_latch import Stop, StopLatch, stop_from_dict
from kymograph.model.block import Block
from kymograph.model.clock import Clock
from kymograph.model.errors import Conflict, KymographError
from kymograph.service.contract import Plain
from kymograph.service.instruments import Instruments, Notice
from kymograph.service.orders import Order, Standing
from kymograph.store.durable import remove_durably, write_durably

log = logging.getLogger(__name__)

GROUP: Final = "station"
"""What one lease is of: everything that a station can move."""
LEASE_S: Final = 30.0
"""How long a lease holds that was taken by giving a command."""
AUDIT_FILE: Final = "audit.jsonl"
STOP_FILE: Final = "stopped.json"
_LEASELESS: Final = (Standing.LAST, Standing.EMERGENCY)
_TICK_S: Final = 0.05
_SENT_S: Final = 1.0
"""How long a stop waits to be able to say whether it was sent."""


def read_interlocks(tables: Mapping[str, Any], instruments: Iterable[Instrument]) -> Interlocks:
    """Return the interlocks of a station file.

    Raises:
        ConfigError: one is malformed, or names a channel, an actuator or a command that there is not.
    """
    known = list(instruments)
    places = {place for one in known for place in _places(one)}
    return Interlocks(read_tables(tables, places), (stream for one in known for stream in one.streams))


def _places(instrument: Instrument) -> Iterable[str]:
    inner = [*(actuator.name for actuator in instrument.motion.actuators), *instrument.motion.commands]
    return [instrument.name, *(f"{instrument.name}.{name}" for name in inner)]


class Controls:
    """The control of one station. Any thread may call; it is a sink of blocks, and never makes one wait."""

    rows_lost = 0

    def __init__(
        self, tables: Mapping[str, Any], instruments: Instruments, clock: Clock, notice: Notice, data: Path
    ) -> None:
        """Read the interlocks, and whether an earlier run of the station was left stopped.

        Raises:
            ConfigError: an interlock is wrong.
        """
        self._instruments = instruments
        self._clock = clock
        self._notice = notice
        self._interlocks = read_interlocks(tables, instruments)
        self._locked = bool(tables)
        self._stop_file = data / STOP_FILE
        self._latch = StopLatch(_left_stopped(self._stop_file))
        self._authority = Authority([GROUP], clock.now_ns() // 1_000_000)
        self._audit = Audit(data / AUDIT_FILE, clock.now_ns()) if self.movers else None
        self._guard = threading.Lock()
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
        if self._locked:
            for name in self._instruments.stream_names:
                self._instruments.fanout(name).add(self)
        if self.movers or self._locked:
            self._thread.start()

    def shutdown(self) -> None:
        """Cease; the instruments take their safe state when they are closed."""
        self._quit.set()
        if self._thread.is_alive():
            self._thread.join(2)
        self._acting.shutdown(wait=False, cancel_futures=True)
        if self._audit is not None:
            self._audit.close()

    # -- commands ------------------------------------------------------------------------------------------
    def command(self, order: Order, standing: Standing = Standing.ASKED) -> Any:
        """Have a command run, if nothing speaks against it, and return what the device answered.

        Who gives one while nobody holds control takes it for half a minute.

        Raises:
            Conflict: another holds control.
            Refused: everything is stopped, or an interlock forbids it.
            TimedOut: it could not be sent in time, and never will be; or the device does not answer.
        """
        instrument = self._instruments.get(order.instrument)
        if not instrument.motion.actuators:
            return instrument.command(order.command, order.arguments)
        asked = {"instrument": order.instrument, "command": order.command, "arguments": dict(order.arguments)}
        urgent = standing is Standing.EMERGENCY
        try:
            lease = None if standing in _LEASELESS else self.lease_for(order.by or "local", order.fence)
            permit = partial(self._permit, instrument, order, standing, lease)
            permit()
            self._write(order.by, "command accepted", {**asked, "fence": lease.fence if lease else None})
            result = instrument.command(order.command, order.arguments, permit, urgent, order.late_s)
        except KymographError as error:
            self._write(order.by, f"command {error.code}", {**asked, "error": error.message})
            raise
        self._write(order.by, "command acknowledged", {**asked, "result": result})
        return result

    def lease_for(self, by: str, fence: int | None = None, ttl_s: float = LEASE_S) -> Lease:
        """Return the lease under which somebody may move something: that of the fence, or their own, which
        is taken if nobody has it, and kept for longer if they do.

        Raises:
            Conflict: another holds control, or nobody under that fence.
            Refused: everything is stopped, and there is none yet.
        """
        now_ns = self._clock.monotonic_ns()
        with self._guard:
            if fence is not None:
                return self._authority.check(GROUP, fence, now_ns)
            self._latch.check()
            return self._authority.acquire(GROUP, by, ttl_s, now_ns)

    def keep(self, lease: Lease, ttl_s: float = LEASE_S) -> Lease:
        """Give a lease more time.

        Raises:
            Conflict: it holds no more.
        """
        with self._guard:
            return self._authority.renew(lease, ttl_s, self._clock.monotonic_ns())

    def on_upset(self, callback: Callable[[str], None]) -> None:
        """Call back with a reason whenever what runs by itself must end: a stop, a trip that acted, control
        that was lost, broken, given back or handed over. Called in any thread; must not wait."""
        self._upset = (*self._upset, callback)

    def _tell_upset(self, reason: str) -> None:
        for callback in self._upset:
            callback(reason)

    def _permit(self, instrument: Instrument, order: Order, standing: Standing, lease: Lease | None) -> None:
        if standing is Standing.EMERGENCY:
            return
        now_ns = self._clock.monotonic_ns()
        moved = instrument.motion.moves(order.command, order.arguments)
        if moved or standing is not Standing.LAST:
            self._latch.check()
        if lease is not None:
            with self._guard:
                self._authority.check(GROUP, lease.fence, now_ns)
        for target in (order.command, *moved) if moved else ():
            self._interlocks.check(instrument.name, target, now_ns)

    # -- authority -----------------------------------------------------------------------------------------
    def take(self, by: str, ttl_s: float = LEASE_S) -> Plain:
        """Take control, or keep it for longer.

        Raises:
            Conflict: another holds it.
        """
        now_ns = self._clock.monotonic_ns()
        with self._guard:
            lease = self._authority.acquire(GROUP, by, ttl_s, now_ns)
        self._write(by, "control taken", {"fence": lease.fence, "ttl_s": ttl_s})
        return lease.to_dict(now_ns)

    def give_up(self, by: str, break_: bool = False) -> Plain:
        """Give control back, or, as an admin, take it from whoever has it; what moves is made safe.

        Raises:
            Conflict: somebody else holds it.
        """
        now_ns = self._clock.monotonic_ns()
        with self._guard:
            held = self._authority.holder(GROUP, now_ns)
            if held is None:
                return self.status()
            if held.holder != by and not break_:
                raise Conflict(
                    f"{held.holder} holds control", hint="an admin can break it", holder=held.holder
                )
            ended = self._authority.break_(GROUP, by, now_ns)
        if ended is not None:
            self._lost(ended)
        return self.status()

    def _lost(self, ended: Ended) -> None:
        body = {"holder": ended.lease.holder, "why": ended.why, "by": ended.by, "fence": ended.lease.fence}
        self.make_safe(self.movers)
        self._tell_upset(f"control was lost: {ended.lease.holder}'s lease was {ended.why}")
        self._notice("control", "state", {"control": "lost", **body})
        self._write(ended.by or ended.lease.holder, "control lost", body)

    # -- stop ----------------------------------------------------------------------------------------------
    def stop_all(self, by: str, reason: str = "") -> Plain:
        """Bring everything into its safe state, whoever asks and whatever goes on, and let nothing move
        until the stop is reset. Asks for no lease, and waits for no lock and no queue."""
        stop = self._latch.press(by or "somebody", reason, self._clock.now_ns())
        sent = self.make_safe(self.movers)
        self._tell_upset(f"everything was stopped by {stop.by}{f': {reason}' if reason else ''}")
        told = {name: _outcome(done) for name, done in sent.items()}
        try:
            write_durably(self._stop_file, json.dumps(stop.to_dict()).encode())
        except KymographError as error:
            log.error("the stop could not be kept: %s", error)
        self._notice("control", "alarm", {"stop": stop.to_dict(), "sent": told})
        self._write(stop.by, "stop all", {"reason": reason, "sent": told})
        return {**self._latch.to_dict(), "sent": told}

    def reset_stop(self, by: str, number: int | None = None) -> Plain:
        """Reset the stop in two steps: without a number one is answered, with it the stop is over.

        Raises:
            Conflict: nothing is stopped, or the number is not the last one.
        """
        now_ns = self._clock.monotonic_ns()
        if number is None:
            return {**self._latch.to_dict(), "confirm": self._latch.ask_reset(now_ns)}
        stop = self._latch.confirm_reset(number, now_ns)
        if self._stop_file.exists():
            remove_durably(self._stop_file)
        self._notice("control", "state", {"stop": None, "was": stop.to_dict(), "by": by})
        self._write(by, "stop reset", {"was": stop.to_dict()})
        return self._latch.to_dict()

    def make_safe(self, instruments: Iterable[Instrument]) -> dict[str, Future[bool]]:
        """Have actuators take their safe state before anything else; waits for nothing."""
        return {instrument.name: instrument.motion.make_safe() for instrument in instruments}

    # -- interlocks ----------------------------------------------------------------------------------------
    def put(self, block: Block) -> bool:
        """Let the interlocks look at a block; called in the thread of the instrument that made it."""
        self._act(self._interlocks.take(block, self._clock.monotonic_ns()))
        return True

    def reset_interlock(self, name: str, by: str) -> Plain:
        """Let a latched interlock go; nothing moves.

        Raises:
            NotFound: there is none of that name.
            Refused: its cause is still there.
        """
        self._act(self._interlocks.reset(name, self._clock.monotonic_ns()))
        self._write(by, "interlock reset", {"interlock": name})
        return self.status()

    def _watch(self) -> None:
        while not self._quit.wait(_TICK_S):
            now_ns = self._clock.monotonic_ns()
            with self._guard:
                over = self._authority.expire(now_ns)
            for ended in over:
                self._lost(ended)
            self._act(self._interlocks.tick(now_ns))

    def _act(self, changes: Iterable[Change]) -> None:
        for change in changes:
            if change.actions == "safe":
                self.make_safe(self.movers)
            elif change.actions:
                for action in change.actions:
                    instrument = self._instruments.get(action.instrument)
                    self._later(instrument.command, action.command, action.arguments)
            if change.actions:
                self._tell_upset(f"interlock {change.interlock} tripped: {change.reason}")
            self._later(self._tell, change)

    def _tell(self, change: Change) -> None:
        kind = "alarm" if change.after == "tripped" else "state"
        self._notice("control", kind, change.to_dict())
        self._write("interlock", f"interlock {change.after}", change.to_dict())

    def _later(self, work: Callable[..., object], *arguments: object) -> None:
        """Do something outside of the thread of an instrument, in order."""

        def done() -> None:
            try:
                work(*arguments)
            except KymographError as error:
                log.error("an interlock's action failed: %s", error)

        if not self._quit.is_set():
            self._acting.submit(done)

    # -- what can be seen ----------------------------------------------------------------------------------
    def status(self) -> Plain:
        """Return who holds control, what is stopped, the interlocks, and where each actuator is."""
        now_ns = self._clock.monotonic_ns()
        held = self._authority.holder(GROUP, now_ns)
        return {
            **self._latch.to_dict(),
            "lease": None if held is None else held.to_dict(now_ns),
            "interlocks": self._interlocks.to_dict(now_ns),
            "actuators": [
                {
                    "instrument": one.name,
                    **actuator.to_dict(),
                    "value": one.motion.read_back().get(actuator.name),
                }
                for one in self.movers
                for actuator in one.motion.actuators
            ],
        }

    def _write(self, who: str, what: str, body: Mapping[str, Any]) -> None:
        if self._audit is None:
            return
        try:
            self._audit.append(self._clock.now_ns(), who or "local", what, body)
        except KymographError as error:
            log.error("the audit could not be written: %s", error)


def _left_stopped(path: Path) -> Stop | None:
    try:
        return stop_from_dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return Stop("somebody", "a stop that was kept and cannot be read any more", 0)


def _outcome(done: Future[bool]) -> str:
    try:
        return "sent" if done.result(_SENT_S) else "not open"
    except FutureTimeoutError:
        return "no answer yet"
    except KymographError as error:
        return error.message
