"""A YDLidar as its host sees it: answers commands, streams packets, byte for byte, in real time.

    sim://ydlidar?model=X4&seed=1&frequency_hz=7

It stands in the room of `kymograph.sim.room`. Samples are due at its sampling rate; a packet is sent when its
last sample is. On a pseudo-terminal DTR cannot be seen, so the motor is always on.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from kymograph.model.errors import InvalidInput
from kymograph.sim.room import Floats, Room
from kymograph.sim.ydlidar_models import find_kind

PACKET_SAMPLES: Final = 40
ZERO_DEG: Final = 348.64
"""Where a revolution begins; on real devices not at 0."""
BEHIND_S_MAX: Final = 0.5
"""Being later than this, samples are left out: nobody waits for the past."""
_SCAN_HEADER: Final = bytes.fromhex("a55a0500004081")
_VALUE, _HEALTH = 0x04, 0x06
_STEPS: Final = {0x09: 0.1, 0x0A: -0.1, 0x0B: 1.0, 0x0C: -1.0, 0x0D: 0.0}


def _answer(kind: int, payload: bytes) -> bytes:
    return struct.pack("<BBIB", 0xA5, 0x5A, len(payload), kind) + payload


def _skew_deg(distance_mm: Floats) -> Floats:
    """Return by how much a return's direction differs from the reported angle; 0 without a return."""
    mm = np.maximum(distance_mm, 1.0)
    skew = np.degrees(np.arctan(21.8 * (155.3 - mm) / (155.3 * mm)))
    return np.where(distance_mm > 0, skew, 0.0)


class YdLidarDevice:
    """The device behind the wire."""

    interval_s = 0.01

    def __init__(self, model: str = "X4", seed: int = 1, frequency_hz: float = 0.0) -> None:
        self.model, self.kind = find_kind(model)
        self._room = Room(seed)
        self._wanted_hz = frequency_hz or self.kind.rotation_hz
        self._serial = bytes(int(digit) for digit in f"{seed % 10**16:016d}")
        self._born_s: float | None = None
        self._directions = self._true_directions()
        self.power_on()

    def _true_directions(self) -> Floats:
        """Return where the laser's return comes from, for each 0.025 degrees that the device reports."""
        reported: Floats = np.arange(14_400, dtype=np.float64) * (360.0 / 14_400)
        true = reported
        if self.kind.skewed:
            for _ in range(2):
                true = (reported + _skew_deg(self._room.walls(true) * 1000)) % 360.0
        return true

    baud = 0

    def fault(self, words: list[str]) -> bool:
        """Have no fault but those of the wire."""
        del words
        return False

    def power_on(self) -> None:
        """Begin as after the power came."""
        self.rotation_hz = self._wanted_hz
        self.rate_hz = self.kind.rate_hz
        self.scanning = False
        self._out = b""
        self._in = b""
        self._made = 0
        self._packet_made = 0
        self._began_s: float | None = None
        self._revolution = 0
        self._turn_began = 0
        if self.kind.mute:
            self._out += self._info() + _SCAN_HEADER
            self._scan()

    # -- commands ------------------------------------------------------------------------------------------
    def receive(self, data: bytes) -> None:
        """Take commands; a model that only speaks ignores them, and so does one that scans but for stop."""
        self._in = (self._in + data)[-64:]
        while (at := self._in.find(b"\xa5")) >= 0 and len(self._in) > at + 1:
            code = self._in[at + 1]
            self._in = self._in[at + 2 :]
            if not self.kind.mute and (not self.scanning or code in (0x00, 0x65, 0x80, 0x40)):
                self._do(code)

    def _do(self, code: int) -> None:
        if code in (0x60, 0x61):
            self._out += _SCAN_HEADER
            self._scan()
        elif code in (0x00, 0x65):
            self.scanning = False
        elif code in (0x80, 0x40):
            self.power_on()
        elif code == 0x90:
            self._out += self._info()
        elif code in self.kind.health:
            self._out += _answer(_HEALTH, bytes(3))
        elif code in _STEPS and self.kind.steps:
            self._turn(_STEPS[code])
        elif code in (0xD0, 0xD1) and self.kind.rates:
            self._switch_rate(code == 0xD0)

    def _info(self) -> bytes:
        major, minor = self.kind.firmware
        return _answer(_VALUE, bytes((self.kind.number, minor, major, 1)) + self._serial)

    def _turn(self, step_hz: float) -> None:
        self.rotation_hz = min(max(round(self.rotation_hz + step_hz, 1), 3.0), self.kind.rotation_max_hz)
        told = self.rotation_hz + (0.4 if self.kind.told_low else 0.0)
        self._out += _answer(_VALUE, struct.pack("<I", round(told * 100)))

    def _switch_rate(self, on: bool) -> None:
        rates = self.kind.rates
        now = rates.index(self.rate_hz)
        now = (now + on) % len(rates)
        self.rate_hz = rates[now]
        self._out += _answer(_VALUE, bytes((now,)))

    def _scan(self) -> None:
        self.scanning = True
        self._began_s = None
        self._made = self._packet_made = self._turn_began = 0

    # -- packets -------------------------------------------------------------------------------------------
    def advance(self, time_s: float) -> bytes:
        """Return answers, and the packets whose last sample is due."""
        out, self._out = self._out, b""
        if self._born_s is None:
            self._born_s = time_s
        if not self.scanning:
            return out
        if self._began_s is None:
            self._began_s = time_s
        due = int((time_s - self._began_s) * self.rate_hz) - self._made
        if due > BEHIND_S_MAX * self.rate_hz:
            self._began_s += due / self.rate_hz
            due = 0
        cuts = self._cuts(due)
        return out + self._packets(cuts, time_s - self._born_s) if cuts else out

    def _cuts(self, due: int) -> list[tuple[int, bool]]:
        """Return the packets that are complete: how many samples, and whether a revolution begins."""
        cuts: list[tuple[int, bool]] = []
        per_turn = round(self.rate_hz / self.rotation_hz)
        place = self._made - self._turn_began
        while True:
            if place >= per_turn:
                place = 0
            count = 1 if place == 0 else min(PACKET_SAMPLES, per_turn - place)
            if count > due:
                return cuts
            cuts.append((count, place == 0))
            due -= count
            place += count

    def _packets(self, cuts: list[tuple[int, bool]], age_s: float) -> bytes:
        counts = [count for count, _ in cuts]
        total = sum(counts)
        step_deg = 360 * self.rotation_hz / self.rate_hz
        number = np.arange(self._made, self._made + total)
        began = np.empty(total, np.int64)
        at = 0
        for count, zero in cuts:
            self._turn_began = self._made + at if zero else self._turn_began
            began[at : at + count] = self._turn_began
            at += count
        angle: Floats = (ZERO_DEG + (number - began).astype(np.float64) * step_deg) % 360.0
        body = self._samples(self._distances_mm(angle, age_s))
        self._made += total
        packets: list[bytes] = []
        at = 0
        for count, zero in cuts:
            packets.append(self._packet(angle[at : at + count], body[at : at + count], zero))
            at += count
        return b"".join(packets)

    def _distances_mm(self, angle: Floats, age_s: float) -> Floats:
        """Measure in the directions where the laser points when the device reports these angles."""
        true = self._directions[(angle * (len(self._directions) / 360)).astype(np.int64)]
        return self._room.distances(true, age_s, self._made) * 1000

    def _samples(self, mm: Floats) -> npt.NDArray[np.uint8]:
        """Return the samples as bytes, one row each."""
        word = np.minimum(mm * self.kind.counts_per_mm, 65_535).astype(np.uint16)
        bits = self.kind.intensity_bits
        strength = np.where(mm > 0, np.minimum(200_000 / np.maximum(mm, 100.0), 1000), 0).astype(np.uint16)
        if bits == 0:
            return word.view(np.uint8).reshape(-1, 2)
        if bits == 16:
            return np.stack((strength, word), axis=1).view(np.uint8).reshape(-1, 4)
        high = strength >> 8 if bits == 10 else np.zeros_like(strength)
        low = strength & 0xFF if bits == 10 else np.minimum(strength, 255)
        body = np.empty((len(mm), 3), np.uint8)
        body[:, 0] = low
        body[:, 1:] = ((word & 0xFFFC) | high).astype(np.uint16).view(np.uint8).reshape(-1, 2)
        return body

    def _packet(self, angle: Floats, body: npt.NDArray[np.uint8], zero: bool) -> bytes:
        told = round(self.rotation_hz * 10) - self.kind.told_low if zero and self.kind.tenths else 0
        first, last = (int(angle[0] * 64) << 1 | 1, int(angle[-1] * 64) << 1 | 1)
        head = (0x55AA, len(body) << 8 | told << 1 | zero, first, last)
        check = head[0] ^ head[1] ^ head[2] ^ head[3] ^ _sum(body)
        return struct.pack("<5H", *head, check) + body.tobytes()


def _sum(body: npt.NDArray[np.uint8]) -> int:
    """Return the exclusive or of the samples' words, an 8-bit intensity as a word of its own."""
    column = [int(value) for value in np.bitwise_xor.reduce(body, axis=0)]
    if len(column) == 3:
        return column[0] ^ column[1] ^ column[2] << 8
    low, high = column[0], column[1]
    return (low ^ column[2]) | (high ^ column[3]) << 8 if len(column) == 4 else low | high << 8


def make(parameters: Mapping[str, str]) -> YdLidarDevice:
    """Make the device that an address's parameters describe.

    Raises:
        InvalidInput: a parameter is unknown or makes no sense.
    """
    if unknown := sorted(parameters.keys() - {"model", "seed", "frequency_hz"}):
        raise InvalidInput(
            f"a simulated lidar has no {', '.join(unknown)}", hint="it has: model, seed, frequency_hz"
        )
    try:
        return YdLidarDevice(
            parameters.get("model", "X4"),
            int(parameters.get("seed", "1")),
            float(parameters.get("frequency_hz", "0")),
        )
    except ValueError as error:
        raise InvalidInput(f"simulated lidar: {error}") from None
