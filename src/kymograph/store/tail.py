"""The growing end of one stream of a recording: its open journal, and the rows that are not durable yet."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from kymograph.model.block import Block, Cursor
from kymograph.model.channel import Stream
from kymograph.model.clock import Clock
from kymograph.model.errors import DiskFull, StorageError
from kymograph.model.recording import Recording
from kymograph.store.journal import JournalHead, JournalWriter
from kymograph.store.recording_folder import RecordingFolder

log = logging.getLogger(__name__)

NOTHING: Final = Cursor(0, 0)
"""As the `until` of a journal: none of its rows may be taken."""


@dataclass(frozen=True, slots=True)
class ClosedJournal:
    """A journal that nothing will be added to; `error` says why, if it was not for its time or size.

    After an error only the rows before `until` may be taken from it: the others are in the next journal.
    """

    stream: str
    index: int
    until: Cursor | None = None
    error: StorageError | None = None


class Tail:
    """Writes one stream. Used by the recorder's thread.

    When a write or an fdatasync fails, the file is abandoned, and what was not durable is written to a new
    one (the next index) and made durable there. Should that fail as well, the error is raised and `waiting`
    are the rows that are lost.
    """

    def __init__(self, folder: RecordingFolder, recording: Recording, stream: Stream, clock: Clock,
                 closed: Callable[[ClosedJournal], None]) -> None:  # fmt: skip
        """Begin without a journal; the first row makes it. `closed` is told of each one that is done.

        Raises:
            StorageError: the folder cannot be read.
        """
        self.stream = stream
        self.place: Cursor | None = None
        """After the last row seen, written or lost."""
        self.durable: Cursor | None = None
        """After the last row that is safe."""
        self.rows = 0
        """Rows taken, durable or not."""
        self.waiting: list[Block] = []
        """Blocks that are not durable yet."""
        self.waiting_bytes = 0
        self._folder = folder
        self._recording = recording
        self._clock = clock
        self._closed = closed
        self.failed = False
        """Whether the disk was full in the middle of something: `renew` is all that helps then."""
        self.claim = True
        """Whether journals claim space ahead: not for the last rows on a full disk."""
        self._index = folder.next_index(stream.name, recording.stem_of(stream.name))
        self._writer: JournalWriter | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes of the open journal."""
        return self._writer.size_bytes if self._writer is not None else 0

    def append(self, blocks: Sequence[Block]) -> None:
        """Write blocks.

        Raises:
            StorageError: neither this file nor a new one took them.
        """
        self.waiting.extend(blocks)
        self.waiting_bytes += sum(block.nbytes for block in blocks)
        self.rows += sum(block.rows for block in blocks)
        try:
            if self._writer is None:
                self._writer = self._begin()
            self._writer.append(*blocks)
        except DiskFull:
            self.failed = True
            raise
        except StorageError as error:
            self.renew(error)

    def sync(self) -> None:
        """Make everything durable.

        Raises:
            StorageError: neither this file nor a new one is safe.
        """
        if self._writer is None or not self.waiting:
            return
        if self.failed:
            raise DiskFull(f"rows of {self.stream.name} are not written: the disk was full")
        try:
            self._writer.sync()
        except DiskFull:
            self.failed = True
            raise
        except StorageError as error:
            self.renew(error)
        self._all_durable()

    def roll(self) -> None:
        """Close the journal, durably, if it has rows; the next row begins another.

        Raises:
            StorageError: as `sync`.
        """
        self.sync()
        writer, self._writer = self._writer, None
        if writer is None:
            return
        index, self._index = self._index, self._index + 1
        writer.close()
        self._closed(ClosedJournal(self.stream.name, index))

    def renew(self, error: StorageError) -> None:
        """Abandon the journal and make what waits durable in a new one.

        Raises:
            StorageError: the new one fails too.
        """
        log.error("%s: journal %d is given up: %s", self.stream.name, self._index, error)
        self.abandon(error)
        self._writer = self._begin()
        self._writer.append(*self.waiting)
        self._writer.sync()
        self.failed = False
        self._all_durable()

    def abandon(self, error: StorageError) -> None:
        """Close the journal with what is durable in it. Never raises."""
        writer, self._writer = self._writer, None
        index, self._index = self._index, self._index + 1
        if writer is not None:
            writer.abandon()
        if writer is not None or self.waiting:
            until = writer.durable if writer is not None else None
            self._closed(ClosedJournal(self.stream.name, index, until or NOTHING, error))

    def _begin(self) -> JournalWriter:
        recording, now = self._recording, self._clock.now_ns()
        head = JournalHead(
            recording.id, recording.name, self._index, self.stream, recording.started_ns, now
        )  # fmt: skip
        path = self._folder.journal_path(self.stream.name, self._index)
        return JournalWriter.create(path, head, self.claim)

    def _all_durable(self) -> None:
        if self.waiting:
            self.durable = self.waiting[-1].next
            self.waiting, self.waiting_bytes = [], 0
