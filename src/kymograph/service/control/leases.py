"""The one lease of a station: who holds control of everything that it can move. Any thread may ask."""

from __future__ import annotations

import threading
from typing import Final

from kymograph.control.authority import Authority, Ended, Lease
from kymograph.model.clock import Clock
from kymograph.model.errors import Conflict

GROUP: Final = "station"
"""What one lease is of: everything that a station can move."""
LEASE_S: Final = 30.0
"""How long a lease holds that was taken by giving a command."""


class Leases:
    """`control.authority` by the station's clock, one question at a time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._authority = Authority([GROUP], clock.now_ns() // 1_000_000)
        self._guard = threading.Lock()

    def holder(self) -> Lease | None:
        """Return who holds control now."""
        return self._authority.holder(GROUP, self._clock.monotonic_ns())

    def check(self, fence: int) -> Lease:
        """Return the lease of this fence.

        Raises:
            Conflict: it holds no more.
        """
        with self._guard:
            return self._authority.check(GROUP, fence, self._clock.monotonic_ns())

    def take(self, by: str, ttl_s: float) -> tuple[Lease, bool]:
        """Take control, or keep it for longer; the bool says that nobody had it.

        Raises:
            Conflict: another holds it.
        """
        now_ns = self._clock.monotonic_ns()
        with self._guard:
            before = self._authority.holder(GROUP, now_ns)
            return self._authority.acquire(GROUP, by, ttl_s, now_ns), before is None

    def keep(self, lease: Lease, ttl_s: float) -> Lease:
        """Give a lease more time.

        Raises:
            Conflict: it holds no more.
        """
        with self._guard:
            return self._authority.renew(lease, ttl_s, self._clock.monotonic_ns())

    def give_up(self, by: str, break_: bool) -> Ended | None:
        """End the lease, None if there is none; with `break_` that of another too.

        Raises:
            Conflict: another holds it.
        """
        now_ns = self._clock.monotonic_ns()
        with self._guard:
            held = self._authority.holder(GROUP, now_ns)
            if held is None:
                return None
            if held.holder == by:
                return self._authority.release(held, now_ns)
            if break_:
                return self._authority.break_(GROUP, by, now_ns)
            raise Conflict(f"{held.holder} holds control", hint="an admin can break it", holder=held.holder)

    def hand_over(self, by: str, to: str, ttl_s: float) -> tuple[Ended, Lease]:
        """Give control to another, without a moment in which nobody has it.

        Raises:
            Conflict: `by` does not hold it.
        """
        now_ns = self._clock.monotonic_ns()
        with self._guard:
            held = self._authority.holder(GROUP, now_ns)
            if held is None or held.holder != by:
                holder = held.holder if held is not None else None
                raise Conflict(
                    f"{holder or 'nobody'} holds control", hint="its holder hands it over", holder=holder
                )
            return self._authority.hand_over(held, to, ttl_s, now_ns)

    def expire(self) -> list[Ended]:
        """Return what has run out since this was last asked."""
        with self._guard:
            return self._authority.expire(self._clock.monotonic_ns())
