"""One thread owns one device: it opens it, reads it, gives it commands, and brings it back after a fault.

    closed ──open──▶ idle ──start──▶ acquiring          `want` is what was asked for, `state` what is so.
      ▲                │                │               A fault goes back to `want` by itself, after
      └─────close──────┴──────stop──────┘               1, 2, 4 … 60 s, for as long as it takes.

What others ask is put into a queue and done between two reads, so a driver needs no lock. A command for a
device that is not open is refused at once, never kept: nobody wants a valve to move when the cable is back.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from kymograph.acquire.feed import Feed, layout
from kymograph.acquire.motion import Motion
from kymograph.acquire.requests import Asked, Requests
from kymograph.acquire.stats import RateMeter
from kymograph.drivers.base import Driver, GivenUp
from kymograph.model import status
from kymograph.model.block import Rows
from kymograph.model.channel import Stream
from kymograph.model.clock import Clock
from kymograph.model.errors import InvalidInput, KymographError, Refused, Unavailable
from kymograph.model.limits import COMMAND_TIMEOUT_S, COMMANDS_WAITING_MAX, REOPEN_BACKOFF_S

log = logging.getLogger(__name__)

AnyDriver = Driver[Any]
Notice = Callable[[str, str, dict[str, Any]], None]
"""Called with an event's source, kind and body."""

ACTIONS: Final = {
    "open": status.IDLE, "start": status.ACQUIRING, "pause": status.IDLE, "resume": status.ACQUIRING,
    "stop": status.IDLE, "close": status.CLOSED,
}  # fmt: skip
SILENT: Final = "device silent"
_READ_TIMEOUT_S: Final = 0.1
_READ_TIMEOUT_MOVING_S: Final = 0.01
"""Of a driver that moves something: so long may a command to make it safe have to wait."""
_TEND_S: Final = 0.1
_RANK: Final = {status.CLOSED: 0, status.IDLE: 1, status.ACQUIRING: 2}


class Instrument:
    """A device under supervision. All public methods may be called from any thread."""

    def __init__(
        self, name: str, driver_name: str, make: Callable[[], AnyDriver], clock: Clock, notice: Notice
    ) -> None:
        self.name = name
        self.driver_name = driver_name
        self.block_interval_s = 0.02
        self._make = make
        self._clock = clock
        self._notice = notice
        self._driver = make()
        local = self._driver.streams()
        self.feeds = {s.name: Feed(replace(s, name=self._global_name(s, len(local)))) for s in local}
        self._requests = Requests()
        self.motion = Motion(lambda: self._driver, lambda: self._state, self._requests)
        """What it can move."""
        self._meter = RateMeter()
        self._state, self._want = status.CLOSED, status.CLOSED
        self._error, self._retry_at_ns, self._attempts, self._reopens = "", 0, 0, 0
        self._device: dict[str, Any] = {}
        self._generation = -1
        self._quit = False
        self._paused = False
        self._moving = False
        """Whether the thread is in a dialogue that opens, starts or stops the device."""
        self._thread = threading.Thread(target=self._run, name=f"instrument-{name}", daemon=True)

    def _global_name(self, stream: Stream, count: int) -> str:
        return self.name if count == 1 else f"{self.name}.{stream.name}"

    # -- asked from outside ------------------------------------------------------------------------------
    @property
    def streams(self) -> list[Stream]:
        """The streams, under their names in the station."""
        return [feed.stream for feed in self.feeds.values()]

    def launch(self, want: str) -> None:
        """Start the thread, which brings the device to the state that is wanted."""
        self._want = want
        self._thread.start()

    def shutdown(self, timeout_s: float) -> bool:
        """Close the device and end the thread; return whether it did in time."""
        self._quit = True
        self._driver.hurry.set()
        self._requests.wake()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def act(self, action: str, timeout_s: float = COMMAND_TIMEOUT_S) -> None:
        """Do one of `ACTIONS` and wait until it is so; `pause` is a stop that `resume` undoes.

        A stop waits for no dialogue: where nothing is acquired, it is enough that nothing will be.

        Raises:
            InvalidInput: no such action.
            Refused: a pause of what does not acquire, or a resume of what was not paused.
            DeviceError: the device could not be brought there; the instrument keeps trying.
            TimedOut: the device's thread did not answer.
        """
        want = ACTIONS.get(action)
        if want is None:
            raise InvalidInput(f"there is no action {action}", hint=f"actions are: {', '.join(ACTIONS)}")
        if action == "open" and self._state in _RANK:
            want = self._state if _RANK[self._state] > _RANK[want] else want
        if action == "stop" and self._want == status.CLOSED:
            return
        self._refuse_pointless(action)
        self._paused = action == "pause" or (self._paused and action == "open")
        if action in ("stop", "pause", "close"):
            self._want = want
        if action == "close":
            self._driver.hurry.set()
        elif action == "stop" and self._moving and self._state != status.ACQUIRING:
            return

        def work() -> None:
            self._want = want
            if action == "stop" and self._state == status.FAULT:
                return
            self._retry_at_ns, self._attempts = 0, 0
            self._towards()

        self._ask(work, timeout_s)

    def _refuse_pointless(self, action: str) -> None:
        if action == "pause" and self._want != status.ACQUIRING:
            raise Refused(f"{self.name} does not acquire", hint="start it first", state=self._state)
        if action == "resume" and not self._paused:
            raise Refused(f"{self.name} is not paused", hint="start it instead", state=self._state)

    def command(
        self,
        name: str,
        arguments: Mapping[str, Any],
        permit: Callable[[], None] = lambda: None,
        urgent: bool = False,
        late_s: float = COMMAND_TIMEOUT_S,
    ) -> Any:
        """Have the driver run a command and return its answer.

        `permit` is asked in the device's own thread, right before: it raises if control is elsewhere by
        then, or something forbids it. An `urgent` one goes before all that waits, and ends the wait of the
        one under way.

        Raises:
            Refused: the device is not open, or too many commands wait already.
            TimedOut: it could not be begun within `late_s`, and never will be; or no answer came.
        """
        self._refuse_unless_open(urgent)
        self._driver.check_command(name, arguments)

        def work() -> Any:
            driver = self._driver
            self._refuse_unless_open(urgent)
            driver.permit = permit
            if not driver.asks_leave:
                permit()
            return driver.run_command(name, arguments)

        if urgent:
            self._driver.stop_wanted.set()
            self._requests.put(self._driver.stop_wanted.clear, urgent)
        return self._ask(work, COMMAND_TIMEOUT_S, urgent, late_s)

    def _refuse_unless_open(self, urgent: bool = False) -> None:
        if not self.motion.is_open:
            raise Refused(
                f"{self.name} is {self._state}", hint="open the instrument first", state=self._state
            )
        if len(self._requests) >= COMMANDS_WAITING_MAX and not urgent:
            raise Refused(f"{COMMANDS_WAITING_MAX} commands wait for {self.name} already")

    def replace_driver(self, make: Callable[[], AnyDriver]) -> None:
        """Go on with another driver, made anew, and bring it to where the old one was wanted.

        Raises:
            Refused: its streams, or what it moves and how that is safe, are not those of the old one.
        """
        fresh = make()
        before = {name: layout(feed.stream) for name, feed in self.feeds.items()}
        same = {s.name: layout(s) for s in fresh.streams()} == before
        if not same or tuple(fresh.actuators()) != tuple(self.motion.actuators):
            what = "what it moves and how that is safe" if same else "the channels or the rate"
            raise Refused(
                f"these options change {what} of {self.name}", hint="put them in the station file and restart"
            )

        def work() -> None:
            self._let_go()
            before = self._driver, self._make
            fresh.counters = self._driver.counters
            self._driver, self._make = fresh, make
            self._retry_at_ns, self._attempts = 0, 0
            try:
                self._towards()
            except Exception:
                self._driver.close()
                self._driver, self._make = before
                raise

        self._ask(work, COMMAND_TIMEOUT_S)

    def _ask(
        self, work: Callable[[], Any], timeout_s: float, urgent: bool = False, late_s: float | None = None
    ) -> Any:
        if self._quit or not self._thread.is_alive():
            raise Unavailable(f"{self.name} is shut down")
        return self._requests.ask(Asked(work, urgent, late_s), timeout_s, self.name)

    def status(self) -> status.InstrumentStatus:
        """Return what is going on this second."""
        now, counters, last = self._clock.monotonic_ns(), self._driver.counters, self._meter.last_ns
        retry_ns = self._retry_at_ns - now
        return status.InstrumentStatus(
            name=self.name,
            driver=self.driver_name,
            state=self._state,
            health=status.Health(
                bytes_received=counters.bytes_received,
                frames_good=counters.frames_good,
                frames_bad=counters.frames_bad,
                resyncs=counters.resyncs,
                reopens=self._reopens,
                rows=self._meter.rows,
                rate_hz=round(self._meter.rate_hz(now), 3),
                age_s=None if last is None else round((now - last) / 1e9, 3),
            ),
            streams=tuple(stream.name for stream in self.streams),
            port=self._driver.port,
            device=self._device,
            error=self._error,
            retry_in_s=round(max(retry_ns, 0) / 1e9, 1) if self._state == status.FAULT else None,
            paused=self._paused,
            activity=self._driver.activity,
        )

    # -- in the instrument's own thread --------------------------------------------------------------------
    def _run(self) -> None:
        while not self._quit:
            self._requests.serve(self._fail)
            try:
                self._step()
            except Exception as error:  # noqa: BLE001 - one of the three loops that must not end
                self._fail(error)
        self._let_go()
        self._requests.serve(self._fail, Unavailable(f"{self.name} is shut down"))

    def _step(self) -> None:
        if self._state == status.FAULT:
            wait_ns = self._retry_at_ns - self._clock.monotonic_ns()
            if wait_ns > 0:
                self._requests.rest(wait_ns / 1e9)
                return
        if self._state != self._want:
            self._towards()
        if self._state == status.ACQUIRING:
            self._read()
            return
        tended = self._state == status.IDLE and self.motion.actuators
        if tended:
            self._driver.tend()
        self._requests.rest(_TEND_S if tended else 1.0)

    def _read(self) -> None:
        if self._clock.generation != self._generation:
            self._begin_epoch()
        began_ns = self._clock.monotonic_ns()
        batches = self._driver.read(_READ_TIMEOUT_MOVING_S if self.motion.actuators else _READ_TIMEOUT_S)
        if self._driver.fell_silent:
            self._driver.fell_silent = False
            self._note_silence(SILENT)
        self._publish(batches)
        if self._error and batches:
            self._recovered()
        if not self._driver.paced:
            self._rest(began_ns)

    def _publish(self, batches: Sequence[Rows]) -> None:
        now_ns = self._clock.monotonic_ns()
        for rows in batches:
            if len(rows.time_ns):
                feed = self.feeds[rows.stream]
                if feed.silent_since_ns is not None:
                    self._tell_silence(feed, feed.silent_since_ns, int(rows.time_ns[0]))
                self._meter.add(feed.publish(rows), now_ns)

    def _note_silence(self, reason: str) -> None:
        """Take note that rows have stopped after the last ones, until there are some again."""
        for feed in self.feeds.values():
            feed.note_silence(reason)

    def _rest(self, since_ns: int) -> None:
        """Let rows gather: a device that sends a byte a millisecond is not to be read that often."""
        rest_s = self.block_interval_s - (self._clock.monotonic_ns() - since_ns) / 1e9
        if rest_s > 0.0005 and not self._quit:
            self._requests.rest(rest_s)

    def _begin_epoch(self) -> None:
        """Number rows anew: at the start, and when UTC was moved backwards."""
        self._generation = self._clock.generation
        self._driver.forget_time()
        for feed in self.feeds.values():
            feed.begin_epoch(self._clock.now_ns())

    def _tell_silence(self, feed: Feed, since_ns: int, until_ns: int) -> None:
        at = {"epoch": feed.epoch, "from_seq": feed.seq, "to_seq": feed.seq, "rows": None}
        times = {"from_ns": since_ns, "until_ns": until_ns, "reason": feed.silent_for}
        feed.silent_since_ns = None
        self._notice(f"instrument/{self.name}", "gap", {"stream": feed.stream.name, **at, **times})

    def _towards(self) -> None:
        """Take the steps from the present state to the wanted one."""
        if self._state == status.FAULT:
            self._state = status.CLOSED
        self._driver.hurry.clear()
        self._moving = True
        try:
            self._move()
        except GivenUp:
            self._let_go()
        finally:
            self._moving = False
            self._driver.activity = ""
        if self._want == status.CLOSED:
            self._error = ""
        if self._state != status.ACQUIRING and self._error:
            self._recovered()
        self._say_state()

    def _move(self) -> None:
        if _RANK[self._state] < _RANK[self._want]:
            if self._state == status.CLOSED:
                self._driver.deliver = self._publish
                self._device = dict(self._driver.open())
                self._state = status.IDLE
                self._driver.make_safe()
            if self._want == status.ACQUIRING:
                self._driver.start()
                self._state = status.ACQUIRING
        elif _RANK[self._state] > _RANK[self._want]:
            if self._state == status.ACQUIRING:
                self._driver.stop()
                self._publish(self._driver.leftover())
                self._note_silence("paused" if self._paused else "stopped")
                self._state = status.IDLE
            if self._want == status.CLOSED:
                self._let_go()

    def _say_state(self) -> None:
        body = {"state": self._state} | ({"error": self._error} if self._error else {})
        self._notice(f"instrument/{self.name}", "state", body)

    def _let_go(self) -> None:
        if self.motion.is_open:
            self._driver.make_safe()
        self._driver.close()
        self._state = status.CLOSED

    def _fail(self, error: Exception) -> None:
        text = str(error) or type(error).__name__
        if not self._error:
            known = isinstance(error, KymographError)
            log.warning("%s lost: %s", self.name, text, exc_info=None if known else error)
        if self._state == status.ACQUIRING:
            self._note_silence(SILENT)
        self._let_go()
        self._state, self._error = status.FAULT, text
        wait_s = REOPEN_BACKOFF_S[min(self._attempts, len(REOPEN_BACKOFF_S) - 1)]
        self._attempts += 1
        self._retry_at_ns = self._clock.monotonic_ns() + int(wait_s * 1e9)
        self._reopens += 1
        if self._attempts == 1:
            self._say_state()

    def _recovered(self) -> None:
        log.info("%s is back", self.name)
        self._error, self._attempts = "", 0
        self._say_state()
