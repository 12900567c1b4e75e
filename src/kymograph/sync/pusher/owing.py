"""Since when something is owed: the time of the oldest row that has not arrived."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from kymograph.sync.pusher.lanes import Lanes
from kymograph.sync.pusher.outbox import Outbox

_LOOK_S: Final = 2.0
"""While a backlog drains its oldest row is another after every batch."""


class Owing:
    """Asks the outbox for the oldest row of each stream, now and then."""

    def __init__(self, outbox: Outbox, lanes: Sequence[Lanes]) -> None:
        self._outbox = outbox
        self._lanes = lanes
        self._known: dict[str, tuple[int, int, int | None]] = {}
        self._looked = 0.0
        self._since_ns: int | None = None

    def since_ns(self) -> int | None:
        """Return when the oldest row was made that is owed; None if that is not known."""
        if time.monotonic() - self._looked > _LOOK_S or self._since_ns is None:
            self._looked = time.monotonic()
            self._since_ns = min(
                (at for lanes in self._lanes if (at := self._of(lanes)) is not None), default=None
            )
        return self._since_ns

    def _of(self, lanes: Lanes) -> int | None:
        span = lanes.oldest
        if span is None:
            return None
        known = self._known.get(lanes.stream)
        if known is None or known[:2] != (lanes.epoch, span[0]):
            batch = self._outbox.batch(lanes.stream, span[0], span[1], 1)
            facts: Mapping[str, Any] = msgspec.json.decode(batch.body) if batch is not None else {}
            at = facts.get("time_ns", facts.get("first_ns"))
            known = (lanes.epoch, span[0], at if isinstance(at, int) else None)
            self._known[lanes.stream] = known
        return known[2]
