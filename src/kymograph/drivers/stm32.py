"""The controller of a rocket test stand: pressures, temperatures, thrust; nine valves, one of them ignition.

    [instruments.stand]
    driver = "stm32"
    port = "serial://by-id/usb-STMicro*?baud=230400"

    [instruments.stand.options]
    protocol = "text"               # or "frames": binary, with checksums, for high rates
    rate_hz = 50                    # what the device sends; a rate that the link cannot carry is refused
    # acknowledges = false          # where its firmware never answers: results then say "unverified"
    # link = "usb"                  # frames: USB instead of a UART
    # batch = 10                    # frames: samples in each
    # channels = ["P1", "P2"]       # frames: what its channels are, in order; all 24 if left out
    # device = "stand-1"            # frames: the name that it must bear

One stream, `reading`. Commands: `set_valves`, `scenario`, `emergency`. See docs/drivers/stm32.md.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Annotated, Any, ClassVar, Final, Literal

from annotated_types import Len

from kymograph.drivers.base import DriverOptions, LinkLoad, command
from kymograph.drivers.ports import TTY_READ_BYTES_MAX
from kymograph.drivers.shapes import PortDriver
from kymograph.drivers.stm32_binary import FrameWire, frames_heard
from kymograph.drivers.stm32_channels import VALVES, actuators, endangered, stream, to_pattern, to_scenario
from kymograph.drivers.stm32_options import Stm32Options, link_load, rate_warning
from kymograph.drivers.stm32_orders import NACK, STATUS, Answer, Order, Wire, refusal
from kymograph.drivers.stm32_text import TextWire
from kymograph.model.actuator import Actuator
from kymograph.model.block import Rows
from kymograph.model.channel import Stream
from kymograph.model.clock import Clock
from kymograph.model.errors import PortError, Refused, TimedOut, Unavailable

log = logging.getLogger(__name__)

OPEN_TIMEOUT_S: Final = 2.5
STATUS_WAIT_S: Final = 0.5
BLOCK_S: Final = 0.008
"""Rows travel in blocks of so long: an interlock acts, and a screen shows them, within a blink."""
_READY_BYTES: Final = 3072
"""Three quarters of what the kernel keeps ready of a serial line."""
_SLICE_S: Final = 0.01
_SAFE_WRITE_S: Final = 0.1
"""How long the safe state may wait for room on a wire that takes nothing."""
_READS_MAX: Final = 64
_MORE_S: Final = 0.001
_QUIET_S: Final = 1.0
"""After so long without a sample, whatever came meanwhile is asked for."""
_READ_BACK_S_MAX: Final = 3.0
"""Frames tell the valves each second; older than this they are not known."""

_STUCK: Final = "no channel moves any more: does its converter stand still?"

Valve = Literal[0, 1]


class Stm32(PortDriver[Stm32Options]):
    """The controller of a rocket test stand, by text lines or by binary frames."""

    Options: ClassVar[type[DriverOptions]] = Stm32Options
    baud: ClassVar[int] = 230_400
    paced: ClassVar[bool] = True

    def __init__(self, options: Stm32Options, clock: Clock, port: str = "") -> None:
        super().__init__(options, clock, port)
        self.silence_s = options.silence_s
        self._streams = (stream(options.channels, options.rate_hz),)
        self._block_s = options.block_s or BLOCK_S
        load = link_load(options, "", self.baud)
        self._rounds = ceil(self._block_s * load.needed_bytes_per_s / _READY_BYTES) if load else 1
        self._actuators = actuators(options.safe)
        self._wire = self._made_wire()
        self._acquiring = False
        self._pending: list[Rows] = []
        self._sent: deque[tuple[Order, int]] = deque()
        self._answered: dict[str | int, Answer] = {}
        self._told: str | None = None
        self._said: str | None = None
        self._told_ns = 0
        self._beat_ns = 0
        self._safe_taken = False

    def _made_wire(self) -> Wire:
        o = self.options
        if o.protocol == "text":
            return TextWire(self.clock, self.counters, o.rate_hz)
        return FrameWire(self.clock, self.counters, o.channels, o.scale, o.offset, o.stuck_s)

    def streams(self) -> Sequence[Stream]:
        """One stream of all quantities."""
        return self._streams

    def link_load(self) -> LinkLoad | None:
        """Return what the samples put on the link; a network port has no rate to compare with."""
        return link_load(self.options, self.port, self.baud)

    # -- life ----------------------------------------------------------------------------------------------
    def open(self) -> Mapping[str, Any]:
        """Open the port and make sure that it is the controller that talks there.

        Raises:
            PortError: the port cannot be opened.
            DeviceSilent: nothing comes, or nothing that makes sense.
            DeviceError: another device is there, or the same in other words.
        """
        super().open()
        self._wire = self._made_wire()
        self._forget_orders()
        self._told, self._safe_taken = None, False
        self._identify()
        facts = self._wire.facts()
        device: dict[str, Any] = {"protocol": self.options.protocol, **facts}
        if warning := rate_warning(self.options, facts.get("rate_hz")):
            device["warning"] = warning
            log.warning("%s: %s", self.port, warning)
        return device

    def _identify(self) -> None:
        heard_bytes = self.counters.bytes_received
        began_ns = self.clock.monotonic_ns()
        self._ask()
        while (waited_s := (self.clock.monotonic_ns() - began_ns) / 1e9) < OPEN_TIMEOUT_S:
            self._take_in(self.receive(0.05))
            known = self._told is not None or waited_s > STATUS_WAIT_S or self.options.protocol == "text"
            if known and self._wire.recognised(self.options.device):
                return
        heard = self.counters.bytes_received > heard_bytes
        other = self._other_protocol() if heard else ""
        raise refusal(self.link.description, heard, other, self._wire.mismatch())

    def _other_protocol(self) -> str:
        """Return the protocol that the device speaks instead of the configured one, "" if neither."""
        said = " ".join(self._wire.talk)
        if self.options.protocol == "frames":
            return "text" if "P1:" in said and "|" in said else ""
        until_ns = self.clock.monotonic_ns() + 300_000_000
        heard = frames_heard(lambda: self.receive(0.05), lambda: self.clock.monotonic_ns() < until_ns)
        return "frames" if heard else ""

    def start(self) -> None:
        """Begin with the next whole sample; what came before is forgotten."""
        self._flush()
        super().start()
        self._wire.begin()
        self._pending.clear()
        self._acquiring = True
        self._beat()

    def _flush(self) -> None:
        """Throw away the samples that wait from a time when nobody read; hear the answers among them."""
        for _ in range(_READS_MAX):
            data = self.receive(_MORE_S)
            self._take_in(data)
            if len(data) < _READY_BYTES:
                return

    def read(self, timeout_s: float) -> Sequence[Rows]:
        """Return the samples that have come whole, gathered for a few milliseconds."""
        self._beat()
        self._take_in(self._gather(timeout_s if not self._pending else 0.0))
        rows, self._pending = self._pending, []
        if rows:
            self._heard_again()
        self.check_silence(bool(rows))
        return rows

    def _heard_again(self) -> None:
        """Ask for the valves after a silence, and tell that nothing moves any more."""
        fell = self._wire.fell_silent
        self.fell_silent = fell or self.fell_silent
        if fell or self.clock.monotonic_ns() - self._heard_ns > _QUIET_S * 1e9:
            self._ask()
        if self._wire.stuck != bool(self.activity):
            self.activity = _STUCK if self._wire.stuck else ""
            log.warning("%s: %s", self.port, self.activity or "its channels move again")

    def _ask(self) -> None:
        """Ask how the valves are; until it is told, they are not known."""
        question = self._wire.ask_status()
        if question is not None:
            self._told = None
            self.link.write(question.data)

    def _gather(self, timeout_s: float) -> bytes:
        """Return what comes within a block's time after the first byte.

        The kernel keeps 4 KiB ready: at high rates it is emptied several times within one block.
        """
        if not self.link.wait(timeout_s):
            return b""
        pieces: list[bytes] = []
        for _ in range(self._rounds):
            if self.stop_wanted.wait(self._block_s / self._rounds):
                break
            pieces.append(self.receive(0.0))
            # A full buffer has more behind it.
            while len(pieces[-1]) >= TTY_READ_BYTES_MAX and len(pieces) < _READS_MAX:
                pieces.append(self.receive(_MORE_S))
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _take_in(self, data: bytes) -> None:
        if data:
            rows = self._wire.take(data, self.clock.monotonic_ns())
            if self._acquiring:
                self._pending += rows
        answers, self._wire.answers = self._wire.answers, []
        for answer in answers:
            self._hear(answer)

    def forget_time(self) -> None:
        """Begin the times anew."""
        self._wire.forget_time()

    def stop(self) -> None:
        """Cease to acquire. The device goes on sending, and is given signs of life as long as it is open."""
        self._acquiring = False

    def tend(self) -> None:
        """Give a sign of life, and hear of the valves."""
        self._beat()
        self._flush()

    def leftover(self) -> Sequence[Rows]:
        """Return rows that came while a command waited for its answer."""
        rows, self._pending = self._pending, []
        return rows

    def close(self) -> None:
        """Let go of the port."""
        self._acquiring = False
        self._told = None
        super().close()

    # -- orders --------------------------------------------------------------------------------------------
    def _beat(self) -> None:
        """Give a sign of life when it is due."""
        now_ns = self.clock.monotonic_ns()
        if not self.options.heart_beat_s or now_ns < self._beat_ns:
            return
        self._beat_ns = now_ns + int(self.options.heart_beat_s * 1e9)
        beat = self._wire.heart_beat(self.options.heart_beat_timeout_s)
        if beat is not None:
            self.link.write(beat.data)

    def _hear(self, answer: Answer) -> None:
        """Take note of the valves, and give an answer to the order that it is for."""
        if answer.pattern is not None:
            self._told, self._told_ns = answer.pattern, self.clock.monotonic_ns()
        if answer.kind == STATUS:
            if answer.safe_taken and not self._safe_taken:
                log.warning("%s: the controller missed signs of life and took its safe state", self.port)
            self._safe_taken = answer.safe_taken
            return
        for order, _ in self._sent:
            if answer.fits(order):
                self._settle(order, answer)
                return

    def _settle(self, order: Order, answer: Answer) -> None:
        """Drop this order and those sent before it: answers come in the order of what they answer."""
        while self._sent:
            first, _ = self._sent.popleft()
            if first is order:
                break
        self._answered[order.key] = answer
        if answer.kind == NACK:
            log.info("%s: the controller refused %s: %s", self.port, order.name, answer.text)

    def _forget_orders(self) -> None:
        self._sent.clear()
        self._answered.clear()

    def _send(self, order: Order, timeout_s: float = 1.0) -> None:
        now_ns = self.clock.monotonic_ns()
        while self._sent and now_ns - self._sent[0][1] > self.options.ack_timeout_s * 1e9:
            self._sent.popleft()
        self._answered.clear()
        self._told = None
        self.link.write(order.data, timeout_s)
        if self.options.acknowledges:
            self._sent.append((order, now_ns))

    def _answer(self, order: Order, timeout_s: float) -> Answer | None:
        """Wait for the answer to an order, gathering rows meanwhile; None if it does not come."""
        until_ns = self.clock.monotonic_ns() + int(timeout_s * 1e9)
        while order.key not in self._answered:
            left_s = (until_ns - self.clock.monotonic_ns()) / 1e9
            if left_s <= 0 or self.hurry.is_set() or self.stop_wanted.is_set():
                return None
            self._beat()
            self._take_in(self.receive(min(left_s, _SLICE_S)))
            self._hand_on()
        return self._answered[order.key]

    def _hand_on(self) -> None:
        """Let rows go while an answer is awaited: what watches over them must not stand still."""
        if self.deliver is not None and self._pending:
            rows, self._pending = self._pending, []
            self.check_silence(True)
            self.deliver(rows)

    def _carry_out(self, order: Order, wait: bool) -> dict[str, Any]:
        """Send an order and say how it ended.

        Raises:
            Refused: the controller says no.
            TimedOut: it says nothing; whether it has obeyed is not known.
        """
        if self.stop_wanted.is_set():
            raise Refused(f"{order.name} was not sent: the stand is being made safe")
        if not self._acquiring:
            self._flush()
        self._send(order)
        if not (wait and self.options.acknowledges):
            return {"command": order.name, "outcome": "unverified", "acknowledged": False}
        answer = self._answer(order, self.options.ack_timeout_s)
        if answer is None and self.stop_wanted.is_set():
            raise Unavailable(f"a stop came over {order.name}", hint="whether it was obeyed is not known")
        if answer is None:
            raise TimedOut(
                f"the controller did not acknowledge {order.name} within {self.options.ack_timeout_s:g} s",
                hint="whether it has obeyed is not known; look at the stand",
                command=order.name,
            )
        if answer.kind == NACK:
            raise Refused(
                f"the controller refused {order.name}: {answer.text}",
                hint="nothing was moved, it says",
                command=order.name,
                answer=answer.text,
            )
        self._said = answer.pattern
        return {"command": order.name, "outcome": "acknowledged", "acknowledged": True, "answer": answer.text}

    @command
    def set_valves(self, valves: Annotated[list[Valve], Len(9, 9)], wait: bool = True) -> dict[str, Any]:
        """Set all nine valves, 0 closed and 1 open.

        They are RELIEF1 GOX1 PURGE1 PURGE2 FUEL1 RELIEF2 GOX2 FUEL2 IGNITION, in this order. `outcome` is
        `verified` if the controller says that they are so, `acknowledged` if it says that it has heard,
        `contradicted` (with `differ`) if it says that they are otherwise, `unverified` if it was not
        waited for.
        """
        pattern = to_pattern(valves)
        result = self._carry_out(self._wire.valves(pattern), wait)
        if result["acknowledged"] and (said := self._said) is not None:
            wrong = [name for name, a, b in zip(VALVES, pattern, said, strict=True) if a != b]
            result |= {"outcome": "contradicted", "differ": wrong} if wrong else {"outcome": "verified"}
        return {**result, "valves": [int(digit) for digit in pattern]}

    @command
    def scenario(self, name: str, wait: bool = True) -> dict[str, Any]:
        """Let the controller run a scenario of its own; `outcome` is `acknowledged` or `unverified`."""
        return self._carry_out(self._wire.scenario(to_scenario(name)), wait)

    @command
    def emergency(self) -> dict[str, Any]:
        """Let the controller run its emergency; sent at once, and never waited for."""
        return self._carry_out(self._wire.emergency(), wait=False)

    # -- what moves ----------------------------------------------------------------------------------------
    def actuators(self) -> Sequence[Actuator]:
        """Return the nine valves, with the state in which each does no harm."""
        return self._actuators

    def read_back(self) -> Mapping[str, float | None]:
        """Return the valves as the controller itself told them last; None where that is not known."""
        told = self._told
        if self.options.protocol == "frames":
            age_s = (self.clock.monotonic_ns() - self._told_ns) / 1e9
            told = told if age_s <= _READ_BACK_S_MAX else None
        return {name: None if told is None else float(told[i]) for i, name in enumerate(VALVES)}

    def expects(self, command: str, arguments: Mapping[str, Any]) -> Mapping[str, float]:
        """See `Driver.expects`: of valves that are set, their places; of scenarios nothing."""
        ordered = arguments["valves"] if command == "set_valves" else ()
        return {name: float(value) for name, value in zip(VALVES, ordered, strict=bool(ordered))}

    def moves(self, command: str, arguments: Mapping[str, Any]) -> Sequence[str]:
        """See `Driver.moves`."""
        return endangered(command, arguments, self._actuators, self.read_back())

    def make_safe(self) -> None:
        """Send the safe pattern at once. Waits for no answer, never raises; a closed port is left alone."""
        if self._link is None:
            return
        try:
            self._send(self._wire.valves(self.options.safe), _SAFE_WRITE_S)
        except PortError as error:
            log.warning("%s: the safe state could not be sent: %s", self.port, error)
