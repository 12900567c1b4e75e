"""What is asked before something moves: is everything stopped, who holds control, does an interlock speak
against it, is it armed?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from kymograph.acquire.instrument import Instrument
from kymograph.control.authority import Gate, Lease
from kymograph.control.command_life import Order
from kymograph.service.control.interlocking import Interlocking
from kymograph.service.control.kept_stop import KeptStop
from kymograph.service.control.leases import LEASE_S, Leases
from kymograph.service.control.safety_catch import SafetyCatch
from kymograph.service.control.standing import Standing

LEASELESS: Final = (Standing.LAST, Standing.EMERGENCY)
"""Who needs no lease."""


@dataclass(frozen=True, slots=True)
class Leave:
    """All that may speak against an order in one station. Any thread may ask."""

    latch: KeptStop
    leases: Leases
    interlocking: Interlocking
    catch: SafetyCatch
    _gates: dict[str, Gate] = field(default_factory=dict[str, Gate])

    def lease_of(self, order: Order, standing: Standing) -> Lease | None:
        """Return the lease that an order goes under, None if it needs none.

        Raises:
            Conflict: another holds control.
            Refused: everything is stopped, and there is no lease yet.
        """
        return None if standing in LEASELESS else self.lease_for(order.by or "local", order.fence)

    def lease_for(self, by: str, fence: int | None = None, ttl_s: float = LEASE_S) -> Lease:
        """Return the lease under which somebody may move something: that of the fence, or their own, which
        is taken if nobody has it, and kept for longer if they do.

        Raises:
            Conflict: another holds control, or nobody under that fence.
            Refused: everything is stopped, and there is none yet.
        """
        if fence is not None:
            return self.leases.check(fence)
        self.latch.check()
        return self.leases.take(by, ttl_s)[0]

    def ask(
        self, instrument: Instrument, order: Order, standing: Standing, lease: Lease | None, now: bool = False
    ) -> None:
        """Raise what speaks against an order. `now`: in the device's thread, and it is sent right after.

        Raises:
            Conflict: the lease holds no more.
            Refused: everything is stopped, an interlock forbids it, or it is not armed.
        """
        if standing is Standing.EMERGENCY:
            return
        moved = instrument.motion.moves(order.command, order.arguments)
        if moved or standing is not Standing.LAST:
            self.latch.check()
        if lease is not None:
            self.leases.check(lease.fence)
        if moved:
            self.interlocking.check(instrument.name, (order.command, *moved), surely=now)
        if lease is not None and standing is Standing.ASKED:
            self.catch.check((f"{instrument.name}.{name}" for name in moved), lease, spend=now)
        if lease is not None and now:
            self._gates.setdefault(instrument.name, Gate(instrument.name)).admit(lease.fence)
