"""For how long a condition has held without a break, row by row: what `wait_until` waits for."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np

from kymograph.model.block import Times

Truths: TypeAlias = np.ndarray[Any, np.dtype[np.int8]]
"""As `Expression.truth_rows` has them: 1 where a condition holds."""
_NEVER: Final = -(2**63)


class Holding:
    """One condition that is to hold for some time. All times are monotonic nanoseconds.

    It has held from a first row to a row that is so much later, and in all rows between. What was measured
    before it was asked for does not count.
    """

    def __init__(self, stable_ns: int, now_ns: int) -> None:
        self.met_ns: int | None = None
        """When it had held for long enough."""
        self._stable_ns = stable_ns
        self._from_ns = now_ns
        self._since_ns: int | None = None
        self._broken_ns = _NEVER

    def restart(self, now_ns: int) -> None:
        """Have it hold anew from now on."""
        self._from_ns, self._since_ns = now_ns, None

    def see(self, times: Times, held: Truths, seen_ns: int) -> None:
        """Look at rows of one stream; those of the others that the condition names are known to `seen_ns`."""
        first = int(np.searchsorted(times, self._from_ns))
        times, true = times[first:], held[first:] == 1
        if not len(times) or self.met_ns is not None:
            return
        index = np.arange(len(times))
        false = np.maximum.accumulate(np.where(true, -1, index))  # the last row at or before where it did not
        begun = times[0] if self._since_ns is None else self._since_ns
        since = np.where(false < 0, begun, times[np.minimum(false + 1, len(times) - 1)])
        since = np.maximum(since, self._broken_ns)
        met = true & (times - since >= self._stable_ns)
        if self._stable_ns:
            met &= times <= seen_ns
        if met.any():
            self.met_ns = int(times[int(np.argmax(met))])
        if false[-1] >= 0:
            self._broken_ns = max(self._broken_ns, int(times[false[-1]]))
        self._since_ns = int(since[-1]) if true[-1] else None

    def look(self, holds: bool, now_ns: int, seen_ns: int) -> bool:
        """Look at the newest values, of which rows are known to `seen_ns`; return whether it is met."""
        if self.met_ns is not None:
            return True
        if not holds:
            self._since_ns, self._broken_ns = None, max(self._broken_ns, now_ns)
            return False
        if self._since_ns is None:
            self._since_ns = now_ns
        if self._stable_ns and seen_ns - self._since_ns < self._stable_ns:
            return False
        self.met_ns = now_ns
        return True

    def due_ns(self, now_ns: int) -> int | None:
        """Return when it may be met at the earliest, if that is yet to come."""
        due_ns = None if self._since_ns is None else self._since_ns + self._stable_ns
        return due_ns if due_ns is not None and due_ns > now_ns else None
