"""When was a sample taken? A device with a clock of its own sends many at once; this spreads them in time.

The device counts samples evenly; the computer knows when bytes arrived. Times run at the device's nominal
rate and are drawn towards the arrivals with a time constant, so that the jitter of the link does not show and
the error of the device's clock does not add up. Three rules are never broken: times do not run backwards, no
row is later than the arrival of its last byte, and after a silence the times jump to the present.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from kymograph.model.block import Times
from kymograph.model.clock import Clock

PULL_S: Final = 0.25
"""Time constant with which arrivals correct the sample clock: many reads, few seconds."""
JUMP_S: Final = 0.05
"""Being late by more than this is not jitter: samples are missing before these."""


class SampleClock:
    """Gives times to the samples of one stream.

    Kept in monotonic time; UTC is added as the times are handed out.
    """

    def __init__(self, clock: Clock, rate_hz: float) -> None:
        self._clock = clock
        self._period_ns = 1e9 / rate_hz if rate_hz > 0 else 0.0
        self._last_ns: float | None = None

    def forget(self) -> None:
        """Begin anew: the next samples are not a continuation."""
        self._last_ns = None

    def stamp(
        self,
        count: int,
        arrival_ns: int,
        delay_ns: float = 0.0,
        ticks: npt.NDArray[np.int64] | None = None,
    ) -> Times:
        """Return the UTC times of `count` samples.

        `arrival_ns` is monotonic: when the last byte came; `delay_ns` how long ago, at that moment, the last
        sample was taken. `ticks` counts samples from 1, for when some are known to have been lost between.
        """
        span = float(ticks[-1]) if ticks is not None else float(count)
        if self._period_ns == 0.0:
            return np.full(count, arrival_ns + self._clock.offset_ns, np.int64)
        wanted = arrival_ns - max(delay_ns, 0.0)
        length = span * self._period_ns
        start = wanted - length if self._last_ns is None else self._last_ns
        error = wanted - (start + length)
        if error > JUMP_S * 1e9:
            start, end = wanted - length, wanted
        else:
            end = start + length + error * min(1.0, length / (PULL_S * 1e9))
        end = max(min(end, float(arrival_ns)), start)
        self._last_ns = end
        steps = np.arange(1, count + 1) if ticks is None else ticks
        # Offsets from an integer base: a float64 cannot hold nanoseconds of UTC.
        base = int(start)
        offsets = steps * ((end - start) / span) + (start - base)
        return offsets.astype(np.int64) + (base + self._clock.offset_ns)
