"""One trigger: when its condition becomes true, and when it may do so again. Without threads and clock.

    off ──arm──▶ waiting ──condition false──▶ armed ──becomes true──▶ recording ──post_s──▶ waiting
     ▲                                          │                                             │
     └──────────────disarm─────────────────────┘                           not before rearm_s ┘

What counts is a crossing: a row in which the condition is true after one in which it was false. Rows in which
it is not known (no value, NaN, too old) are passed over: silence neither fires a trigger nor arms it again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from kymograph.control.expression import Expression, Value
from kymograph.control.freshness import Freshness
from kymograph.model import limits
from kymograph.model.block import Block

OFF: Final = "off"
WAITING: Final = "waiting"
ARMED: Final = "armed"
RECORDING: Final = "recording"
_TRUE: Final = 1
_NOT_KNOWN: Final = 2


class TriggerTable(BaseModel):
    """`[triggers.NAME]`: what begins a recording by itself."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    when: str
    """A condition over channels: `stand.P1 > 20`."""
    pre_s: float = Field(default=0.0, ge=0, le=limits.PRE_TRIGGER_S_MAX)
    """How much of what came before belongs to the recording, as far as the ring holds it."""
    post_s: float = Field(default=10.0, ge=0.1, le=limits.POST_TRIGGER_S_MAX)
    """How long it goes on after the last crossing."""
    hold: bool = False
    """Go on for as long as the condition holds, and `post_s` from then on."""
    rearm_s: float = Field(default=0.0, ge=0, le=limits.POST_TRIGGER_S_MAX)
    """Pause after a recording."""
    record: str = ""
    """What recordings are called; the trigger's name if left out."""
    streams: tuple[str, ...] = ()
    """What is recorded; everything if neither these nor instruments are given."""
    instruments: tuple[str, ...] = ()
    format: str = ""
    armed: bool = True
    """Whether it is armed from the start of the station on."""
    max_age_s: float = Field(default=1.0, gt=0, le=3600)
    """A value that is older counts as not known."""


class Crossing(NamedTuple):
    """The condition became true."""

    age_ns: int
    """How long before the block's last row."""
    reason: str


class Trigger:
    """The state of one trigger. One thread at a time."""

    def __init__(self, name: str, table: TriggerTable, condition: Expression) -> None:
        self.name = name
        self.table = table
        self.condition = condition
        self.wanted = table.armed
        """Whether it is to fire."""
        self.recording_id: str | None = None
        self.recordings: list[str] = []
        """The newest recordings it began, oldest first."""
        self.fired = 0
        self.last_ns: int | None = None
        self.error = ""
        self._busy = False
        self._was: bool | None = None
        self._ready_ns = 0
        self._until_ns = 0

    def state(self, now_ns: int) -> str:
        """Return what it does."""
        if self._busy:
            return RECORDING
        if not self.wanted:
            return OFF
        return ARMED if self._was is False and now_ns >= self._ready_ns else WAITING

    def take(self, block: Block, freshness: Freshness, now_ns: int) -> Crossing | None:
        """Look at a block that `freshness` has just taken; return where it fires, or goes on recording."""
        columns, sure = freshness.rows(block, self.condition.names, now_ns, self.table.max_age_s)
        codes = np.broadcast_to(self.condition.truth_rows(columns, sure), block.rows)
        rows = np.flatnonzero(codes != _NOT_KNOWN)
        if not len(rows):
            return None
        known = codes[rows] == _TRUE
        before = np.concatenate(([known[0] if self._was is None else self._was], known[:-1]))
        crossed = np.flatnonzero(known & ~before)
        self._was = bool(known[-1])
        if self._busy and self.table.hold and known.any():
            self._until_ns = now_ns + int(self.table.post_s * 1e9)
        if not len(crossed) or not (self._busy or (self.wanted and now_ns >= self._ready_ns)):
            return None
        row = int(rows[crossed[0]])
        age_ns = int(block.time_ns[-1] - block.time_ns[row])
        return Crossing(age_ns, self.condition.explain(_at(columns, row)))

    def begin(self, time_ns: int, now_ns: int) -> bool:
        """Begin to record, or go on for longer; return whether it began. `time_ns` is when, in UTC."""
        began = not self._busy
        self._until_ns = now_ns + int(self.table.post_s * 1e9)
        self._busy = True
        self.last_ns = time_ns
        if began:
            self.fired += 1
        return began

    def over(self, now_ns: int) -> bool:
        """Return whether it has recorded for long enough."""
        return self._busy and now_ns >= self._until_ns

    def end(self, now_ns: int, error: str = "") -> None:
        """Take note that the recording has ended, or could not begin."""
        self._busy, self.recording_id, self.error = False, None, error
        self._ready_ns = now_ns + int(max(self.table.rearm_s, 1.0 if error else 0.0) * 1e9)

    def left_s(self, now_ns: int) -> float | None:
        """Return how long it still records."""
        return max(self._until_ns - now_ns, 0) / 1e9 if self._busy else None

    def to_dict(self, freshness: Freshness, now_ns: int) -> dict[str, Any]:
        """Return the trigger as anyone may see it."""
        table = self.table
        values = freshness.values(self.condition.names, now_ns, table.max_age_s)
        return {
            "name": self.name, "when": table.when, "state": self.state(now_ns), "last_ns": self.last_ns,
            "recordings": list(self.recordings), "recording_id": self.recording_id, "fired": self.fired,
            "now": self.condition.explain(values), "left_s": self.left_s(now_ns), "error": self.error,
            "pre_s": table.pre_s, "post_s": table.post_s, "rearm_s": table.rearm_s, "hold": table.hold,
            "record": table.record or self.name,
        }  # fmt: skip


def _at(columns: Mapping[str, Any], row: int) -> dict[str, Value]:
    return {
        name: float(column[row]) if isinstance(column, np.ndarray) else column
        for name, column in columns.items()
    }
