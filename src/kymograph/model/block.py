"""Rows on their way: what a driver makes, what everything else reads.

A driver hands over `Rows`; the instrument's thread makes a `Block` of them, once. Ring, disk and sockets
read the block's one buffer, whose layout is that of the journal and of the live protocol:

    time_ns   int64[n]     little-endian, then each channel in the stream's order
    channel 0 dtype[n]     every column starts at a multiple of 8 bytes, the gap filled with zeros
    channel 1 dtype[n]

Why columns and not rows? Appending is as fast, and reading one channel back is 7 times faster. Why the
padding? So that a reader on any machine can view the columns in place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from kymograph.model.channel import Stream
from kymograph.model.errors import Corrupt, InvalidInput
from kymograph.model.limits import BLOCK_ROWS_MAX

Column = npt.NDArray[Any]
Times = npt.NDArray[np.int64]


class Rows(NamedTuple):
    """What a driver made of one read: times and one array a channel, all of one length, oldest first.

    Where all channels are of one dtype, an array [channels, rows] of it will do as well, and costs less.

    `missing` counts rows that the device is known to have made before these and that never arrived (a jump
    of its own counter): `seq` jumps by so many, and the gap is told.
    """

    stream: str
    time_ns: Times
    columns: Sequence[Column] | Column
    missing: int = 0


class Cursor(NamedTuple):
    """A place in a stream: the next row that is wanted is `seq` of `epoch`.

    An epoch is one unbroken run of a stream, named by the UTC milliseconds at which it began; `seq` counts
    its rows from 0. Identity of a row is (station, stream, epoch, seq), never its time.
    """

    epoch: int
    seq: int


def _padded(nbytes: int) -> int:
    return (nbytes + 7) & ~7


def payload_nbytes(stream: Stream, rows: int) -> int:
    """Return the bytes of a block's buffer for that many rows of that stream."""
    if stream.dtype is not None:
        return 8 * rows + len(stream.channels) * _padded(stream.dtype.itemsize * rows)
    return 8 * rows + sum(_padded(dtype.itemsize * rows) for dtype in stream.dtypes)


def _fits(columns: Sequence[Column] | Column, channels: int, rows: int) -> bool:
    if isinstance(columns, np.ndarray):
        return columns.shape == (channels, rows)
    return len(columns) == channels and all(len(column) == rows for column in columns)


def _matrix(stream: Stream, rows: int, payload: bytes | bytearray | memoryview) -> Column | None:
    """Return all values of a payload as [channels, rows], None where channels differ in dtype."""
    dtype = stream.dtype
    if dtype is None:
        return None
    strides = (_padded(dtype.itemsize * rows), dtype.itemsize)
    return np.ndarray((len(stream.channels), rows), dtype, payload, 8 * rows, strides)


def _views(stream: Stream, rows: int, payload: bytes | bytearray | memoryview) -> list[Column]:
    """Return each channel's values in a payload."""
    matrix = _matrix(stream, rows, payload)
    if matrix is not None:
        return list(matrix)
    views: list[Column] = []
    offset = 8 * rows
    for dtype in stream.dtypes:
        views.append(np.frombuffer(payload, dtype, rows, offset))
        offset += _padded(dtype.itemsize * rows)
    return views


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one stream with consecutive `seq`, in one read-only buffer.

    `seq` is the index of the first row since the epoch began; `rows` how many there are.
    """

    stream: Stream
    epoch: int
    seq: int
    rows: int
    payload: bytes | memoryview

    @classmethod
    def pack(cls, stream: Stream, epoch: int, seq: int, rows: Rows) -> Block:
        """Copy a driver's rows into one buffer, each column converted to its channel's dtype.

        Raises:
            InvalidInput: columns missing, of unequal length, or more rows than `BLOCK_ROWS_MAX`.
        """
        n = len(rows.time_ns)
        if not 0 < n <= BLOCK_ROWS_MAX:
            raise InvalidInput(f"a block of {n} rows", allowed=f"1 to {BLOCK_ROWS_MAX}")
        if not _fits(rows.columns, len(stream.channels), n):
            raise InvalidInput(
                f"rows of {stream.name} do not fit its {len(stream.channels)} channels",
                lengths=[n, *(len(column) for column in rows.columns)],
            )
        buffer = bytearray(payload_nbytes(stream, n))
        np.ndarray(n, "<i8", buffer)[:] = rows.time_ns
        matrix = _matrix(stream, n, buffer)
        if matrix is not None and isinstance(rows.columns, np.ndarray):
            matrix[:] = rows.columns
        else:
            for view, column in zip(_views(stream, n, buffer), rows.columns, strict=True):
                view[:] = column
        return cls(stream, epoch, seq, n, memoryview(buffer).toreadonly())

    @classmethod
    def from_payload(cls, stream: Stream, at: Cursor, rows: int, payload: bytes | memoryview) -> Block:
        """Wrap a buffer that was read from a disk or a socket, without copying it.

        Raises:
            Corrupt: the buffer is not as long as the stream and the number of rows demand.
        """
        if not 0 < rows <= BLOCK_ROWS_MAX or len(payload) != payload_nbytes(stream, rows):
            raise Corrupt(f"{len(payload)} bytes are not {rows} rows of {stream.name}")
        return cls(stream, at.epoch, at.seq, rows, payload)

    @property
    def next(self) -> Cursor:
        """The place after this block's last row."""
        return Cursor(self.epoch, self.seq + self.rows)

    @property
    def nbytes(self) -> int:
        """Bytes of the payload."""
        return len(self.payload)

    @property
    def time_ns(self) -> Times:
        """The times, int64[rows], a view."""
        return np.frombuffer(self.payload, "<i8", self.rows)

    @property
    def first_ns(self) -> int:
        """The time of the first row."""
        return int(self.time_ns[0])

    @property
    def last_ns(self) -> int:
        """The time of the last row."""
        return int(self.time_ns[-1])

    @property
    def matrix(self) -> Column | None:
        """All values as one view [channels, rows] where the channels have one dtype, else None."""
        return _matrix(self.stream, self.rows, self.payload)

    def columns(self) -> list[Column]:
        """Return each channel's values as views, in the stream's order."""
        return _views(self.stream, self.rows, self.payload)

    def cut(self, start: int, stop: int) -> Block:
        """Return rows `start` to `stop` (exclusive, counted within this block) as a block of their own."""
        if start <= 0 and stop >= self.rows:
            return self
        start, stop = max(start, 0), min(stop, self.rows)
        matrix = self.matrix
        columns = [c[start:stop] for c in self.columns()] if matrix is None else matrix[:, start:stop]
        part = Rows(self.stream.name, self.time_ns[start:stop], columns)
        return Block.pack(self.stream, self.epoch, self.seq + start, part)


class BlockQueue(Protocol):
    """Where the device wing and the disk wing meet: it takes blocks and never makes the giver wait."""

    @property
    def rows_lost(self) -> int:
        """Rows that were offered and could not be taken, since the queue was made."""
        ...

    def put(self, block: Block) -> bool:
        """Take a block, or count its rows as lost and return False. Never waits."""
        ...
