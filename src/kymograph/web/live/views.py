"""What a client sees of a stream: every row, the peaks, or the newest.

A view is made of consecutive rows only, so that what it covers can be said by two numbers, and so that a
gap in the stream is a gap between two messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from kymograph.model.block import Block, Column, Cursor, Times
from kymograph.model.channel import Channel, Stream
from kymograph.web.live.messages import Mode


class Peaks(NamedTuple):
    """The least and the greatest value of a channel in each of some stretches of rows."""

    low: Column
    high: Column


@dataclass(frozen=True, slots=True)
class Piece:
    """One message's worth of a stream: rows `seq_from` to `seq_to` (exclusive), as a view shows them.

    `blocks` are what it was made of, so that a part can be made again for whoever needs only a part.
    """

    stream: Stream
    epoch: int
    seq_from: int
    seq_to: int
    time_ns: Times
    names: tuple[str, ...]
    columns: tuple[Column | Peaks, ...]
    blocks: tuple[Block, ...]

    @property
    def next(self) -> Cursor:
        """The place after the last row."""
        return Cursor(self.epoch, self.seq_to)


def runs(blocks: Iterable[Block]) -> list[list[Block]]:
    """Return blocks grouped where each begins at the row after the one before it."""
    found: list[list[Block]] = []
    for block in blocks:
        if found and found[-1][-1].next == (block.epoch, block.seq):
            found[-1].append(block)
        else:
            found.append([block])
    return found


def rest(blocks: Iterable[Block], after: Cursor) -> list[Block]:
    """Return the rows of consecutive blocks from a place on; blocks of other epochs stay as they are."""
    kept: list[Block] = []
    for block in blocks:
        if block.epoch != after.epoch or block.seq >= after.seq:
            kept.append(block)
        elif block.seq + block.rows > after.seq:
            kept.append(block.cut(after.seq - block.seq, block.rows))
    return kept


def peaks(values: Column, starts: Any) -> Peaks:
    """Return the peaks of stretches that begin at these rows; NaN counts only where there is nothing else."""
    with np.errstate(invalid="ignore"):
        return Peaks(np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts))


@dataclass(frozen=True)
class View:
    """A stream's channels in one of the three modes. `channels` None is all."""

    stream: Stream
    mode: Mode
    channels: tuple[str, ...] | None = None

    @property
    def shown(self) -> tuple[Channel, ...]:
        """The channels in the order in which they are sent."""
        return tuple(self.stream.channels[self.stream.index(name)] for name in self.names)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the channels that are shown."""
        return self.stream.channel_names if self.channels is None else self.channels

    def piece(self, blocks: Sequence[Block], stretches: int = 1) -> Piece:
        """Return consecutive blocks as one message; the peaks of so many stretches, if it is peaks."""
        first, last = blocks[0], blocks[-1]
        seq_from, seq_to = first.seq, last.seq + last.rows
        if self.mode == "latest":
            seq_from = seq_to - 1
            columns = tuple(column[-1:] for column in self._columns([last]))
            times = last.time_ns[-1:]
        elif self.mode == "minmax":
            rows = seq_to - seq_from
            starts = np.arange(stretches) * rows // stretches
            columns = tuple(peaks(column, starts) for column in self._columns(blocks))
            times = _joined([block.time_ns for block in blocks])[np.append(starts[1:], rows) - 1]
        else:
            columns = tuple(self._columns(blocks))
            times = _joined([block.time_ns for block in blocks])
        at = (first.epoch, seq_from, seq_to)
        return Piece(self.stream, *at, times, self.names, columns, tuple(blocks))

    def _columns(self, blocks: Sequence[Block]) -> list[Column]:
        made = [block.columns() for block in blocks]
        return [_joined([one[i] for one in made]) for i in map(self.stream.index, self.names)]


def _joined(parts: Sequence[Column]) -> Column:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
