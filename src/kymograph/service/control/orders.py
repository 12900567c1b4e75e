"""What somebody wants moved, and with what right: the one way in to everything that moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from kymograph.model.limits import COMMAND_LATE_S


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


@dataclass(frozen=True, slots=True)
class Order:
    """One command for one instrument, as somebody gave it."""

    instrument: str
    command: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    by: str = ""
    fence: int | None = None
    """Of the lease that it is given under; None: that of `by`, who takes one if nobody has it."""
    key: str = ""
    """The giver's own, "" for none: the same key is the same command."""
    late_s: float = COMMAND_LATE_S
    """How long it may wait to be sent; what is later than that never goes."""
    run: str = ""
    """The id of the run that it is a step of, if it is one."""
    wanted: Callable[[], bool] = lambda: True
    """Asked in the device's own thread right before it goes: no longer wanted, it never goes."""
