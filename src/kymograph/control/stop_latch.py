"""The latch of stop-all: anyone presses it at any time, and it stays until it is reset in two steps.

The latch knows no lease, no lock and no queue, and pressing it cannot fail. It moves nothing itself: whoever
presses makes everything safe and asks the latch before each further command. Resetting moves nothing
either. A reset is asked for, and then confirmed with the number that the first step returned; a press in
between makes that number worthless.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from kymograph.model.errors import Conflict, Refused
from kymograph.model.limits import STOP_RESET_S_MAX


@dataclass(frozen=True, slots=True)
class Stop:
    """Who stopped everything, why, and when (UTC); `presses` counts those since the last reset."""

    by: str
    reason: str
    time_ns: int
    presses: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Return the stop as plain data, the inverse of `stop_from_dict`."""
        return asdict(self)


def stop_from_dict(data: Mapping[str, Any]) -> Stop:
    """Make the stop again that `Stop.to_dict` took apart: a stop outlives the program."""
    return Stop(str(data["by"]), str(data["reason"]), int(data["time_ns"]), int(data["presses"]))


class StopLatch:
    """Whether everything is stopped. `press` and `check` may be called by any thread, the rest by one."""

    def __init__(self, stop: Stop | None = None) -> None:
        """Begin latched with the stop that an earlier run of the station was left with."""
        self._stop = stop
        self._number = 0
        self._reset: tuple[int, int] | None = None

    @property
    def stop(self) -> Stop | None:
        """The first press since the last reset, or None if nothing is stopped."""
        return self._stop

    def press(self, by: str, reason: str, time_ns: int) -> Stop:
        """Stop, whoever asks and whatever goes on. `time_ns` is UTC, for people."""
        self._reset = None
        before = self._stop
        made = Stop(by, reason, time_ns)
        if before is not None:
            made = Stop(before.by, before.reason, before.time_ns, before.presses + 1)
        self._stop = made
        return made

    def check(self) -> None:
        """Let a command pass, unless everything is stopped.

        Raises:
            Refused: with who stopped it, and why.
        """
        stop = self._stop
        if stop is not None:
            why = f": {stop.reason}" if stop.reason else ""
            raise Refused(
                f"everything was stopped by {stop.by}{why}",
                hint="reset the stop in its two steps; nothing will move",
                by=stop.by,
                time_ns=stop.time_ns,
            )

    def ask_reset(self, now_ns: int) -> int:
        """Take the first step of a reset and return the number that confirms it; `now_ns` is monotonic.

        Raises:
            Conflict: nothing is stopped.
        """
        if self._stop is None:
            raise Conflict("nothing is stopped")
        self._number += 1
        self._reset = (self._number, now_ns)
        return self._number

    def confirm_reset(self, number: int, now_ns: int) -> Stop:
        """Take the second step and return the stop that is over. Nothing moves.

        Raises:
            Conflict: not asked for, asked for by another in between, pressed again, or too late.
        """
        asked, stop = self._reset, self._stop
        if asked is None or stop is None or asked[0] != number:
            raise Conflict("this reset is not the one that was asked for last", hint="begin again")
        self._reset = None
        if now_ns - asked[1] > STOP_RESET_S_MAX * 1e9:
            raise Conflict(
                f"the second step came later than {STOP_RESET_S_MAX:g} s after the first", hint="begin again"
            )
        self._stop = None
        return stop

    def to_dict(self) -> dict[str, Any]:
        """Return the latch as anyone may see it."""
        stop = self._stop
        return {"stopped": stop is not None, "stop": stop.to_dict() if stop else None}
