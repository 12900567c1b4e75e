"""The newest rows of a stream, in memory that other processes can read without asking.

The engine's thread writes, anyone with the file descriptor reads; neither ever waits for the other. The
memory is an anonymous file (`memfd`), gone when the last process closes it, so that a kill leaves nothing.

    header   int64[8]        magic, capacity, rows claimed, rows written, runs written, 0 …
    runs     int64[1024][3]   (row, epoch, seq): from that row on, rows are numbered seq, seq + 1, …
    time_ns  int64[capacity]
    channels dtype[capacity] each, starting at a multiple of 64 bytes

Row r of the stream's life stands at r mod capacity. *Claimed* moves before rows are overwritten, *written*
after: a reader copies and then looks whether what it copied has been claimed meanwhile. Why not a lock? A
reader that copies 600 000 rows under one stalls the writer for 19 ms, and one that is killed, for ever.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from kymograph.model.block import Block, Column, Cursor, Rows, Times
from kymograph.model.channel import Stream
from kymograph.model.errors import Unavailable
from kymograph.model.limits import BLOCK_ROWS_MAX

_MAGIC: Final = 0x4B594D52494E4731
_HEADER: Final = 8
_RUNS: Final = 1024
_CLAIMED, _WRITTEN, _RUN_COUNT = 2, 3, 4


def _aligned(nbytes: int) -> int:
    return (nbytes + 63) & ~63


def ring_nbytes(stream: Stream, capacity: int) -> int:
    """Return the bytes that a ring of that many rows takes."""
    columns = sum(_aligned(dtype.itemsize * capacity) for dtype in stream.dtypes)
    return _aligned(8 * _HEADER + 24 * _RUNS) + _aligned(8 * capacity) + columns


class _Memory(NamedTuple):
    header: npt.NDArray[np.int64]
    runs: npt.NDArray[np.int64]
    time_ns: Times
    columns: Sequence[Column]
    matrix: Column | None
    """The same as one array [channels, capacity], where they have one dtype."""


def _lay_out(stream: Stream, capacity: int, memory: mmap.mmap) -> _Memory:
    header = np.frombuffer(memory, "<i8", _HEADER)
    runs = np.frombuffer(memory, "<i8", 3 * _RUNS, 8 * _HEADER).reshape(_RUNS, 3)
    offset = _aligned(8 * _HEADER + 24 * _RUNS)
    time_ns = np.frombuffer(memory, "<i8", capacity, offset)
    offset += _aligned(8 * capacity)
    if stream.dtype is not None:
        step = stream.dtype.itemsize
        strides = (_aligned(step * capacity), step)
        matrix = np.ndarray((len(stream.channels), capacity), stream.dtype, memory, offset, strides)
        return _Memory(header, runs, time_ns, list(matrix), matrix)
    columns: list[Column] = []
    for dtype in stream.dtypes:
        columns.append(np.frombuffer(memory, dtype, capacity, offset))
        offset += _aligned(dtype.itemsize * capacity)
    return _Memory(header, runs, time_ns, columns, None)


class _Fence:
    """Orders memory between processes: taking and leaving a lock is a full barrier, also on ARM."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self) -> None:
        with self._lock:
            pass


class Ring:
    """The writing side; a `BlockQueue` that never refuses. One thread puts.

    Memory is claimed and touched when the ring is made, so that it cannot fail later.
    """

    def __init__(self, stream: Stream, capacity: int) -> None:
        self.stream = stream
        self.capacity = max(capacity, 1)
        self.size_bytes = ring_nbytes(stream, self.capacity)
        self._fd = os.memfd_create(f"kymograph-{stream.name}"[:200], os.MFD_CLOEXEC)
        os.ftruncate(self._fd, self.size_bytes)
        self._map = mmap.mmap(self._fd, self.size_bytes, flags=mmap.MAP_SHARED | mmap.MAP_POPULATE)
        self._memory = _lay_out(stream, self.capacity, self._map)
        self._fence = _Fence()
        self._next: tuple[int, int] | None = None
        self._written = 0
        self._memory.header[0], self._memory.header[1] = _MAGIC, self.capacity

    @property
    def path(self) -> str:
        """Where another process of the same user finds the memory."""
        return f"/proc/{os.getpid()}/fd/{self._fd}"

    @property
    def rows_lost(self) -> int:
        """Always 0: the ring forgets its oldest rows by purpose."""
        return 0

    def view(self) -> RingView:
        """Return a reader within this process."""
        return RingView(self.stream, self.capacity, self._map)

    def put(self, block: Block) -> bool:
        """Take a block over the oldest rows."""
        skip = max(block.rows - self.capacity, 0)
        memory, fence = self._memory, self._fence
        row, after = self._written, self._written + block.rows - skip
        memory.header[_CLAIMED] = after
        fence()
        if self._next != (block.epoch, block.seq) or skip:
            self._add_run(row, block.epoch, block.seq + skip)
        self._copy(memory.time_ns, row, block.time_ns[skip:])
        matrix = block.matrix if memory.matrix is not None else None
        if memory.matrix is not None and matrix is not None:
            self._copy(memory.matrix, row, matrix[:, skip:] if skip else matrix)
        else:
            for target, column in zip(memory.columns, block.columns(), strict=True):
                self._copy(target, row, column[skip:])
        fence()
        memory.header[_WRITTEN] = self._written = after
        self._next = block.epoch, block.seq + block.rows
        return True

    def _add_run(self, row: int, epoch: int, seq: int) -> None:
        count = int(self._memory.header[_RUN_COUNT])
        self._memory.runs[count % _RUNS] = (row, epoch, seq)
        self._fence()
        self._memory.header[_RUN_COUNT] = count + 1

    def _copy(self, target: Column, row: int, values: Column) -> None:
        """Put values, one row a step of the last axis, where that row stands."""
        at, count = row % self.capacity, values.shape[-1]
        head = self.capacity - at
        if count <= head:
            target[..., at : at + count] = values
            return
        target[..., at:] = values[..., :head]
        target[..., : count - head] = values[..., head:]

    def close(self) -> None:
        """Let go of the descriptor; the memory goes when its last reader does."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class RingView:
    """The reading side, in any process; any number of them."""

    def __init__(self, stream: Stream, capacity: int, memory: mmap.mmap) -> None:
        self.stream = stream
        self.capacity = capacity
        self._memory = _lay_out(stream, capacity, memory)
        self._fence = _Fence()

    @classmethod
    def attach(cls, stream: Stream, path: str) -> RingView:
        """Map a ring that another process offers at `Ring.path`.

        Raises:
            Unavailable: it is gone, or is no ring of this stream.
        """
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                memory = mmap.mmap(fd, 0, prot=mmap.PROT_READ)
            finally:
                os.close(fd)
        except (OSError, ValueError) as error:
            raise Unavailable(f"the ring of {stream.name} cannot be read: {error}") from None
        header = np.frombuffer(memory, "<i8", _HEADER)
        capacity = int(header[1])
        if int(header[0]) != _MAGIC or len(memory) != ring_nbytes(stream, capacity):
            raise Unavailable(f"the ring of {stream.name} is not of this stream")
        return cls(stream, capacity, memory)

    @property
    def extent(self) -> tuple[int, int]:
        """The first and the one-past-last row that can be read now, counted over the stream's life."""
        written = int(self._memory.header[_WRITTEN])
        return max(int(self._memory.header[_CLAIMED]) - self.capacity, 0), written

    def read(self, start: int, stop: int, channels: Sequence[int]) -> tuple[int, Times, list[Column]]:
        """Copy rows `start` to `stop` (exclusive); return the first row still there, and the copies."""
        wanted = [self._memory.columns[c] for c in channels]
        return self._read(start, stop, wanted)

    def _read(self, start: int, stop: int, sources: Sequence[Column]) -> tuple[int, Times, list[Column]]:
        """Copy rows of the times and of some arrays, along their last axis."""
        first, last = self.extent
        start, stop = max(start, first), max(min(stop, last), max(start, first))
        self._fence()
        times = self._copy(self._memory.time_ns, start, stop)
        copies = [self._copy(source, start, stop) for source in sources]
        self._fence()
        lost = min(max(self.extent[0] - start, 0), stop - start)
        return start + lost, times[lost:], [one[..., lost:] for one in copies]

    def _copy(self, source: Column, start: int, stop: int) -> Column:
        at, count = start % self.capacity, stop - start
        if at + count <= self.capacity:
            return source[..., at : at + count].copy()
        return np.concatenate((source[..., at:], source[..., : at + count - self.capacity]), axis=-1)

    def row_at_time(self, time_ns: int, low: int = 0, high: int | None = None) -> int:
        """Return the first row at or after a time, by bisection; the end of the ring if there is none.

        With bounds, of the rows `low` to `high` (exclusive) only, and `high` if there is none.
        """
        first, last = self.extent
        low, high = max(low, first), last if high is None else min(high, last)
        while low < high:
            middle = (low + high) // 2
            if int(self._memory.time_ns[middle % self.capacity]) < time_ns:
                low = middle + 1
            else:
                high = middle
        return low

    def runs(self) -> list[tuple[int, Cursor]]:
        """Return (row, cursor) of each stretch of consecutive rows in the ring, oldest first."""
        count = int(self._memory.header[_RUN_COUNT])
        kept = range(max(count - _RUNS + 1, 0), count)
        table = [self._memory.runs[i % _RUNS].tolist() for i in kept]
        return [(row, Cursor(epoch, seq)) for row, epoch, seq in table]

    def time_at(self, row: int) -> int | None:
        """Return the time of a row, None if it is not there."""
        times = self.read(row, row + 1, ())[1]
        return int(times[0]) if len(times) else None

    def row_at(self, cursor: Cursor) -> int:
        """Return the row of a cursor, or the first one after it that is still there.

        A cursor of an epoch that the ring does not know is behind everything.
        """
        first, last = self.extent
        runs = self.runs()
        if all(at.epoch != cursor.epoch for _, at in runs):
            return first
        for i, (row, at) in enumerate(runs):
            end = runs[i + 1][0] if i + 1 < len(runs) else last
            if at > cursor:
                return max(row, first)
            if at.epoch == cursor.epoch and cursor.seq < at.seq + end - row:
                return max(row + cursor.seq - at.seq, first)
        return last

    def blocks(self, start: int, stop: int) -> list[Block]:
        """Return rows `start` to `stop` (exclusive), as far as they are still there, as numbered blocks."""
        return [block for _, block in self.placed(start, stop)]

    def placed(self, start: int, stop: int) -> list[tuple[int, Block]]:
        """Return the same with the row at which each block begins."""
        runs, memory = self.runs(), self._memory
        whole = memory.columns if memory.matrix is None else [memory.matrix]
        found: list[tuple[int, Block]] = []
        for i, (row, at) in enumerate(runs):
            end = min(runs[i + 1][0] if i + 1 < len(runs) else stop, stop)
            at_row = max(row, start)
            while at_row < end:
                upto = min(at_row + BLOCK_ROWS_MAX, end)
                first, times, columns = self._read(at_row, upto, whole)
                if len(times):
                    values = columns if memory.matrix is None else columns[0]
                    rows = Rows(self.stream.name, times, values)
                    found.append((first, Block.pack(self.stream, at.epoch, at.seq + first - row, rows)))
                at_row = upto
        return found
