"""Weather that could be: warm in the afternoon, damp in the morning, pressure that drifts, and noise."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from typing import Final, NamedTuple

DAY_S: Final = 86_400.0
_WARMEST_H: Final = 15.0
_FRONTS_DAYS: Final = (2.7, 4.3, 7.1)
"""Periods of the passing highs and lows; none a multiple of another, so that no week is like the last."""


class Air(NamedTuple):
    """The air at one moment: degrees Celsius, hectopascals, percent."""

    temperature: float
    pressure: float
    humidity: float


class Weather:
    """Weather at one place, the same for the same seed.

    `hour` is the local time at second 0; `day_s` how many seconds a day takes, so that a test sees a whole
    one.
    """

    def __init__(self, seed: int = 0, hour: float = 10.0, day_s: float = DAY_S) -> None:
        self._random = random.Random(seed)
        self._hour = hour
        self._day_s = day_s
        self._phases = [self._random.uniform(0, 2 * math.pi) for _ in _FRONTS_DAYS]

    def at(self, time_s: float) -> Air:
        """Return what a good sensor measures, noise and all."""
        days = self._hour / 24 + time_s / self._day_s
        sun = math.cos(2 * math.pi * (days - _WARMEST_H / 24))
        fronts = [
            math.sin(2 * math.pi * days / period + phase)
            for period, phase in zip(_FRONTS_DAYS, self._phases, strict=True)
        ]
        temperature = 14.0 + 6.5 * sun + 2.0 * fronts[0] + self._random.gauss(0, 0.01)
        pressure = 1013.0 + 9.0 * fronts[1] + 5.0 * fronts[2] + self._random.gauss(0, 0.02)
        humidity = 62.0 - 22.0 * sun - 10.0 * fronts[1] + self._random.gauss(0, 0.05)
        return Air(temperature, pressure, min(max(humidity, 5.0), 100.0))


def take_weather(given: dict[str, str]) -> Weather:
    """Take `seed`, `hour` and `day_s` out of an address's parameters.

    Raises:
        ValueError: one makes no sense.
    """
    values: Mapping[str, float] = {
        "hour": float(given.pop("hour", "10")), "day_s": float(given.pop("day_s", str(DAY_S))),
    }  # fmt: skip
    if values["day_s"] <= 0:
        raise ValueError("day_s")
    return Weather(int(given.pop("seed", "0")), **values)
