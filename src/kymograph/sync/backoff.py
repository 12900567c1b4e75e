"""Waits that grow while something is away, with a part left to chance so that many do not return at once."""

from __future__ import annotations

import random
from typing import Final

FIRST_S: Final = 0.5
LAST_S: Final = 30.0
_JITTER: Final = 0.3


class Backoff:
    """Counts failures in a row."""

    def __init__(
        self, chance: random.Random | None = None, first_s: float = FIRST_S, last_s: float = LAST_S
    ) -> None:
        self._chance = chance or random.Random()
        self._first_s = first_s
        self._last_s = last_s
        self.failures = 0

    def failed(self) -> float:
        """Take note of a failure and return how long to wait: 0.5, 1, 2 … 30 s, give or take 30 %."""
        wait_s = min(self._first_s * 2 ** min(self.failures, 32), self._last_s)
        self.failures += 1
        return wait_s * (1 + self._chance.uniform(-_JITTER, _JITTER))

    def worked(self) -> None:
        """Begin anew."""
        self.failures = 0
