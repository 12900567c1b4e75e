"""A cap on bytes a second that lets what is urgent go first."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

BURST_S: Final = 2.0
"""What was not used is kept for so long."""


class TokenBucket:
    """Bytes that may be sent now. What is sent is always counted; who may wait, waits until nothing is owed.

    Used by one thread.
    """

    def __init__(self, bytes_per_s: float | None, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Begin full; `bytes_per_s` None is as fast as it goes."""
        self._rate = bytes_per_s
        self._monotonic = monotonic
        self._at = monotonic()
        self._tokens = (bytes_per_s or 0.0) * BURST_S

    def take(self, nbytes: int) -> None:
        """Count what was sent; may lead into debt."""
        if self._rate:
            self._fill(self._rate)
            self._tokens -= nbytes

    def wait_s(self, debt_s: float = 0.0) -> float:
        """Return how long to wait until no more than `debt_s` seconds' worth of bytes are owed."""
        if not self._rate:
            return 0.0
        self._fill(self._rate)
        return max(0.0, -self._tokens / self._rate - debt_s)

    def _fill(self, rate: float) -> None:
        now = self._monotonic()
        self._tokens = min(rate * BURST_S, self._tokens + (now - self._at) * rate)
        self._at = now
