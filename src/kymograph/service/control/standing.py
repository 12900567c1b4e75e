"""With what right somebody wants something moved."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TypeAlias

Wanted: TypeAlias = Callable[[], bool]
"""Says whether something is still wanted."""


class Standing(Enum):
    """With what right an order comes, and so what is asked before it is carried out."""

    ASKED = "asked"
    """An ordinary command: the lease, the stop, the interlocks and the arming are all asked."""
    RUN = "run"
    """A step of a run: as an ordinary one, but what needs arming was armed with the run."""
    LAST = "last"
    """One of the last steps of a run: needs no lease and no arming. The stop and the interlocks refuse what
    endangers, never what only makes things safe."""
    EMERGENCY = "emergency"
    """Passes the lease, the stop, the interlocks and the arming, and everything that waits for the device."""
