"""The test stand's controller as its host sees it: an engine behind nine valves, in lines or in frames.

    sim://stm32?protocol=text&rate_hz=50&seed=1
    sim://stm32?protocol=frames&rate_hz=10000&batch=10&channels=24&name=stand-1

Further parameters: `quoted=1` (text: values in quotes), `ack=0` (text: firmware that never answers), `t0_us`
and `seq` (frames: where its counters begin), `pace_ms` (how often it hands over the samples that are due). A
valve order ends a scenario; a heart-beat that stays away, once there was one, closes all valves.

Faults of its own, beside those of the wire: `nack on|off` (say no to every order), `mute on|off` (obey, and
say nothing), `jam VALVE|off` (a valve that stays as it is), `stuck NAME|off` (a value that stays as it is),
`skip N` (frames: lose the next N), `reset` (begin anew), `say TEXT` (a line of something else).
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

import numpy as np

from kymograph.model.errors import InvalidInput
from kymograph.sim import stm32_words as words
from kymograph.sim.rocket import NAMES, NOISE, STEP_S, Rocket
from kymograph.sim.stm32_words import Floats, Frame

VALVES: Final = ("RELIEF1", "GOX1", "PURGE1", "PURGE2", "FUEL1", "RELIEF2", "GOX2", "FUEL2", "IGNITION")
SCENARIOS: Final[Mapping[str, tuple[tuple[str, float], ...]]] = {
    "o2cleaning": (("000000100", 0.2), ("001000100", 5.0), ("000000100", 0.2), ("000000000", 0.0)),
    "fuelcleaning": (("000000010", 0.2), ("000100010", 5.0), ("000000010", 0.2), ("000000000", 0.0)),
    "preburning": (("010010000", 0.0),),
    "burningstart": (("010010001", 0.0),),
    "burning": (("010010101", 0.5), ("010010111", 0.0)),
    "emergency": (
        ("010010110", 0.1), ("010010000", 0.1), ("000000000", 0.1), ("100001000", 1.5), ("000000000", 0.2),
        ("000000110", 0.1), ("001100110", 5.0), ("000000110", 0.5), ("000000000", 2.0),
    ),
}  # fmt: skip
"""Patterns and how long each is held; 0 for ever."""
BEHIND_S_MAX: Final = 0.5
STATUS_S: Final = 1.0
HOLD_BYTES: Final = 65_536
"""What its memory holds while the host does not ask for it."""
NOISE_ROWS: Final = 4096
INPUT_BYTES_MAX: Final = 512
STUCK_COUNT: Final = 12_345
"""Of a stuck channel in a ramp."""


class Stm32Device:
    """The controller behind the wire."""

    baud = 0

    def __init__(
        self,
        protocol: str = "text",
        rate_hz: float = 50.0,
        batch: int = 10,
        channels: int = 24,
        seed: int = 1,
    ) -> None:
        self.frames = protocol == "frames"
        self.hold_bytes = HOLD_BYTES if self.frames else 0
        self.interval_s = max(min(STEP_S, 2048 / (rate_hz * channels)), 0.001) if rate_hz > 0 else STEP_S
        self.rate_hz = rate_hz
        self.batch = batch
        self.channels = channels
        self.name = "test-stand"
        self.answers = True
        self.first_t0_us = 0
        self.first_seq = 0
        self.ramp = False
        self.form = words.line_form(quoted=False)
        self._noise = np.random.default_rng(seed).normal(0.0, NOISE, (NOISE_ROWS, len(NAMES)))
        self._nack = self._mute = False
        self._jammed = self._stuck = -1
        self._skip = 0
        self._time_s = 0.0
        self.power_on()

    def power_on(self) -> None:
        """Begin as after the power came: valves closed, counters at their beginning, an engine at rest."""
        self.rocket = Rocket()
        self.safe_taken = False
        self._out = b""
        self._in = b""
        self._steps: list[tuple[str, float]] = []
        self._step_until_s = 0.0
        self._watch_s = self._watch_until_s = 0.0
        self._status_at_s = 0.0
        self._made = 0
        self._began_s: float | None = None
        self._before = np.array(self.rocket.step())
        self._now = self._before
        self._stepped_s = 0.0
        self._stuck_at = 0.0

    # -- faults --------------------------------------------------------------------------------------------
    def fault(self, words: list[str]) -> bool:
        """Have a fault of its own; return False for one that it does not know."""
        word, argument = words[0], words[1] if len(words) > 1 else ""
        if word in ("nack", "mute") and argument in ("on", "off"):
            setattr(self, f"_{word}", argument == "on")
        elif word == "jam" and argument in (*VALVES, "off"):
            self._jammed = VALVES.index(argument) if argument != "off" else -1
        elif word == "stuck" and argument in (*NAMES, "off"):
            self._stuck = NAMES.index(argument) if argument != "off" else -1
            self._stuck_at = float(self._now[self._stuck])
        elif word == "skip" and argument.isdecimal():
            self._skip = int(argument)
        elif word == "reset":
            self.power_on()
        elif word == "say":
            self._out += " ".join(words[1:]).encode() + b"\r\n"
        else:
            return False
        return True

    # -- orders --------------------------------------------------------------------------------------------
    @property
    def pattern(self) -> str:
        """The valves as they are."""
        return "".join(map(str, self.rocket.valves))

    def receive(self, data: bytes) -> None:
        """Take orders."""
        *whole, self._in = (self._in + data).split(b"\0" if self.frames else b"\n")
        self._in = self._in[-INPUT_BYTES_MAX:]
        if self.frames:
            for frame in words.understood(piece for piece in whole if piece):
                self._take_frame(frame)
        else:
            for line in whole:
                self._take_line(line.strip().decode("latin-1"))

    def _take_line(self, line: str) -> None:
        if not line:
            return
        refusal = "refused" if self._nack else self._do(line)
        if self.answers and not self._mute:
            self._out += (f"NACK: {refusal}\r\n" if refusal else f"ACK: {line}\r\n").encode()

    def _take_frame(self, frame: Frame) -> None:
        kind, seq, body = frame
        if kind == 0x02 and not body:
            self._out += self._status()
            return
        if kind == 0x12 and len(body) == 2:
            self._watch_s = int.from_bytes(body, "little") / 1000
            self._watch_until_s = self._time_s + self._watch_s
            self.safe_taken, refusal = False, ""
        elif self._nack:
            refusal = "refused"
        elif kind == 0x10 and len(body) == 4:
            refusal = self._do(f"Valves:{int.from_bytes(body[:2], 'little'):09b}")
        elif kind == 0x11:
            refusal = self._do(body.decode("latin-1"))
        else:
            refusal = self._do("emergency") if kind == 0x1F else "unknown type"
        if self._mute:
            return
        if refusal:
            self._out += words.frame(0xFF, seq, bytes((kind,)) + refusal.encode())
        else:
            self._out += words.frame(kind | 0x80, seq, struct.pack("<H", int(self.pattern, 2)))

    def _do(self, order: str) -> str:
        """Obey an order; return why not, or ""."""
        word, _, digits = order.partition(":")
        if word == "Valves" and len(digits) == 9 and set(digits) <= {"0", "1"}:
            self._steps = []
            self._set(digits)
            return ""
        if order in SCENARIOS:
            self._steps = list(SCENARIOS[order])
            self._step_until_s = self._time_s
            self._sequence()
            return ""
        return "not understood"

    def _set(self, pattern: str) -> None:
        before = self.rocket.valves
        self.rocket.valves = [
            before[i] if i == self._jammed else int(digit) for i, digit in enumerate(pattern)
        ]

    def _sequence(self) -> None:
        """Take the steps of a scenario that are due."""
        while self._steps and self._time_s >= self._step_until_s:
            pattern, hold_s = self._steps.pop(0)
            self._set(pattern)
            self._step_until_s += hold_s

    def _watch(self) -> None:
        """Close everything if the heart-beat has stayed away."""
        if self._watch_s and self._time_s > self._watch_until_s:
            self._watch_s = 0.0
            self._steps = []
            self._set("000000000")
            self.safe_taken = True
            self._out += self._status()

    def _status(self) -> bytes:
        t_us = int(self._time_s * 1e6) & 0xFFFF_FFFF
        body = struct.pack("<IHBB", t_us, int(self.pattern, 2), self.safe_taken, self.channels)
        return words.frame(0x02, 0, body + self.name.encode())

    # -- samples -------------------------------------------------------------------------------------------
    def advance(self, time_s: float) -> bytes:
        """Return answers, and the samples that are due."""
        self._time_s = time_s
        if self._began_s is None:
            self._began_s = self._stepped_s = time_s
            self._status_at_s = time_s
        self._sequence()
        self._watch()
        while self._stepped_s + STEP_S <= time_s:
            if time_s - self._stepped_s > BEHIND_S_MAX:
                self._stepped_s = time_s - STEP_S
            self._before, self._now = self._now, np.array(self.rocket.step())
            self._stepped_s += STEP_S
        if self.frames and time_s >= self._status_at_s:
            self._status_at_s = time_s + STATUS_S
            self._out += self._status()
        out, self._out = self._out, b""
        return out + self._samples(time_s)

    def _samples(self, time_s: float) -> bytes:
        began_s = self._began_s or 0.0
        due = int((time_s - began_s) * self.rate_hz) - self._made
        if due > BEHIND_S_MAX * self.rate_hz:
            self._began_s = began_s + due / self.rate_hz
            return b""
        if self.frames:
            due -= due % self.batch
        if due <= 0:
            return b""
        values = self._values(due)
        first, self._made = self._made, self._made + due
        if not self.frames:
            return words.lines(values, self.form)
        return self._framed(values, first)

    def _values(self, count: int) -> Floats:
        """Return so many rows on the way from the state before to the present one, with noise."""
        number = np.arange(self._made, self._made + count)
        at_s = (self._began_s or 0.0) + number / self.rate_hz
        share = np.clip((at_s - self._stepped_s) / STEP_S + 1, 0.0, 1.0)[:, None]
        values = self._before + (self._now - self._before) * share
        values += self._noise[number % NOISE_ROWS]
        if self._stuck >= 0:
            values[:, self._stuck] = self._stuck_at
        return values

    def _framed(self, values: Floats, first: int) -> bytes:
        period_us = 1e6 / self.rate_hz
        begins = range(first, first + len(values), self.batch)
        t0_us = [self.first_t0_us + round(i * period_us) for i in begins]
        rows = (
            words.ramp(first, len(values), self.channels)
            if self.ramp
            else words.counts(values, self.channels)
        )
        if self.ramp and 0 <= self._stuck < self.channels:
            rows[:, self._stuck] = STUCK_COUNT
        seq = self.first_seq + first // self.batch
        made = words.sample_frames(rows, self.batch, seq, t0_us, round(period_us))
        skipped = min(self._skip, len(made))
        self._skip -= skipped
        return b"".join(made[skipped:])


def make(parameters: Mapping[str, str]) -> Stm32Device:
    """Make the controller that an address's parameters describe.

    Raises:
        InvalidInput: a parameter is unknown or makes no sense.
    """
    given = dict(parameters)
    try:
        protocol = given.pop("protocol", "text")
        device = Stm32Device(
            protocol,
            float(given.pop("rate_hz", "50")),
            int(given.pop("batch", "10")),
            int(given.pop("channels", "24")),
            int(given.pop("seed", "1")),
        )
        device.name = given.pop("name", device.name)
        device.answers = given.pop("ack", "1") == "1"
        device.form = words.line_form(quoted=given.pop("quoted", "0") == "1")
        device.first_t0_us = int(given.pop("t0_us", "0"))
        device.first_seq = int(given.pop("seq", "0"))
        device.ramp = given.pop("ramp", "0") == "1"
        device.interval_s = float(given.pop("pace_ms", device.interval_s * 1e3)) / 1e3
    except ValueError as error:
        raise InvalidInput(f"simulated controller: {error}") from None
    sane = protocol in ("text", "frames") and 0 < device.rate_hz <= 1e6
    sane = sane and (protocol == "text" or device.rate_hz >= 1e6 / 65_535)
    sane = sane and 0.0005 <= device.interval_s <= 1.0
    if not (sane and 1 <= device.batch <= 255 and 1 <= device.channels <= len(NAMES)):
        raise InvalidInput("simulated controller: protocol, rate_hz, batch or channels make no sense")
    if given:
        raise InvalidInput(
            f"a simulated controller has no {', '.join(sorted(given))}",
            hint="it has: protocol rate_hz batch channels seed name ack quoted t0_us seq ramp pace_ms",
        )
    return device
