"""Arm, then execute: what cannot be taken back needs two deliberate steps, soon after one another.

An arming is of one target, by one holder, under one fence; it is used up by its execution and worth
nothing after its time, after a change of control, or after a stop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kymograph.model.errors import Conflict, InvalidInput, Refused
from kymograph.model.limits import ARMED_S_MAX


@dataclass(frozen=True, slots=True)
class Armed:
    """A target that may be executed, once, by who armed it, until `until_ns` (monotonic)."""

    target: str
    by: str
    fence: int
    since_ns: int
    until_ns: int

    def to_dict(self, now_ns: int) -> dict[str, Any]:
        """Return the arming as anyone may see it."""
        remaining_s = max(0.0, (self.until_ns - now_ns) / 1e9)
        return {"target": self.target, "by": self.by, "fence": self.fence, "remaining_s": remaining_s}


class Arming:
    """What is armed. One thread changes it; times are monotonic nanoseconds."""

    def __init__(self) -> None:
        self._armed: dict[str, Armed] = {}

    def arm(self, target: str, by: str, fence: int, ttl_s: float, now_ns: int) -> Armed:
        """Arm a target; arming it again counts from now.

        Raises:
            Conflict: another has armed it.
            InvalidInput: a time out of bounds.
        """
        if not 0 < ttl_s <= ARMED_S_MAX:
            raise InvalidInput(f"armed for {ttl_s:g} s", hint=f"at most {ARMED_S_MAX:g} s", ttl_s=ttl_s)
        held = self.armed(target, now_ns)
        if held is not None and held.by != by:
            raise Conflict(f"{target} is armed by {held.by}", hint="disarm it first", holder=held.by)
        self._armed[target] = made = Armed(target, by, fence, now_ns, now_ns + int(ttl_s * 1e9))
        return made

    def armed(self, target: str, now_ns: int) -> Armed | None:
        """Return the arming of a target, if it is worth anything now."""
        held = self._armed.get(target)
        return held if held is not None and now_ns < held.until_ns else None

    def every(self, now_ns: int) -> list[Armed]:
        """Return all that is armed now."""
        return [held for held in self._armed.values() if now_ns < held.until_ns]

    def execute(self, target: str, by: str, fence: int, now_ns: int) -> Armed:
        """Use an arming up: what it was for may be done now, once.

        Raises:
            Refused: it is not armed, not by this one, not under this fence, or no longer.
        """
        held = self._armed.get(target)
        if held is None:
            raise Refused(f"{target} is not armed", hint="arm it first", target=target)
        if held.by != by or held.fence != fence:
            raise Refused(f"{target} was armed by {held.by}", hint="arm it yourself", armed_by=held.by)
        del self._armed[target]
        if now_ns >= held.until_ns:
            late_s = (now_ns - held.until_ns) / 1e9
            raise Refused(
                f"the arming of {target} ended {late_s:.1f} s ago", hint="arm it again", target=target
            )
        return held

    def disarm(self, target: str) -> Armed | None:
        """Take an arming away; anyone may. Returns what was armed."""
        return self._armed.pop(target, None)

    def disarm_all(self) -> list[Armed]:
        """Take all armings away: at a stop, and where control is lost."""
        gone = list(self._armed.values())
        self._armed.clear()
        return gone

    def expire(self, now_ns: int) -> list[Armed]:
        """Return the armings whose time ran out; each is told once."""
        over = [held for held in self._armed.values() if now_ns >= held.until_ns]
        for held in over:
            del self._armed[held.target]
        return over
