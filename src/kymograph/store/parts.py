"""The files that hold the rows of a stream, sealed segments and open journals, as parts of one sequence."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kymograph.model.block import Block, Cursor, Rows
from kymograph.model.channel import Stream
from kymograph.model.errors import Corrupt, NotFound
from kymograph.model.recording import Recording, Segment
from kymograph.store import formats
from kymograph.store.formats.base import RowRange
from kymograph.store.journal import JournalReader
from kymograph.store.preview import Preview, open_preview, preview_path


@dataclass(frozen=True)
class Span:
    """Times from `start_ns` to `stop_ns` (exclusive); None is without end."""

    start_ns: int | None = None
    stop_ns: int | None = None

    @property
    def bounded(self) -> bool:
        """Whether there are times that are not wanted."""
        return self.start_ns is not None or self.stop_ns is not None

    def meets(self, first_ns: int, last_ns: int) -> bool:
        """Return whether rows between two times can be wanted."""
        late = self.stop_ns is not None and first_ns >= self.stop_ns
        early = self.start_ns is not None and last_ns < self.start_ns
        return not late and not early

    def holds(self, first_ns: int, last_ns: int) -> bool:
        """Return whether all rows between two times are wanted, as far as time goes."""
        from_start = self.start_ns is None or first_ns >= self.start_ns
        return from_start and (self.stop_ns is None or last_ns < self.stop_ns)


class Summary(NamedTuple):
    """How many rows there are, and the times of the first and the last."""

    rows: int = 0
    first_ns: int = 0
    last_ns: int = 0

    def then(self, later: Summary) -> Summary:
        """Return the summary of these rows followed by others."""
        if not self.rows or not later.rows:
            return self if self.rows else later
        return Summary(self.rows + later.rows, self.first_ns, later.last_ns)


class Gate:
    """Lets each row through once: those from a cursor on, which moves along with them.

    Epochs are named by the wall clock, which may have been moved back: their order is that of the files.
    """

    def __init__(self, since: Cursor | None = None) -> None:
        """Begin at a cursor, or at the first row."""
        self._since = since
        self._known = False
        """Whether the cursor's epoch is in the files: then nothing is wanted before it."""
        self.rewind()

    def look_for(self, parts: Iterable[Part]) -> None:
        """Find out whether the cursor's epoch is in the files; call before the first row."""
        since = self._since
        if since is not None and not self._known:
            self._known = any(part.has_epoch(since.epoch) for part in parts)

    def rewind(self) -> None:
        """Begin the sequence anew, behind the last row that went through."""
        self._open = self._since is None
        self._met = False
        """Whether rows of the cursor's epoch have gone by."""

    def first(self, run: Cursor, rows: int) -> int:
        """Return how many rows of consecutive rows from `run` on are not wanted; take them in order."""
        since = self._since
        if self._open or since is None:
            return 0
        if run.epoch == since.epoch:
            self._met = True
            behind = min(max(since.seq - run.seq, 0), rows)
            self._open = behind < rows
            return behind
        self._open = self._met or (not self._known and run.epoch > since.epoch)
        return 0 if self._open else rows

    def passed(self, block: Block) -> None:
        """Take note that the rows of a block have been dealt with."""
        self._since = block.next
        self._known = True


class SegmentPart:
    """A sealed file as a part of the sequence."""

    def __init__(self, folder: Path, recording: Recording, segment: Segment, stream: Stream) -> None:
        """Name the file; nothing is opened. `stream` has only the channels that are wanted."""
        self.segment = segment
        self.path = folder / segment.filename
        self._format = formats.of(recording)
        self._stream = stream
        self._run_rows = [run.row for run in segment.runs]

        runs = segment.runs
        self.breaks = [b.row for a, b in pairwise(runs) if a.epoch != b.epoch]
        """Rows at which a new epoch begins: it may begin earlier than the last one ended."""

    @property
    def ordered(self) -> bool:
        """Whether the times in it never run backwards."""
        return not self.breaks

    def meets(self, span: Span) -> bool:
        """Return whether it can have rows of a time range."""
        return not self.ordered or span.meets(self.segment.first_ns, self.segment.last_ns)

    def summary(self) -> Summary:
        """Return what the manifest says of it."""
        return Summary(self.segment.rows, self.segment.first_ns, self.segment.last_ns)

    def has_epoch(self, epoch: int) -> bool:
        """Return whether there are rows of an epoch."""
        return any(run.epoch == epoch for run in self.segment.runs)

    def preview(self) -> Preview | None:
        """Return the preview beside it, if there is one that fits."""
        return open_preview(preview_path(self.path), self._stream, self.segment.rows)

    def blocks(self, span: Span, gate: Gate) -> Iterator[Block]:
        """Yield the blocks of rows that are wanted.

        Raises:
            FileNotFoundError: it was merged into another.
            Corrupt: it is damaged.
        """
        first = self._first(gate)
        rows = self._row_range(span)
        for block in self.between(max(rows.start, first), rows.stop):
            yield from trim(block, span)
            gate.passed(block)

    def between(self, start: int, stop: int) -> Iterator[Block]:
        """Yield rows `start` to `stop` (exclusive), counted within the file. Raises as `blocks`."""
        if start >= stop:
            return
        position = start
        for piece in self._format.read(self.path, self._stream, RowRange(start, stop)):
            for begin, end, at in self._runs(position, len(piece.time_ns)):
                cut = [column[begin:end] for column in piece.columns]
                part = Rows(piece.stream, piece.time_ns[begin:end], cut)
                yield Block.pack(self._stream, at.epoch, at.seq, part)
            position += len(piece.time_ns)
        if position != stop:
            raise Corrupt(f"{self.path.name} has fewer rows than its manifest says", rows=position)

    def _first(self, gate: Gate) -> int:
        """Return the first row that a gate lets through."""
        for begin, end, at in self._runs(0, self.segment.rows):
            behind = gate.first(at, end - begin)
            if behind < end - begin:
                return begin + behind
        return self.segment.rows

    def _row_range(self, span: Span) -> range:
        segment = self.segment
        if not self.meets(span):
            return range(0)
        if not span.bounded or (self.ordered and span.holds(segment.first_ns, segment.last_ns)):
            return range(segment.rows)
        preview = self.preview()
        if preview is None:
            return range(segment.rows)
        return preview.row_range(span.start_ns, span.stop_ns, self.breaks)

    def _runs(self, position: int, count: int) -> Iterator[tuple[int, int, Cursor]]:
        """Yield the stretches with consecutive seq among `count` rows from `position` on."""
        runs = self.segment.runs
        for i in range(max(bisect_right(self._run_rows, position) - 1, 0), len(runs)):
            run = runs[i]
            end = runs[i + 1].row if i + 1 < len(runs) else self.segment.rows
            start, stop = max(run.row, position), min(end, position + count)
            if start >= stop:
                return
            yield start - position, stop - position, Cursor(run.epoch, run.seq + start - run.row)


class JournalPart:
    """An open journal as a part of the sequence: up to where it ended when reading began."""

    def __init__(self, path: Path, stream: Stream) -> None:
        """Open it, and so hold it even if it is deleted.

        Raises:
            NotFound: it was sealed and deleted.
        """
        try:
            self._size = path.stat().st_size
        except FileNotFoundError:
            raise NotFound(f"there is no journal {path.name}") from None
        self._reader = JournalReader(path)
        self._stream = stream

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def summary(self) -> Summary:
        """Read it all to count its rows."""
        total = Summary()
        for block in self._frames():
            total = total.then(Summary(block.rows, block.first_ns, block.last_ns))
        return total

    def has_epoch(self, epoch: int) -> bool:
        """Return whether there are rows of an epoch."""
        return any(block.epoch == epoch for block in self._frames())

    def blocks(self, span: Span, gate: Gate) -> Iterator[Block]:
        """Yield the blocks of rows that are wanted."""
        for block in self._frames():
            behind = gate.first(Cursor(block.epoch, block.seq), block.rows)
            if behind < block.rows:
                for part in trim(block.cut(behind, block.rows), span):
                    yield project(part, self._stream)
                gate.passed(block)

    def _frames(self) -> Iterator[Block]:
        start = self._reader.offset
        try:
            for block in self._reader.blocks():
                if self._reader.offset > self._size:
                    return
                yield block
        finally:
            self._reader.offset = start


Part = SegmentPart | JournalPart


def trim(block: Block, span: Span) -> Iterator[Block]:
    """Yield the rows of a block whose time is wanted; one block, if times do not run backwards."""
    times = block.time_ns
    if span.holds(int(times.min()), int(times.max())):
        yield block
        return
    inside = np.ones(block.rows, np.bool_)
    if span.start_ns is not None:
        inside &= times >= span.start_ns
    if span.stop_ns is not None:
        inside &= times < span.stop_ns
    edges = np.flatnonzero(np.diff(np.concatenate(([False], inside, [False])).astype(np.int8)))
    for start, stop in edges.reshape(-1, 2).tolist():
        yield block.cut(start, stop)


def project(block: Block, stream: Stream) -> Block:
    """Return a block with the channels of `stream` only."""
    if block.stream.channels == stream.channels:
        return block
    columns = block.columns()
    chosen = [columns[block.stream.index(name)] for name in stream.channel_names]
    return Block.pack(stream, block.epoch, block.seq, Rows(stream.name, block.time_ns, chosen))
