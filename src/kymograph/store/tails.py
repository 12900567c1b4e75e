"""All streams of one recording on their way to the disk: gaps noted, journals written, losses counted.

Used by the recorder's thread; the counts may be read by any.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from typing import Final

from kymograph.model.block import Block, Cursor
from kymograph.model.clock import Clock
from kymograph.model.errors import StorageError
from kymograph.model.event import Event
from kymograph.model.recording import Recording
from kymograph.model.status import StreamDurability
from kymograph.store.block_queue import Lost
from kymograph.store.gaps import Gap, GapTeller, between, make_event, without_repeats
from kymograph.store.recording_folder import RecordingFolder
from kymograph.store.segments import Segments, Told
from kymograph.store.tail import ClosedJournal, Tail

log = logging.getLogger(__name__)

_PART_BYTES: Final = 4 * 1024 * 1024
"""Payload bytes handed to a journal at once, so that no bound is overshot by more."""


class Tails:
    """The growing ends of a recording's streams."""

    def __init__(self, folder: RecordingFolder, recording: Recording, segments: Segments, clock: Clock,
                 told: Told, segment_bytes_max: int) -> None:  # fmt: skip
        """Begin, or go on after a crash, with the next index of each stream."""
        self.error = ""
        """The newest error of the disk, in a sentence."""
        self._folder = folder
        self._recording = recording
        self._segments = segments
        self._clock = clock
        self._told = told
        self._segment_bytes_max = segment_bytes_max
        self._tails = {s.name: Tail(folder, recording, s, clock, self._closed) for s in recording.streams}
        self._todo: deque[tuple[Tail, list[Block]]] = deque()
        self._gaps = GapTeller(clock)
        self._rows_lost: dict[str, int] = {}
        self._given_up: set[str] = set()

    @property
    def waiting_bytes(self) -> int:
        """Bytes that are written and not durable."""
        return sum(tail.waiting_bytes for tail in self._tails.values())

    @property
    def size_bytes(self) -> int:
        """Bytes of the open journals."""
        return sum(tail.size_bytes for tail in self._tails.values())

    @property
    def rows_lost(self) -> int:
        """Rows that the disk did not take."""
        return sum(self._rows_lost.copy().values())

    def durability(self) -> list[StreamDurability]:
        """Return how far each stream has got; `rows_lost` counts what the disk did not take."""
        return [self._durability(tail) for tail in self._tails.values()]

    def write(self, items: Iterable[Block | Lost]) -> None:
        """Write what came from the queue. Not durable before `flush`.

        Raises:
            StorageError: what is not written is kept; go on with `save` or `give_up`.
        """
        batches: dict[str, list[Block]] = {}
        for item in items:
            block = self._seen(item)
            if block is not None:
                batches.setdefault(block.stream.name, []).append(block)
        for name, batch in batches.items():
            tail = self._tails[name]
            self._todo.extend((tail, part) for part in _parts(batch))
        while self._todo:
            tail, part = self._todo[0]
            size = tail.size_bytes + sum(block.nbytes for block in part)
            if tail.size_bytes and size > self._segment_bytes_max:
                tail.roll()
            self._todo.popleft()
            tail.append(part)

    def flush(self) -> None:
        """Make everything written durable.

        Raises:
            StorageError: as `write`.
        """
        for tail in self._tails.values():
            tail.sync()

    def roll(self) -> None:
        """Close every journal that has rows and have it sealed.

        Raises:
            StorageError: as `write`.
        """
        for tail in self._tails.values():
            tail.roll()

    def save(self, error: StorageError, items: Iterable[Block | Lost], reason: str) -> None:
        """After a full disk has got some room: write what still fits, close, and count the rest as lost.

        Never raises.
        """
        self.error = str(error)
        for tail in self._tails.values():
            tail.claim = False
            try:
                tail.renew(error) if tail.failed or not tail.size_bytes else tail.roll()
            except StorageError as failure:
                self._lose(tail, failure, reason)
        for tail, block in self._left(items):
            try:
                if tail.stream.name in self._given_up:
                    raise error
                tail.append([block])
            except StorageError as failure:
                self._lose(tail, failure, reason, [block])
        self.close(reason)

    def give_up(self, error: StorageError, items: Iterable[Block | Lost], reason: str) -> None:
        """After a disk that failed twice: keep what is durable, count the rest as lost. Never raises."""
        self.error = str(error)
        for tail in self._tails.values():
            self._lose(tail, error, reason)
        for tail, block in self._left(items):
            self._lose(tail, error, reason, [block])

    def close(self, reason: str) -> None:
        """Close every journal; rows that do not get through are lost for that reason. Never raises."""
        for tail in self._tails.values():
            try:
                tail.roll()
            except StorageError as error:
                self.error = self.error or str(error)
                self._lose(tail, error, reason)

    def tell_gaps(self, all_of_them: bool = False) -> None:
        """Write down and pass on the gaps that are due to be told."""
        events = self._gaps.take(all_of_them)
        if events:
            self.tell(*events)

    def alarm(self, text: str) -> None:
        """Write down and pass on that something is wrong."""
        body = {"text": text, "recording_id": self._recording.id}
        self.tell(make_event(self._clock, "alarm", body))

    def tell(self, *events: Event) -> None:
        """Write events down and pass them on, also when the disk does not take them."""
        try:
            self._folder.events.append(*events)
        except StorageError as error:
            self.error = self.error or str(error)
        for event in events:
            self._told.event(event)

    def _durability(self, tail: Tail) -> StreamDurability:
        name, place = tail.stream.name, tail.place or Cursor(0, 0)
        durable = tail.durable
        safe = durable.seq if durable is not None and durable.epoch == place.epoch else 0
        return StreamDurability(name, place.epoch, place.seq, safe, tail.rows, self._rows_lost.get(name, 0))

    def _seen(self, item: Block | Lost) -> Block | None:
        """Note what is missing before an item; return its rows that are to be written."""
        if isinstance(item, Lost):
            tail = self._tails.get(item.stream)
            if tail is not None:
                self._jump(tail, item.epoch, item.from_seq, item.to_seq)
                log.warning("%s: the disk is too slow, %d rows lost", item.stream, item.rows)
                self._gaps.add(
                    Gap(item.stream, item.epoch, item.from_seq, item.to_seq, item.rows, "overflow")
                )
            return None
        tail = self._tails.get(item.stream.name)
        if tail is None:
            return None
        block = without_repeats(item, tail.place)
        if block is not None:
            self._jump(tail, block.epoch, block.seq, block.seq + block.rows)
        return block

    def _jump(self, tail: Tail, epoch: int, seq: int, next_seq: int) -> None:
        gap = between(tail.stream.name, tail.place, epoch, seq)
        if gap is not None:
            self._gaps.add(gap)
        tail.place = Cursor(epoch, next_seq)

    def _closed(self, journal: ClosedJournal) -> None:
        self._segments.seal(journal.stream, journal.index, journal.until)
        if journal.error is not None:
            self.error = str(journal.error)
            self.alarm(f"{journal.stream}: a journal was given up after an error: {journal.error}")

    def _left(self, items: Iterable[Block | Lost]) -> Iterable[tuple[Tail, Block]]:
        """Yield what was not written yet: first what an error interrupted, then what was still queued."""
        while self._todo:
            tail, part = self._todo.popleft()
            for block in part:
                yield tail, block
        for item in items:
            block = self._seen(item)
            if block is not None:
                yield self._tails[block.stream.name], block

    def _lose(self, tail: Tail, error: StorageError, reason: str, blocks: Iterable[Block] = ()) -> None:
        """Close a stream for good; count its waiting rows, or else these blocks', as lost."""
        name = tail.stream.name
        self._given_up.add(name)
        waiting, tail.waiting, tail.waiting_bytes = tail.waiting, [], 0
        tail.rows -= sum(block.rows for block in waiting)
        tail.abandon(error)
        for block in waiting or blocks:
            self._rows_lost[name] = self._rows_lost.get(name, 0) + block.rows
            self._gaps.add(Gap(name, block.epoch, block.seq, block.seq + block.rows, block.rows, reason))


def _parts(batch: list[Block]) -> list[list[Block]]:
    """Cut a batch into pieces of about `_PART_BYTES`."""
    parts: list[list[Block]] = []
    size = _PART_BYTES
    for block in batch:
        if size >= _PART_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(block)
        size += block.nbytes
    return parts
