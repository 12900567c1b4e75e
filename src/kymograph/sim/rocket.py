"""A small rocket engine on a stand: bottles, tanks and lines follow nine valves, and a chamber burns.

    GOX bottle P1 ─GOX1─ tank P2 ─GOX2─ injector P3 ─┐
                         RELIEF1      PURGE1         ├─ chamber P8, throat temperatures, thrust
    gas bottle P5 ─FUEL1─ tank P6 ─FUEL2─ injector P7┘
                         RELIEF2      PURGE2              nitrogen bottle P4

Not a design tool: first-order flows with times that look right. It burns once ignition, GOX2 and FUEL2 are on
with pressure behind both, and as long as both flow.
"""

from __future__ import annotations

import math
from typing import Final

RELIEF1, GOX1, PURGE1, PURGE2, FUEL1, RELIEF2, GOX2, FUEL2, IGNITION = range(9)
STEP_S: Final = 0.005
AMBIENT_C: Final = 22.0
NEWTON_PER_BAR: Final = 62.5
ISP_S: Final = 285.0
GRAVITY: Final = 9.80665
OXIDISER_SHARE: Final = 0.7
BOTTLES: Final = {0: 36.0, 3: 30.0, 4: 38.0}
"""Pressure of each bottle, in bar, by its place."""
NOISE: Final = (*(0.05,) * 8, *(0.1,) * 6, 2.0, 2.0, 0.002, 0.002, 2.0, 0.5, 0.002, 0.002, 0.0, 2.0)
"""Standard deviation of each quantity, in the order of `values`."""
NAMES: Final = (
    *(f"P{i}" for i in range(1, 9)), *(f"T{i}" for i in range(1, 7)), "Tbogaz1", "Tbogaz2", "Debi1", "Debi2",
    "thrust", "isp", "oxygen_consumption", "fuel_consumption", "total_impulse", "exhaust_velocity",
)  # fmt: skip


class Rocket:
    """The engine. `valves` may be set at any time; a valve takes 20 ms to follow."""

    def __init__(self) -> None:
        self.valves = [0] * 9
        self.burning = False
        self._open = [0.0] * 9
        self._bar = [0.0] * 8
        for place, bar in BOTTLES.items():
            self._bar[place] = bar
        self._walls_c = [AMBIENT_C] * 6
        self._throat_c = AMBIENT_C
        self._flows = (0.0, 0.0)
        self._impulse = 0.0

    def step(self) -> list[float]:
        """Let `STEP_S` pass, and return what there is to measure, in the order of `NAMES`, without noise."""
        for i, wanted in enumerate(self.valves):
            self._open[i] += (wanted - self._open[i]) * STEP_S / 0.02
        self._fluids()
        self._burn()
        self._heat()
        return self.values()

    def _move(self, source: int, target: int, opening: float, time_s: float) -> float:
        """Even out two pressures through an opening; return the flow, in bar a second, never backwards."""
        bar = self._bar
        flow = max(bar[source] - bar[target], 0.0) * opening / time_s
        bar[target] += flow * STEP_S
        if source not in BOTTLES:
            bar[source] -= flow * STEP_S * 0.05
        return flow

    def _fluids(self) -> None:
        bar, valve = self._bar, self._open
        self._move(0, 1, valve[GOX1], 1.5)
        self._move(4, 5, valve[FUEL1], 1.2)
        self._move(1, 2, valve[GOX2], 0.04)
        self._move(5, 6, valve[FUEL2], 0.05)
        self._move(3, 2, valve[PURGE1], 0.3)
        self._move(3, 6, valve[PURGE2], 0.3)
        for line in (2, 6):
            bar[line] -= max(bar[line] - bar[7], 0.0) * STEP_S / 0.15
        bar[1] -= bar[1] * (valve[RELIEF1] / 0.8 + 0.0004) * STEP_S
        bar[5] -= bar[5] * (valve[RELIEF2] / 0.8 + 0.0002) * STEP_S

    def _burn(self) -> None:
        bar, valve = self._bar, self._open
        feeds = bar[2] > 4 and bar[6] > 4 and valve[GOX2] > 0.5 and valve[FUEL2] > 0.5
        self.burning = feeds and (self.burning or valve[IGNITION] > 0.5)
        cold = 0.02 * (bar[2] + bar[6])
        target = 0.78 * min(bar[2], bar[6]) if self.burning else cold
        bar[7] += (target - bar[7]) * STEP_S / (0.06 if self.burning else 0.12)
        thrust = self.thrust_n
        self._impulse += thrust * STEP_S
        if self.burning:
            total = thrust / (ISP_S * GRAVITY)
            self._flows = (total * OXIDISER_SHARE, total * (1 - OXIDISER_SHARE))
        else:
            self._flows = (0.004 * valve[GOX2] * bar[2], 0.002 * valve[FUEL2] * bar[6])

    def _heat(self) -> None:
        hot = self.burning
        self._throat_c += ((1250.0 if hot else AMBIENT_C) - self._throat_c) * STEP_S / (1.5 if hot else 12.0)
        for i in range(6):
            share = (0.0, 0.01, 0.02, 0.04, 0.07, 0.1)[i] * (self._throat_c - AMBIENT_C)
            self._walls_c[i] += (AMBIENT_C + share - self._walls_c[i]) * STEP_S / (4.0 + i)

    @property
    def thrust_n(self) -> float:
        """Newton."""
        return self._bar[7] * NEWTON_PER_BAR if self.burning else max(self._bar[7], 0.0) * 4.0

    def values(self) -> list[float]:
        """Return what there is to measure now, in the order of `NAMES`."""
        oxidiser, fuel = self._flows
        isp = ISP_S * (1 - math.exp(-self._bar[7] / 5)) if self.burning else 0.0
        return [
            *self._bar, *self._walls_c, self._throat_c, self._throat_c * 0.98 + 0.4,
            oxidiser * 0.97, fuel * 0.97, self.thrust_n, isp, oxidiser, fuel,
            self._impulse, isp * GRAVITY,
        ]  # fmt: skip
