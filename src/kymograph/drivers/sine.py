"""A signal generator: sines on any number of channels at any rate, without a device.

    [instruments.generator]
    driver = "sine"

    [instruments.generator.options]
    rate_hz = 10_000            # 1 to 1,000,000
    channels = 24
    frequency_hz = 1.0          # of the first channel; the others are its multiples
    amplitude = 1.0
    interval_s = 0.02           # rows come in blocks of so long
    counter = false             # the first channel counts the rows instead, to prove that none is lost

Row i is due at start + i / rate, exactly, and bears that time. A reader that comes late gets all rows that
were due meanwhile, up to two seconds; what lies further back is reported as missing, never left out in
silence.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field

from kymograph.drivers.base import Driver, DriverOptions
from kymograph.model.block import Column, Rows, Times
from kymograph.model.channel import Channel, Stream
from kymograph.model.clock import Clock
from kymograph.model.limits import BLOCK_ROWS_MAX, CATCH_UP_S_MAX, CHANNELS_MAX

TABLE_ITEMS_MAX: Final = 1_048_576
"""Values held of all channels together, 4 MB: the table is cut shorter where channels are many."""
_DENOMINATOR_MAX: Final = 1000
_SECOND: Final = 1_000_000_000


class SineOptions(DriverOptions):
    """Options of the driver `sine`."""

    rate_hz: float = Field(default=1000.0, ge=1, le=1_000_000)
    channels: int = Field(default=4, ge=1, le=CHANNELS_MAX)
    frequency_hz: float = Field(default=1.0, gt=0)
    amplitude: float = 1.0
    interval_s: float = Field(default=0.02, ge=0.001, le=1.0)
    counter: bool = False


def _wave_table(options: SineOptions) -> npt.NDArray[np.float32]:
    """Return whole periods of every channel, [channels, rows], so that a block is a slice of it."""
    rows_max = max(8, TABLE_ITEMS_MAX // options.channels)
    rows = min(max(round(options.rate_hz / options.frequency_hz), 8), rows_max)
    phase = np.arange(rows) * (2 * math.pi / rows)
    table = np.empty((options.channels, rows), np.float32)
    for i in range(options.channels):
        # Below a quarter of the rate, so that a plot of any channel still looks like a sine.
        multiple = 1 + i % max(1, rows // 8)
        table[i] = options.amplitude * np.sin(phase * multiple + i * 2.4)
    return table


class Sine(Driver[SineOptions]):
    """A signal generator."""

    Options = SineOptions
    paced = True

    def __init__(self, options: SineOptions, clock: Clock, port: str = "") -> None:
        super().__init__(options, clock, port)
        self._rate = Fraction(options.rate_hz).limit_denominator(_DENOMINATOR_MAX)
        rows_max = min(BLOCK_ROWS_MAX, TABLE_ITEMS_MAX // options.channels)
        self._block_rows = min(max(1, round(options.rate_hz * options.interval_s)), rows_max)
        self._table = np.empty((0, 0), np.float32)
        self._period = 1
        self._begin_ns = 0
        self._made = 0
        self.sleep: Callable[[float], None] = time.sleep

    def streams(self) -> Sequence[Stream]:
        """One stream of sines."""
        bound = abs(self.options.amplitude)
        waves = [Channel(f"ch{i}", "float32", "", "", -bound, bound) for i in range(self.options.channels)]
        if self.options.counter:
            waves[0] = Channel("counter", "int64", "", "rows since the start")
        return (Stream("wave", tuple(waves), self.options.rate_hz, "signal generator"),)

    def open(self) -> dict[str, Any]:
        """Compute the waves."""
        table = _wave_table(self.options)
        period = table.shape[1]
        self._table = np.concatenate([table] * (1 + -(-self._block_rows // period)), axis=1)
        self._period = period
        return {"model": "signal generator", "frequency_hz": self.options.rate_hz / period}

    def start(self) -> None:
        """Begin with row 0, due now."""
        self._begin_ns, self._made = self.clock.monotonic_ns(), 0

    def _due(self) -> int:
        elapsed_ns = self.clock.monotonic_ns() - self._begin_ns
        return elapsed_ns * self._rate.numerator // (_SECOND * self._rate.denominator) + 1

    def read(self, timeout_s: float) -> Sequence[Rows]:
        """Return all whole blocks that are due, waiting for the first."""
        until_ns = self.clock.monotonic_ns() + int(timeout_s * 1e9)
        while (due := self._due() - self._made) < self._block_rows:
            ready_ns = self._begin_ns + self._time_of(self._made + self._block_rows - 1)
            now_ns = self.clock.monotonic_ns()
            if now_ns >= until_ns:
                return []
            self.sleep(max(min(ready_ns, until_ns) - now_ns, 1000) / 1e9)
        missing = max(0, due - max(self._block_rows, int(self.options.rate_hz * CATCH_UP_S_MAX)))
        self._made += missing
        batches: list[Rows] = []
        for _ in range((due - missing) // self._block_rows):
            batches.append(self._block(missing))
            missing = 0
        return batches

    def _time_of(self, row: int) -> int:
        """Return when a row is due, in ns after the start; exact, however long it runs."""
        return row * _SECOND * self._rate.denominator // self._rate.numerator

    def _times(self, first: int, count: int) -> Times:
        numerator, scale = self._rate.numerator, _SECOND * self._rate.denominator
        whole, rest = divmod(first * scale, numerator)
        base = self._begin_ns + self.clock.offset_ns + whole
        return (np.arange(count, dtype=np.int64) * scale + rest) // numerator + base

    def _block(self, missing: int) -> Rows:
        first, count = self._made, self._block_rows
        at = first % self._period
        columns: list[Column] = list(self._table[:, at : at + count])
        if self.options.counter:
            columns[0] = np.arange(first, first + count, dtype=np.int64)
        self._made += count
        self.counters.frames_good += 1
        return Rows("wave", self._times(first, count), columns, missing)
