"""How many rows a second, over the last few seconds."""

from __future__ import annotations

from collections import deque
from typing import Final

WINDOW_NS: Final = 5_000_000_000
"""Long enough for a steady figure, short enough to see a device slow down."""
BUCKET_NS: Final = 250_000_000


class RateMeter:
    """Counts rows in buckets of a quarter second; one thread adds, any thread may ask."""

    def __init__(self) -> None:
        self._buckets: deque[tuple[int, int]] = deque()
        self.rows = 0
        self.last_ns: int | None = None
        """Monotonic time of the last rows, None before the first."""

    def add(self, rows: int, monotonic_ns: int) -> None:
        """Count rows that have just arrived."""
        self.rows += rows
        self.last_ns = monotonic_ns
        if not self._buckets or monotonic_ns - self._buckets[-1][0] >= BUCKET_NS:
            self._buckets.append((monotonic_ns, self.rows - rows))
            while monotonic_ns - self._buckets[0][0] > WINDOW_NS and len(self._buckets) > 2:
                self._buckets.popleft()

    def rate_hz(self, monotonic_ns: int) -> float:
        """Return rows a second over the window that ends now; 0 when nothing came for the whole window."""
        try:
            since_ns, rows_before = self._buckets[0]
        except IndexError:
            return 0.0
        if self.last_ns is None or monotonic_ns - self.last_ns > WINDOW_NS:
            return 0.0
        elapsed_ns = max(monotonic_ns - since_ns, BUCKET_NS)
        return (self.rows - rows_before) * 1e9 / elapsed_ns
