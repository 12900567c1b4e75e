"""Thinning evenly over time: which of many moments stay when one in each stretch of time may.

Stretches begin at the multiples of their length, and lengths double, so that what one pass keeps is what a
later, coarser one would have kept a choice of: after any number of passes each stretch of the last length
that ever had a moment has one.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

HOUR_NS: Final = 3_600_000_000_000
FINEST: Final = 13
"""An hour is divided by two so many times without a remainder: 8192 stretches of 0.44 s."""
COARSEST: Final = 8
"""So many times it is doubled: 256 h."""
LADDER: Final = tuple(HOUR_NS >> j for j in range(FINEST, 0, -1)) + tuple(
    HOUR_NS << j for j in range(COARSEST + 1)
)
"""Lengths of stretches, the shortest first."""

Times = NDArray[np.int64]
Mask = NDArray[np.bool_]


def surplus(times_ns: Times, free: Mask, width_ns: int) -> Mask:
    """Return which of the `free` moments may go so that each stretch keeps one; the others stay anyway.

    A stretch keeps one that is not free if it has one, else the one nearest its middle.
    """
    stretch = times_ns // width_ns
    away = np.abs(times_ns - (stretch * width_ns + width_ns // 2))
    away = np.where(free, away, -1)
    order = np.lexsort((times_ns, away, stretch))
    ordered = stretch[order]
    first = np.ones(len(order), np.bool_)
    first[1:] = ordered[1:] != ordered[:-1]
    kept = np.zeros(len(order), np.bool_)
    kept[order[first]] = True
    return free & ~kept
