"""Time as the house knows it: int64 nanoseconds since 1970 UTC, made from a monotonic clock and an offset.

The computer's wall clock may jump (no battery, NTP, a person); rows must not run backwards. So UTC is
monotonic time plus an offset that changes only by `Clock.observe`, which reports every change.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

STEP_NS: Final = 50_000_000
"""A difference between wall clock and ours above this is a correction; below, it is left to drift."""


@dataclass(frozen=True, slots=True)
class ClockChange:
    """A correction of the offset between monotonic time and UTC, as told by a `clock` event."""

    old_offset_ns: int
    new_offset_ns: int
    source: str
    error_bound_ns: int

    @property
    def step_ns(self) -> int:
        """How far time was moved; negative is backwards, and starts a new epoch of every stream."""
        return self.new_offset_ns - self.old_offset_ns


class Clock:
    """UTC from a monotonic clock; both sources are given, so that tests can make them jump.

    `now_ns` may be called from any thread; `observe` from one.
    """

    def __init__(self, monotonic_ns: Callable[[], int], wall_ns: Callable[[], int]) -> None:
        self._monotonic_ns = monotonic_ns
        self._wall_ns = wall_ns
        self._offset_ns = wall_ns() - monotonic_ns()
        self._generation = 0

    @property
    def offset_ns(self) -> int:
        """UTC minus monotonic time."""
        return self._offset_ns

    @property
    def generation(self) -> int:
        """How often time was moved backwards: rows of two generations cannot be ordered by time."""
        return self._generation

    def monotonic_ns(self) -> int:
        """Return the monotonic clock: for intervals and time-outs."""
        return self._monotonic_ns()

    def now_ns(self) -> int:
        """Return UTC in nanoseconds since 1970; never runs backwards between two corrections."""
        return self._monotonic_ns() + self._offset_ns

    def observe(self, source: str = "wall clock") -> ClockChange | None:
        """Compare with the wall clock; take over a correction above `STEP_NS` and return it."""
        before = self._monotonic_ns()
        wall = self._wall_ns()
        after = self._monotonic_ns()
        offset = wall - (before + after) // 2
        if abs(offset - self._offset_ns) <= STEP_NS:
            return None
        change = ClockChange(self._offset_ns, offset, source, STEP_NS + (after - before) // 2)
        self._offset_ns = offset
        if change.step_ns < 0:
            self._generation += 1
        return change
