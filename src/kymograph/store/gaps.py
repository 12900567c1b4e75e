"""Gaps: every row that is known to have existed and is not on the disk, told once and exactly.

A gap is `{stream, epoch, from_seq, to_seq, rows, reason}` with `to_seq` exclusive. Reasons: `overflow` (the
disk was too slow), `device` (the instrument says rows are missing), `epoch` (a new unbroken run began; how
many rows fell between is unknown), `disk full`, `disk failed`, `damage` (a damaged journal), `crash`.
"""

from __future__ import annotations

import uuid
from dataclasses import asdict, dataclass
from typing import Any, Final

from kymograph.model.block import Block, Cursor
from kymograph.model.clock import Clock
from kymograph.model.event import Event
from kymograph.model.limits import GAP_EVENTS_PER_S_MAX

DELETED: Final = "deleted by retention"
"""The reason of rows that were sealed and are not here any more, on purpose. No event tells it: the manifest
does."""
SOURCE: Final = "recorder"
"""The `source` of events that the store makes."""
_SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Gap:
    """Missing rows of a stream; `to_seq` and `rows` are None where they cannot be known."""

    stream: str
    epoch: int
    from_seq: int
    to_seq: int | None
    rows: int | None
    reason: str

    def body(self) -> dict[str, Any]:
        """Return the body of the event that tells it."""
        return asdict(self)


def make_event(clock: Clock, kind: str, body: dict[str, Any], event_id: str = "") -> Event:
    """Make an event of the store's own."""
    return Event(event_id or uuid.uuid4().hex, clock.now_ns(), SOURCE, kind, body)


def between(stream: str, place: Cursor | None, epoch: int, seq: int) -> Gap | None:
    """Return the gap between the place after the last row and the next row's, if there is one."""
    if place is None or (place.epoch == epoch and seq <= place.seq):
        return None
    if place.epoch != epoch:
        return Gap(stream, place.epoch, place.seq, None, None, "epoch")
    return Gap(stream, epoch, place.seq, seq, seq - place.seq, "device")


def without_repeats(block: Block, place: Cursor | None) -> Block | None:
    """Return what of a block lies behind `place`: a row is written once, whoever offers it twice."""
    if place is None or block.epoch != place.epoch or block.seq >= place.seq:
        return block
    if block.seq + block.rows <= place.seq:
        return None
    return block.cut(place.seq - block.seq, block.rows)


class GapTeller:
    """Turns gaps into events, at most `GAP_EVENTS_PER_S_MAX` a second; more become one event a stream.

    Which rows are missing stays exact all the same: the runs of each segment say it. Used by one thread.
    """

    def __init__(self, clock: Clock) -> None:
        """Begin with nothing to tell."""
        self._clock = clock
        self._gaps: list[Gap] = []
        self._merged: dict[tuple[str, str], dict[str, Any]] = {}
        self._second_ns = 0
        self._told = 0

    def add(self, gap: Gap) -> None:
        """Note a gap to be told."""
        if len(self._gaps) < GAP_EVENTS_PER_S_MAX:
            self._gaps.append(gap)
            return
        known = self._merged.get((gap.stream, gap.reason))
        if known is None:
            self._merged[gap.stream, gap.reason] = {**gap.body(), "gaps": 1}
            return
        if gap.epoch != known["epoch"] or gap.to_seq is None:
            known["to_seq"] = None
        elif known["to_seq"] is not None:
            known["to_seq"] = gap.to_seq
        if gap.rows is not None:
            known["rows"] = (known["rows"] or 0) + gap.rows
        known["gaps"] += 1

    def take(self, all_of_them: bool = False) -> list[Event]:
        """Return the events that are due now."""
        if not self._gaps and not self._merged:
            return []
        now = self._clock.monotonic_ns()
        if now - self._second_ns >= _SECOND_NS or all_of_them:
            self._second_ns, self._told = now, 0
        elif self._told >= GAP_EVENTS_PER_S_MAX or self._merged:
            return []
        bodies = [gap.body() for gap in self._gaps] + list(self._merged.values())
        self._told += len(bodies)
        self._gaps, self._merged = [], {}
        return [make_event(self._clock, "gap", body) for body in bodies]
