"""A room as a laser scanner sees it: walls, a column, a window, and someone who walks about."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_BINS: Final = 14_400
"""Directions in which the walls are known beforehand: 0.025 degrees apart."""
_CORNERS: Final = ((-2.1, -1.7), (3.4, -1.7), (3.4, 0.9), (2.2, 0.9), (2.2, 2.6), (-2.1, 2.6))
"""The walls in metres, the scanner at (0, 0), x to its front, y to its right."""
_COLUMN: Final = (-1.1, 1.4, 0.18)
_PERSON_RADIUS_M: Final = 0.24
_WINDOW: Final = (math.radians(214.0), math.radians(226.0))
"""Directions without a return: glass."""
_WALK_S: Final = 14.0


def _to_walls(angle: Floats) -> Floats:
    """Return the distance to the nearest wall in each direction."""
    along = np.cos(angle), np.sin(angle)
    nearest = np.full(len(angle), np.inf)
    for (x1, y1), (x2, y2) in zip(_CORNERS, _CORNERS[1:] + _CORNERS[:1], strict=True):
        dx, dy = x2 - x1, y2 - y1
        across = along[0] * dy - along[1] * dx
        with np.errstate(divide="ignore", invalid="ignore"):
            distance = (x1 * dy - y1 * dx) / across
            place = (x1 * along[1] - y1 * along[0]) / across
        hit = (distance > 0) & (place >= 0) & (place <= 1)
        nearest = np.where(hit & (distance < nearest), distance, nearest)
    return nearest


def _to_circle(angle: Floats, x: float, y: float, radius: float) -> Floats:
    """Return the distance to a circle, infinite where it is not hit."""
    far = math.hypot(x, y)
    off = np.sin(angle - math.atan2(y, x)) * far
    ahead = np.cos(angle - math.atan2(y, x)) * far
    depth = np.sqrt(np.maximum(radius * radius - off * off, 0.0))
    return np.where((np.abs(off) < radius) & (ahead > 0), ahead - depth, np.inf)


class Room:
    """Distances in a room, the same for the same seed."""

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        angle: Floats = np.arange(_BINS, dtype=np.float64) * (2 * math.pi / _BINS)
        walls: Floats = np.minimum(_to_walls(angle), _to_circle(angle, *_COLUMN))
        walls[(angle > _WINDOW[0]) & (angle < _WINDOW[1])] = 0.0
        self._walls = walls
        self._noise = self._random.normal(0.0, 0.004, 8192)
        self._missing = self._random.random(8191) < 0.01

    def walls(self, angle_deg: Floats) -> Floats:
        """Return the distance to what does not move, in metres; 0 is no return."""
        return self._walls[(angle_deg * (_BINS / 360)).astype(np.int64) % _BINS]

    def person(self, time_s: float) -> tuple[float, float]:
        """Return where the person is, in metres."""
        phase = 2 * math.pi * time_s / _WALK_S
        return 1.25 * math.cos(phase), 1.05 * math.sin(phase) + 0.3 * math.sin(3 * phase)

    def distances(self, angle_deg: Floats, time_s: float, first: int) -> Floats:
        """Return what is measured in each direction at a time, in metres; 0 is no return.

        `first` is the number of the first measurement, from which its noise follows.
        """
        walls = self.walls(angle_deg)
        body = _to_circle(np.radians(angle_deg), *self.person(time_s), _PERSON_RADIUS_M)
        distance = np.where((body < walls) | ((walls == 0) & np.isfinite(body)), body, walls)
        number = np.arange(first, first + len(angle_deg))
        # Two tables of coprime lengths, so that noise and dropouts do not repeat together.
        noisy = distance + self._noise[number % 8192] * (distance > 0)
        noisy[self._missing[number % 8191]] = 0.0
        return noisy
