"""What must be armed before it is done: actuators that the station file names, sequences that move them."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Iterable

from kymograph.control.arming import Armed, Arming
from kymograph.control.authority import Lease
from kymograph.model.clock import Clock
from kymograph.model.errors import NotFound, Refused
from kymograph.model.names import safe_name
from kymograph.service.contract import Plain
from kymograph.service.control.interlocking import SEQUENCE
from kymograph.service.control.logbook import Logbook


class SafetyCatch:
    """What is armed in one station. Any thread may call."""

    def __init__(self, targets: frozenset[str], clock: Clock, logbook: Logbook) -> None:
        """`targets` are the actuators that need it, as `instrument.actuator`."""
        self.targets = targets
        self._clock = clock
        self._logbook = logbook
        self._arming = Arming()
        self._guard = threading.Lock()

    def arm(self, target: str, lease: Lease, ttl_s: float) -> Plain:
        """Arm an actuator, or `sequence/NAME`.

        Raises:
            NotFound: that needs no arming.
            Conflict: another has armed it.
            InvalidInput: a time out of bounds.
        """
        if target.startswith(SEQUENCE):
            safe_name(target.removeprefix(SEQUENCE), "name of a sequence")
        elif target not in self.targets:
            close = difflib.get_close_matches(target, self.targets, n=3, cutoff=0.5) or sorted(self.targets)
            raise NotFound(
                f"{target} is nothing that is armed", hint=f"armed are {', '.join(close)} or sequences"
            )
        now_ns = self._clock.monotonic_ns()
        with self._guard:
            armed = self._arming.arm(target, lease.holder, lease.fence, ttl_s, now_ns)
        told = armed.to_dict(now_ns)
        self._logbook.event("state", {"armed": target, "by": armed.by, "ttl_s": ttl_s})
        self._logbook.line(armed.by, "armed", told, wait=True)
        return told

    def disarm(self, target: str, by: str) -> None:
        """Take an arming away; anybody may."""
        with self._guard:
            gone = self._arming.disarm(target)
        self._told([gone] if gone is not None else [], "disarmed", by)

    def take_away(self, why: str) -> None:
        """Take all armings away."""
        with self._guard:
            gone = self._arming.disarm_all()
        self._told(gone, why)

    def tick(self) -> None:
        """Take away what was armed too long ago."""
        with self._guard:
            over = self._arming.expire(self._clock.monotonic_ns())
        self._told(over, "its time was over")

    def check(self, moved: Iterable[str], lease: Lease, spend: bool) -> None:
        """Let what moves these actuators pass, or refuse it; `spend` uses the armings up: it is done now.

        Raises:
            Refused: one is not armed, or not by the holder of this lease, or no longer.
        """
        needed = self.targets.intersection(moved)
        now_ns = self._clock.monotonic_ns()
        with self._guard:
            for target in sorted(needed):
                armed = self._arming.armed(target, now_ns)
                if armed is None or (armed.by, armed.fence) != (lease.holder, lease.fence):
                    by = f"was armed by {armed.by}" if armed is not None else "is not armed"
                    raise Refused(f"{target} {by}", hint="arm it first", target=target)
            for target in needed if spend else ():
                self._arming.execute(target, lease.holder, lease.fence, now_ns)
        for target in needed if spend else ():
            self._logbook.line(lease.holder, "arming used", {"target": target, "fence": lease.fence})

    def spend(self, target: str, lease: Lease) -> None:
        """Use an arming up: what it was for begins now.

        Raises:
            Refused: it is not armed, or not by the holder of this lease, or no longer.
        """
        with self._guard:
            self._arming.execute(target, lease.holder, lease.fence, self._clock.monotonic_ns())
        self._logbook.line(lease.holder, "arming used", {"target": target, "fence": lease.fence}, wait=True)

    def to_list(self) -> list[Plain]:
        """Return what is armed."""
        now_ns = self._clock.monotonic_ns()
        with self._guard:
            return [armed.to_dict(now_ns) for armed in self._arming.every(now_ns)]

    def _told(self, gone: Iterable[Armed], why: str, by: str = "") -> None:
        for armed in gone:
            body = {"disarmed": armed.target, "armed_by": armed.by, "why": why}
            self._logbook.event("state", body)
            self._logbook.line(by or armed.by, "disarmed", body)
