"""How many rows to send at once: fewer where they never arrive, more again when they do."""

from __future__ import annotations

from typing import Final

BROKEN_MAX: Final = 3
"""Batches in a row whose answer was lost before the next is half as large."""


class Portion:
    """Of one stream, to one destination."""

    def __init__(self, rows_max: int) -> None:
        self.rows = rows_max
        self._most = rows_max
        self._broken = 0

    def worked(self) -> None:
        """A batch was answered."""
        self._broken = 0
        self.rows = min(self._most, self.rows * 2)

    def broke_off(self) -> bool:
        """The answer to a batch was lost; return whether it is to be cut anew."""
        self._broken += 1
        if self._broken % BROKEN_MAX or self.rows == 1:
            return False
        self.rows //= 2
        return True

    def too_large(self, rows: int) -> None:
        """So many rows are never taken at once."""
        self.rows = self._most = max(1, rows // 2)
