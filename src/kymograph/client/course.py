"""How a live connection goes: how long to wait, when to try again, when to give up. No socket."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from kymograph.model.errors import KymographError, TimedOut, Unavailable

PAUSES_S: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Waits before a broken connection is made again; the last repeats."""


class Course:
    """One loop over live rows, from its beginning to its end.

    `seconds` ends it; `timeout_s` is the longest silence, whatever its reason.
    """

    def __init__(self, seconds: float | None, timeout_s: float | None, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._timeout_s = timeout_s
        self._end_s = None if seconds is None else now_s() + seconds
        self._heard_s = now_s()
        self._failures = 0
        self._welcome = False
        self._why: KymographError | None = None

    @property
    def over(self) -> bool:
        """Whether it has lasted as long as it should."""
        return self._end_s is not None and self._now_s() >= self._end_s

    def heard(self) -> None:
        """Take note that rows came, or that whoever reads them is back for more."""
        self._heard_s = self._now_s()

    def welcomed(self) -> None:
        """Take note that the station has taken the subscription."""
        self._welcome, self._failures, self._why = True, 0, None

    def wait_s(self) -> float | None:
        """Return how long to wait for the next message; None is as long as it takes.

        Raises:
            TimedOut: it has been silent for too long.
        """
        now = self._now_s()
        waits = [] if self._end_s is None else [max(self._end_s - now, 0.0)]
        if self._timeout_s is not None:
            left_s = self._heard_s + self._timeout_s - now
            if left_s <= 0 and not self.over:
                raise self._silent(self._timeout_s)
            waits.append(max(left_s, 0.0))
        return min(waits, default=None)

    def _silent(self, timeout_s: float) -> TimedOut:
        hint = "is the instrument acquiring?" if self._why is None else str(self._why)
        return TimedOut(f"no live rows for {timeout_s:g} s", hint=hint)

    def pause_s(self, error: KymographError) -> float:
        """Return how long to rest before the next attempt.

        Raises:
            KymographError: that very error, if trying again is of no use.
        """
        passing = isinstance(error, Unavailable | TimedOut)
        if not passing or not self._welcome:
            raise error from None
        self._why = error
        pause_s = PAUSES_S[min(self._failures, len(PAUSES_S) - 1)]
        self._failures += 1
        waits_s = self.wait_s()
        return pause_s if waits_s is None else min(pause_s, waits_s)
