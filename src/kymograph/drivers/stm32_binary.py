"""The controller's frames as rows and answers: counts become quantities, its clock becomes ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from struct import Struct
from typing import Final

import numpy as np

from kymograph.drivers import stm32_frames as frames
from kymograph.drivers.base import Counters
from kymograph.drivers.sample_clock import SampleClock
from kymograph.drivers.stm32_channels import STREAM, factors, from_bits, to_bits
from kymograph.drivers.stm32_frames import FrameDecoder, Message, Run
from kymograph.drivers.stm32_orders import ACK, NACK, STATUS, Answer, Order
from kymograph.model.block import Rows
from kymograph.model.clock import Clock

_STATUS: Final = Struct("<IHBB")
_VALVES: Final = Struct("<HH")
_WORD: Final = Struct("<H")
_SAFE_TAKEN: Final = 1
_MILLISECONDS_MAX: Final = 65_535
_LINE_TEXT_MIN: Final = 12


class Standstill:
    """Notices when no count of any channel moves any more: a real measurement always has noise."""

    def __init__(self, after_s: float) -> None:
        self._after_ns = int(after_s * 1e9)
        self._row = b""
        self._since_ns = 0

    def look(self, values: frames.Raw, arrival_ns: int) -> bool:
        """Return whether these samples, and all for so long before them, were bit for bit the same."""
        row = values[-1].tobytes()
        if row != self._row or (values != values[-1]).any():
            self._row, self._since_ns = row, arrival_ns
        return arrival_ns - self._since_ns > self._after_ns


class FrameWire:
    """The binary side of the controller."""

    def __init__(
        self,
        clock: Clock,
        counters: Counters,
        names: Sequence[str],
        scale: Mapping[str, float],
        offset: Mapping[str, float],
        stuck_s: float = 0.0,
    ) -> None:
        self.counters = counters
        self.answers: list[Answer] = []
        self.talk: list[str] = []
        self.status: dict[str, object] = {}
        self._clock = clock
        self._decoder = FrameDecoder(len(names), counters)
        scales, offsets = factors(names, scale, offset)
        self._scale, self._offset = scales[:, None], offsets[:, None]
        self._times = SampleClock(clock, 0.0)
        self._dt_us: int = 0
        self._seq = 0
        self._fell_silent = False
        self._standstill = Standstill(stuck_s) if stuck_s else None
        self.stuck = False

    def begin(self) -> None:
        """Begin with the next whole frame."""
        self._decoder.begin()
        self._times.forget()
        self._fell_silent = False

    def forget_time(self) -> None:
        """Begin the times anew."""
        self._times.forget()

    def take(self, data: bytes, arrival_ns: int) -> Sequence[Rows]:
        """Return the rows of all frames that are whole, in one piece where nothing is missing."""
        self._listen(data)
        runs = self._decoder.take(data, arrival_ns)
        for message in self._decoder.messages:
            self._hear(message)
        self._decoder.messages.clear()
        behind = sum(len(run.values) for run in runs)
        rows: list[Rows] = []
        for run in runs:
            behind -= len(run.values)
            if self._standstill is not None:
                self._note_stuck(self._standstill.look(run.values, arrival_ns))
            rows.append(self._rows(run, behind, arrival_ns))
        return rows

    def _note_stuck(self, stuck: bool) -> None:
        """Count each time that everything comes to stand still."""
        self.counters.frames_bad += stuck and not self.stuck
        self.stuck = stuck

    def _listen(self, data: bytes) -> None:
        """Keep a little of what comes while nothing of it is ours: it may tell what is there instead."""
        if not self._decoder.channels_seen and b"\n" in data:
            line = max(data[-400:].split(b"\n"), key=len).strip().decode("latin-1")
            if len(line) >= _LINE_TEXT_MIN and line.isascii() and line.isprintable():
                self.talk = [line]

    def _rows(self, run: Run, behind: int, arrival_ns: int) -> Rows:
        count, period_ns = len(run.values), run.dt_us * 1000
        if run.fresh:
            self._times.forget()
            self._fell_silent = True
        if run.dt_us != self._dt_us:
            self._dt_us = run.dt_us
            self._times = SampleClock(self._clock, 1e6 / run.dt_us)
        ticks = np.arange(1, count + 1) + run.skipped if run.skipped else None
        times = self._times.stamp(count, arrival_ns, behind * period_ns, ticks)
        values = np.multiply(run.values.T, self._scale, dtype=np.float32, order="C", casting="unsafe")
        values += self._offset
        return Rows(STREAM, times, values, run.missing)

    # -- answers -------------------------------------------------------------------------------------------
    def _hear(self, message: Message) -> None:
        self.counters.frames_good += 1
        kind, body = message.kind, message.body
        if kind == frames.STATUS and len(body) >= _STATUS.size:
            _, valves, flags, channels = _STATUS.unpack_from(body)
            name = body[_STATUS.size :].decode("utf-8", "replace")
            self.status = {"name": name, "device_channels": channels}
            self.answers.append(Answer(STATUS, None, from_bits(valves), name, bool(flags & _SAFE_TAKEN)))
        elif kind == frames.NACK:
            reason = body[1:].decode("utf-8", "replace")
            self.answers.append(Answer(NACK, message.seq, text=reason or "no reason given"))
        elif kind & frames.ACK:
            pattern = from_bits(*_WORD.unpack_from(body)) if len(body) >= _WORD.size else None
            self.answers.append(Answer(ACK, message.seq, pattern))

    # -- orders --------------------------------------------------------------------------------------------
    def _order(self, name: str, kind: int, body: bytes = b"") -> Order:
        self._seq = (self._seq + 1) & 0xFFFF
        # The leading zero ends whatever noise the device has heard before.
        return Order(name, b"\0" + frames.encode(kind, self._seq, body), self._seq)

    def valves(self, pattern: str) -> Order:
        """Return the frame that sets the valves, until told otherwise."""
        return self._order("valves", frames.VALVES, _VALVES.pack(to_bits(pattern), 0))

    def scenario(self, name: str) -> Order:
        """Return the frame that starts a scenario."""
        return self._order(name, frames.SCENARIO, name.encode())

    def emergency(self) -> Order:
        """Return the frame that starts the emergency."""
        return self._order("emergency", frames.EMERGENCY)

    def heart_beat(self, timeout_s: float) -> Order | None:
        """Return the sign of life; without another one for so long the device takes its safe state."""
        milliseconds = min(round(timeout_s * 1000), _MILLISECONDS_MAX)
        return self._order("heart-beat", frames.HEART_BEAT, _WORD.pack(milliseconds))

    def ask_status(self) -> Order | None:
        """Return the question who and how it is."""
        return self._order("status", frames.STATUS)

    @property
    def fell_silent(self) -> bool:
        """Whether the device began anew or paused; asking forgets it."""
        fell, self._fell_silent = self._fell_silent, False
        return fell

    def recognised(self, name: str) -> bool:
        """Return whether samples have come that fit, and the name if one is wanted."""
        fits = self._decoder.channels_seen == self._decoder.channels
        return fits and name in ("", self.status.get("name"))

    def mismatch(self) -> str:
        """Return what is there instead, if that can be told."""
        seen, wanted = self._decoder.channels_seen, self._decoder.channels
        if seen and seen != wanted:
            return f"its frames have {seen} channels, and {wanted} are configured"
        if self.status:
            return f"the device there calls itself {self.status['name']!r}"
        return f"another device is there; it says {self.talk[-1][:60]!r}" if self.talk else ""

    def facts(self) -> dict[str, object]:
        """Return what it said of itself, and its rate."""
        rate = {"rate_hz": round(1e6 / self._dt_us, 3)} if self._dt_us else {}
        return {**self.status, **rate}


def frames_heard(receive: Callable[[], bytes], go_on: Callable[[], bool]) -> bool:
    """Return whether what comes is frames, however many channels they have."""
    decoder = frames.FrameDecoder(0, Counters())
    while not decoder.channels_seen and go_on():
        decoder.take(receive(), 0)
    return bool(decoder.channels_seen)
