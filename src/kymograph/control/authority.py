"""Who holds control: leases that expire, with a number that the lowest layer checks.

A lease is of one group (a stand, an instrument). It ends when its time is over, when it is given back,
handed over or broken by an admin. Each new lease has a higher number than any before it, the *fence*: a
command carries the fence of the lease under which it was given, and the layer that moves something asks
`check` (or its own `Gate`) just before it does. So a command that was delayed, or sent by one who does not
know yet that control went elsewhere, moves nothing.

One thread changes an `Authority`; any thread may ask it. Times are monotonic nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from kymograph.model.errors import Conflict, InvalidInput, NotFound
from kymograph.model.limits import HOLDER_CHARS_MAX, LEASE_S_MAX, LEASE_S_MIN

EXPIRED = "expired"
RELEASED = "released"
HANDED_OVER = "handed over"
BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Lease:
    """Control of one group by one holder, until `until_ns`."""

    group: str
    holder: str
    fence: int
    since_ns: int
    until_ns: int

    def remaining_s(self, now_ns: int) -> float:
        """Return for how long it still holds, in seconds."""
        return max(0.0, (self.until_ns - now_ns) / 1e9)

    def to_dict(self, now_ns: int) -> dict[str, Any]:
        """Return the lease as anyone may see it."""
        return {
            "group": self.group, "holder": self.holder, "fence": self.fence,
            "held_s": (now_ns - self.since_ns) / 1e9, "remaining_s": self.remaining_s(now_ns),
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ended:
    """A lease that is over. Where nobody holds the group now, its actuators belong in their safe state."""

    lease: Lease
    why: str
    by: str = ""


class Authority:
    """The leases of a station.

    `last_fence` is the highest number given before, in any earlier run of the station: the caller keeps it,
    or gives one that has grown since, such as UTC in milliseconds.
    """

    def __init__(self, groups: Iterable[str], last_fence: int = 0) -> None:
        self._leases: dict[str, Lease | None] = dict.fromkeys(groups)
        self._fence = last_fence

    @property
    def last_fence(self) -> int:
        """The highest fence given so far."""
        return self._fence

    def holder(self, group: str, now_ns: int) -> Lease | None:
        """Return who holds a group at this moment.

        Raises:
            NotFound: there is no such group.
        """
        try:
            lease = self._leases[group]
        except KeyError:
            raise NotFound(f"there is no group {group}", groups=sorted(self._leases)) from None
        return lease if lease is not None and now_ns < lease.until_ns else None

    def held(self, now_ns: int) -> list[Lease]:
        """Return all leases that hold at this moment."""
        found = (self.holder(group, now_ns) for group in self._leases)
        return [lease for lease in found if lease is not None]

    def acquire(self, group: str, holder: str, ttl_s: float, now_ns: int) -> Lease:
        """Give control of a group to a holder; one who has it already gets more time, under the same fence.

        A lease whose time is over must first be fetched by `expire`, so that its loss is acted upon before
        the next holder moves anything.

        Raises:
            Conflict: another holds it; the facts say who, and for how long.
            InvalidInput: no name, or a time out of bounds.
        """
        held = self.holder(group, now_ns)
        if held is not None and held.holder == _checked(holder):
            return self._keep(replace(held, until_ns=max(held.until_ns, _until(ttl_s, now_ns))))
        if held is not None:
            raise _refusal(held, now_ns)
        if self._leases[group] is not None:
            raise Conflict(
                f"control of {group} has just been lost and is being made safe", hint="try again", group=group
            )
        return self._give(group, holder, ttl_s, now_ns)

    def renew(self, lease: Lease, ttl_s: float, now_ns: int) -> Lease:
        """Give a lease more time; never shortens it.

        Raises:
            Conflict: it holds no more.
        """
        held = self.check(lease.group, lease.fence, now_ns)
        return self._keep(replace(held, until_ns=max(held.until_ns, _until(ttl_s, now_ns))))

    def release(self, lease: Lease, now_ns: int) -> Ended:
        """Give control back.

        Raises:
            Conflict: the lease holds no more.
        """
        held = self.check(lease.group, lease.fence, now_ns)
        self._leases[held.group] = None
        return Ended(held, RELEASED, held.holder)

    def hand_over(self, lease: Lease, to: str, ttl_s: float, now_ns: int) -> tuple[Ended, Lease]:
        """Give control to another, without a moment in which nobody has it; the fence is a new one.

        Raises:
            Conflict: the lease holds no more.
            InvalidInput: no name, or a time out of bounds.
        """
        held = self.check(lease.group, lease.fence, now_ns)
        given = self._give(held.group, to, ttl_s, now_ns)
        return Ended(held, HANDED_OVER, held.holder), given

    def break_(self, group: str, by: str, now_ns: int) -> Ended | None:
        """Take control from whoever holds it; for an admin. None if nobody did.

        Raises:
            NotFound: there is no such group.
        """
        held = self.holder(group, now_ns)
        if held is None:
            return None
        self._leases[group] = None
        return Ended(held, BROKEN, _checked(by))

    def expire(self, now_ns: int) -> list[Ended]:
        """Return the leases whose time has run out since this was last asked; each is told once."""
        over = [lease for lease in self._leases.values() if lease is not None and now_ns >= lease.until_ns]
        for lease in over:
            self._leases[lease.group] = None
        return [Ended(lease, EXPIRED) for lease in over]

    def check(self, group: str, fence: int, now_ns: int) -> Lease:
        """Return the lease under which something may be moved now.

        Raises:
            Conflict: another holds the group, or nobody; the facts say who.
        """
        held = self.holder(group, now_ns)
        if held is not None and held.fence == fence:
            return held
        if held is not None:
            raise _refusal(held, now_ns)
        raise Conflict(
            f"nobody holds control of {group}", hint="take control first", group=group, holder=None
        )

    def _give(self, group: str, holder: str, ttl_s: float, now_ns: int) -> Lease:
        name, until_ns = _checked(holder), _until(ttl_s, now_ns)
        self._fence += 1
        return self._keep(Lease(group, name, self._fence, now_ns, until_ns))

    def _keep(self, lease: Lease) -> Lease:
        self._leases[lease.group] = lease
        return lease


class Gate:
    """The lowest layer's own memory of fences: it takes none below the highest that it has seen.

    It asks nobody, so it holds also where the `Authority` cannot be reached.
    """

    def __init__(self, name: str, highest: int = 0) -> None:
        self._name = name
        self._highest = highest

    @property
    def highest(self) -> int:
        """The highest fence that came through."""
        return self._highest

    def admit(self, fence: int) -> None:
        """Let a fence through and shut out all lower ones.

        Raises:
            Conflict: a later holder has already been here.
        """
        if fence < self._highest:
            raise Conflict(
                f"{self._name} is under a later holder's control",
                hint="take control again",
                fence=fence,
                highest=self._highest,
            )
        self._highest = fence


def _checked(holder: str) -> str:
    if not holder.strip() or len(holder) > HOLDER_CHARS_MAX or not holder.isprintable():
        raise InvalidInput(
            "who takes control must have a name",
            hint=f"1 to {HOLDER_CHARS_MAX} characters",
            holder=holder[:200],
        )
    return holder


def _until(ttl_s: float, now_ns: int) -> int:
    if not LEASE_S_MIN <= ttl_s <= LEASE_S_MAX:
        raise InvalidInput(
            f"a lease of {ttl_s:g} s", hint=f"{LEASE_S_MIN:g} to {LEASE_S_MAX:g} s are possible", ttl_s=ttl_s
        )
    return now_ns + int(ttl_s * 1e9)


def _refusal(held: Lease, now_ns: int) -> Conflict:
    return Conflict(
        f"{held.holder} holds control of {held.group} for another {held.remaining_s(now_ns):.1f} s",
        hint="wait, or ask for it to be handed over",
        group=held.group,
        holder=held.holder,
        until_ns=held.until_ns,
        remaining_s=held.remaining_s(now_ns),
    )
