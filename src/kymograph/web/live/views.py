"""What a client sees of a stream: every row, the peaks, or the newest.

A view is made of consecutive rows only, so that what it covers can be said by two numbers, and so that a
gap in the stream is a gap between two messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import msgspec
import numpy as np

from kymograph.model.block import Block, Column, Cursor, Times
from kymograph.model.channel import Channel, Stream
from kymograph.web.live.messages import Mode


class Peaks(NamedTuple):
    """The least and the greatest value of a channel in each of some stretches of rows."""

    low: Column
    high: Column


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


Heads = tuple[tuple[bytes, int], ...]
"""For each column, bytes that stand before its values, and the bytes of one value."""


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

    @cached_property
    def heads(self) -> Heads:
        """What stands in msgpack before the values of each column, the times first."""
        dtypes = dict(zip(self.stream.channel_names, self.stream.dtypes, strict=True))
        columns = [("time_ns", np.dtype("<i8")), *((name, dtypes[name]) for name in self.names)]
        pack = msgspec.msgpack.encode
        return tuple(
            (pack(name) + pack({"dtype": dtype.str, "data": None})[:-1], dtype.itemsize)
            for name, dtype in columns
        )

    @cached_property
    def whole(self) -> bool:
        """Whether blocks are shown just as they are."""
        return self.mode == "raw" and self.names == self.stream.channel_names

    def piece(self, blocks: Sequence[Block], stretches: int = 1) -> Piece:
        """Return consecutive blocks as one message; the peaks of so many stretches, if it is peaks."""
        first, last = blocks[0], blocks[-1]
        seq_to = last.seq + last.rows
        seq_from = seq_to - 1 if self.mode == "latest" else first.seq
        return Piece(self, first.epoch, seq_from, seq_to, tuple(blocks), stretches)


class Shown(NamedTuple):
    """What a view shows of some rows."""

    time_ns: Times
    columns: tuple[Column | Peaks, ...]


@dataclass(frozen=True)
class Piece:
    """One message's worth of a stream: rows `seq_from` to `seq_to` (exclusive), as a view shows them.

    `blocks` are what it is made of, so that a part can be made again for whoever needs only a part.
    """

    view: View
    epoch: int
    seq_from: int
    seq_to: int
    blocks: tuple[Block, ...]
    stretches: int = 1

    @property
    def next(self) -> Cursor:
        """The place after the last row."""
        return Cursor(self.epoch, self.seq_to)

    @property
    def whole(self) -> Block | None:
        """The one block that is shown just as it is; None if it is more, or less."""
        return self.blocks[0] if len(self.blocks) == 1 and self.view.whole else None

    @cached_property
    def shown(self) -> Shown:
        """Times and columns, made when they are asked for."""
        blocks, mode = self.blocks, self.view.mode
        if mode == "latest":
            last = blocks[-1]
            return Shown(last.time_ns[-1:], tuple(column[-1:] for column in self._columns([last])))
        times, columns = _joined([block.time_ns for block in blocks]), self._columns(blocks)
        if mode == "raw":
            return Shown(times, tuple(columns))
        rows = self.seq_to - self.seq_from
        starts = np.arange(self.stretches) * rows // self.stretches
        ends = np.append(starts[1:], rows) - 1
        return Shown(times[ends], tuple(peaks(column, starts) for column in columns))

    def _columns(self, blocks: Sequence[Block]) -> list[Column]:
        made = [block.columns() for block in blocks]
        return [_joined([one[i] for one in made]) for i in map(self.view.stream.index, self.view.names)]


def _joined(parts: Sequence[Column]) -> Column:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)
