"""What every format is: it turns blocks of one stream into a file, and the file back into rows.

Formats are pure translation. They never fsync, rename or hash: whoever seals or exports does that.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Final, NamedTuple

import numpy as np

from kymograph.model.block import Block, Column, Rows, Times
from kymograph.model.channel import Stream

PIECE_BYTES_MAX: Final = 4 * 1024 * 1024
"""Bytes of rows that a text format turns into text at once, and that any format reads at once."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a file should say of itself besides its rows.

    `attributes` are further facts as text or numbers (station, recording name and id, instrument, driver,
    metadata as JSON); a format writes them where its readers look for such things.
    """

    stream: Stream
    started_ns: int
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])


class RowRange(NamedTuple):
    """Rows `start` to `stop` (exclusive; None is the end) of a file, counted from 0."""

    start: int = 0
    stop: int | None = None

    def within(self, rows: int) -> tuple[int, int]:
        """Return both ends for a file of that many rows."""
        stop = rows if self.stop is None else min(self.stop, rows)
        return min(max(self.start, 0), stop), stop


ALL_ROWS = RowRange()


def piece_rows(stream: Stream, rows_max: int) -> int:
    """Return how many rows to handle at once: `rows_max`, fewer of a wide stream."""
    return max(64, min(rows_max, PIECE_BYTES_MAX // stream.row_nbytes))


class Format(ABC):
    """One file format. Instances never change; their fields, if any, are options of writing."""

    name: ClassVar[str]
    suffix: ClassVar[str]
    """With the dot."""
    media_type: ClassVar[str]
    streamable: ClassVar[bool]
    """Whether `write` only ever appends, so that its output can be sent while it is made."""

    @abstractmethod
    def write(self, file: BinaryIO, header: Header, blocks: Iterable[Block]) -> None:
        """Write all blocks to a file open for writing (and reading and seeking, unless `streamable`).

        Memory is bounded whatever the number of blocks. No blocks at all makes a valid empty file. Every
        value comes back from `read` bit for bit, but for the payload of a NaN. The file is left open.
        """

    @abstractmethod
    def read(self, path: Path, stream: Stream, rows: RowRange = ALL_ROWS) -> Iterator[Rows]:
        """Give back what was written with default options, in pieces of at most `BLOCK_ROWS_MAX` rows.

        `stream` may leave out channels of the file, which are then not read. Formats that can seek do not
        touch what lies outside `rows`; the others skip over it.

        Raises:
            Corrupt: the file fails its checksums or is not of this format.
        """


class Batch(NamedTuple):
    """Rows gathered from many blocks into one array a column."""

    time_ns: Times
    columns: list[Column]


def gather(stream: Stream, blocks: Iterable[Block], rows: int) -> Iterator[Batch]:
    """Make batches of exactly `rows` rows (the last may be shorter) of blocks of any size.

    Files want large pieces, instruments make small ones.
    """
    waiting: list[Block] = []
    count = 0
    for block in blocks:
        start = 0
        while count + block.rows - start >= rows:
            stop = start + rows - count
            yield join(stream, [*waiting, block.cut(start, stop)])
            waiting, count, start = [], 0, stop
        if start < block.rows:
            waiting.append(block.cut(start, block.rows))
            count += block.rows - start
    if waiting:
        yield join(stream, waiting)


def join(stream: Stream, blocks: Sequence[Block]) -> Batch:
    """Return the rows of one or more blocks as one array a column."""
    if len(blocks) == 1:
        return Batch(blocks[0].time_ns, blocks[0].columns())
    views = [block.columns() for block in blocks]
    columns = [np.concatenate([view[i] for view in views]) for i in range(len(stream.channels))]
    return Batch(np.concatenate([block.time_ns for block in blocks]), columns)


def column_names(stream: Stream, taken: Collection[str]) -> tuple[str, ...]:
    """Return the channels' names as a file spells them.

    A channel called like one of the file's own columns (`taken`), or so with underscores after it, gets one
    more underscore: two names stay two, and leaving out a channel renames no other.
    """
    return tuple(
        f"{name}_" if name in taken or name.rstrip("_") in taken else name for name in stream.channel_names
    )
