"""The controller's text protocol: a line a sample, keys and values, and answers between the lines.

    P1: 12.5 | P2: 15.3 | … | T6: 37.5 | Tbogaz1: 1200.5 | THRUST: 1250.5 | … | VELOCITY: 2500.0
    ACK: Valves:010010110
    NACK: valve 3 is jammed

Lines are read by key, never by position. There is no checksum: a flipped digit is a wrong value that nobody
can tell. What can be told is: a key that is missing or damaged is NaN, and so is a value whose successor has
gone, as its end may be another's.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import chain, pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from kymograph.drivers.base import Counters
from kymograph.drivers.sample_clock import SampleClock
from kymograph.drivers.stm32_channels import NAMES, QUANTITIES, STREAM, VALVES
from kymograph.drivers.stm32_orders import ACK, NACK, Answer, Order
from kymograph.model.block import Rows
from kymograph.model.clock import Clock
from kymograph.model.limits import LINE_BYTES_MAX

LINE_BYTES: Final = 279
"""Of the reference line, with carriage return and line feed."""
_ORDER: Final = (
    *(f"P{i}" for i in range(1, 9)), *(f"T{i}" for i in range(1, 7)),
    "TBOGAZ1", "THRUST", "ISP", "TBOGAZ2", "D1", "D2", "IMPULSE", "VELOCITY",
)  # fmt: skip
"""The keys as the line has them."""
_SPELT: Final = {"TBOGAZ1": "Tbogaz1", "TBOGAZ2": "Tbogaz2"}
_PLACES: Final = {q.key.encode(): i for i, q in enumerate(QUANTITIES) if q.key}
_COLUMNS: Final = tuple(_PLACES[key.encode()] for key in _ORDER)
_FIELD: Final = r'%s[ \t]*:[ \t]*"?(-?\d{1,9}\.\d{1,9})"?[ \t]*'
_LINE: Final = re.compile(
    (r"^[ \t]*" + r"\|[ \t]*".join(_FIELD % _SPELT.get(key, key) for key in _ORDER) + r"\r?$").encode(), re.M
)
"""The line as it should be."""
_NUMBER: Final = re.compile(rb"-?\d{1,9}\.\d{1,9}")
_WHOLE: Final = re.compile(rb"-?\d{1,9}")
_PATTERN: Final = re.compile(r"valves:([01]{9})", re.I)
KEYS_MIN: Final = 4
"""Fewer good values are no line of ours."""
_TALK_MAX: Final = 8
_Floats = npt.NDArray[np.float32]


class TextWire:
    """The text side of the controller."""

    def __init__(self, clock: Clock, counters: Counters, rate_hz: float) -> None:
        self.counters = counters
        self.answers: list[Answer] = []
        self.talk: list[str] = []
        self.stuck = False
        self.values_missing = 0
        """Values that came damaged or not at all, in lines that were used."""
        self._times = SampleClock(clock, rate_hz)
        self._recognised = False
        self._rest = b""
        self._skipping = True
        self._layout: tuple[bytes, ...] = tuple(key.encode() for key in _ORDER)
        self._keys_before: tuple[bytes, ...] = ()

    def begin(self) -> None:
        """Begin with the next whole line; between two lines there is nothing to leave out."""
        self._skipping = self._skipping or bool(self._rest)
        self._rest = b""
        self._times.forget()

    def forget_time(self) -> None:
        """Begin the times anew."""
        self._times.forget()

    # -- lines ---------------------------------------------------------------------------------------------
    def take(self, data: bytes, arrival_ns: int) -> Sequence[Rows]:
        """Return the rows of the lines that have come whole."""
        block = self._block(data)
        if not block:
            return ()
        values = self._values(block)
        count = values.shape[1]
        if not count:
            return ()
        self.counters.frames_good += count
        self._recognised = True
        return [Rows(STREAM, self._times.stamp(count, arrival_ns), list(values))]

    def _block(self, data: bytes) -> bytes:
        """Return the whole lines, and keep what is not whole."""
        block, end, self._rest = (self._rest + data).rpartition(b"\n")
        if end and self._skipping:
            self._skipping = False
            block = block.partition(b"\n")[2]
        if len(self._rest) > LINE_BYTES_MAX:
            if not self._skipping:
                self.counters.frames_bad += 1
                self.counters.resyncs += 1
            self._note(self._rest[:80])
            self._rest, self._skipping = b"", True
        return block

    def _values(self, block: bytes) -> _Floats:
        """Return one row of the array a channel; a block of nothing but sound lines is read in one go."""
        found = _LINE.findall(block)
        if len(found) == block.count(b"\n") + 1:
            numbers = np.fromiter(
                map(float, chain.from_iterable(found)), np.float32, len(found) * len(_ORDER)
            )
            values = np.full((len(NAMES), len(found)), math.nan, np.float32)
            values[_COLUMNS, :] = numbers.reshape(len(found), -1).T
            return values
        rows = [row for line in block.split(b"\n") if (row := self._row(line.strip())) is not None]
        return np.array(rows, np.float32).reshape(-1, len(NAMES)).T

    def _row(self, line: bytes) -> list[float] | None:
        """Return the values of one line, None if it is something else."""
        upper = line[:5].upper()
        if not line:
            return None
        if upper.startswith((b"ACK:", b"NACK:")):
            self._hear(line)
            return None
        row = self._by_key(line) if len(line) <= LINE_BYTES_MAX else None
        if row is None:
            self.counters.frames_bad += 1
            self._note(line)
        return row

    def _by_key(self, line: bytes) -> list[float] | None:
        """Read a line key by key; less than half of the keys is no line of ours."""
        number = _NUMBER if b"." in line else _WHOLE
        keys: list[bytes] = []
        given: dict[bytes, float] = {}
        for field in line.replace(b'"', b"").split(b"|"):
            name, _, text = field.partition(b":")
            key = name.strip().upper()
            keys.append(key)
            value = float(text) if number.fullmatch(text.strip()) else math.nan
            given[key] = math.nan if key in given else value
        self._distrust(tuple(keys), given)
        row = [math.nan] * len(NAMES)
        for key, value in given.items():
            if key in _PLACES:
                row[_PLACES[key]] = value
        wanted = [key for key in self._layout if key in _PLACES]
        good = sum(not math.isnan(value) for value in row)
        if good * 2 < len(wanted) or good < KEYS_MIN:
            return None
        missing = max(len(wanted) - good, 0)
        self.values_missing += missing
        self.counters.frames_bad += missing > 0
        return row

    def _distrust(self, keys: tuple[bytes, ...], given: dict[bytes, float]) -> None:
        """Give up each value after which another key comes than is usual.

        Bytes that were lost join the beginning of one number with the end of another. Which keys are usual is
        learnt from two lines that agree.
        """
        if keys == self._layout:
            return
        known = sum(key in _PLACES for key in keys)
        if keys == self._keys_before and known >= KEYS_MIN and known * 2 > len(keys):
            self._layout = keys
            return
        self._keys_before = keys
        after = dict(pairwise((*self._layout, b"")))
        for key, following in pairwise((*keys, b"")):
            if after.get(key) != following:
                given[key] = math.nan

    def _hear(self, line: bytes) -> None:
        text = line.decode("latin-1")
        kind, _, said = text.partition(":")
        said = said.strip()
        if kind.upper() == "NACK":
            self.answers.append(Answer(NACK, None, text=said))
            return
        pattern = _PATTERN.fullmatch(said)
        self.answers.append(Answer(ACK, said, pattern[1] if pattern else None, said))

    def _note(self, said: bytes) -> None:
        self.talk = [*self.talk, said.decode("latin-1")][-_TALK_MAX:]

    # -- orders --------------------------------------------------------------------------------------------
    def valves(self, pattern: str) -> Order:
        """Return the line that sets the valves."""
        assert len(pattern) == len(VALVES)
        return _order("Valves", f"Valves:{pattern}")

    def scenario(self, name: str) -> Order:
        """Return the line that starts a scenario."""
        return _order(name, name)

    def emergency(self) -> Order:
        """Return the line that starts the emergency."""
        return _order("emergency", "emergency")

    def heart_beat(self, timeout_s: float) -> None:
        """Have none: the text protocol knows no sign of life."""
        del timeout_s

    def ask_status(self) -> None:
        """Have none: the text protocol knows no such question."""

    @property
    def fell_silent(self) -> bool:
        """Never known."""
        return False

    def recognised(self, name: str) -> bool:
        """Return whether a line of ours has come; the text protocol knows no names."""
        del name
        return self._recognised

    def mismatch(self) -> str:
        """Return that the device speaks other words, if it does."""
        said = next((text for text in reversed(self.talk) if _printable(text)), "")
        if not said:
            return ""
        return f"another device is there; it says {said[:60]!r}"

    def facts(self) -> dict[str, object]:
        """Return nothing: the text protocol tells nothing of the device."""
        return {}


def _order(name: str, line: str) -> Order:
    return Order(name, line.encode("ascii") + b"\n", line)


def _printable(text: str) -> bool:
    return len(text) >= 4 and sum(c.isprintable() and c.isascii() for c in text) * 10 >= 8 * len(text)
