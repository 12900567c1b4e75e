"""The sealed segments of one recording: what is waiting to be sealed, what is listed, what is merged.

The one writer of a recording's manifest. Order of things: the sealed file is durable, then the manifest that
lists it, then the journal goes. A crash between any two of them leaves each row in exactly one place that
counts: the journal until the manifest lists the file, the file from then on.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kymograph.model.block import Cursor
from kymograph.model.clock import Clock
from kymograph.model.errors import Corrupt, KymographError, NotFound, StorageError, Unavailable
from kymograph.model.event import Event
from kymograph.model.recording import Recording, Segment
from kymograph.store.durable import remove_durably
from kymograph.store.folder import DataFolder
from kymograph.store.gaps import make_event
from kymograph.store.header import attributes
from kymograph.store.merging import MergeJob
from kymograph.store.recording_folder import EVENTS_FILE, PREVIEW_SUFFIX, RecordingFolder, stem
from kymograph.store.sealer import Sealer
from kymograph.store.sealing import SealJob

log = logging.getLogger(__name__)

_RESERVED: Final = frozenset({Path(EVENTS_FILE).stem})
"""A recording called `events`, in JSON Lines, would be merged over its own events."""


def _ignore(*_: Any) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Told:
    """Who is told what happens to recordings. Called on the store's threads; must not block or raise."""

    event: Callable[[Event], None] = field(default=_ignore)
    segment: Callable[[Recording, Segment], None] = field(default=_ignore)
    """A segment is sealed and listed, or a merged file took the place of all of a stream's."""
    ended: Callable[[Recording], None] = field(default=_ignore)


class Segments:
    """One recording's segments. Any thread may use it; files are written by the sealer's thread alone.

    Why no lock around the writing? Rolling would have to wait for another file's fsync.
    """

    def __init__(self, data: DataFolder, folder: RecordingFolder, recording: Recording, sealer: Sealer,
                 clock: Clock, told: Told) -> None:  # fmt: skip
        """Read the manifest.

        Raises:
            NotFound: there is no manifest.
            Corrupt: it is damaged.
        """
        self._station = data.station
        self._station_id = data.station_id
        self._folder = folder
        self._recording = recording
        self._sealer = sealer
        self._clock = clock
        self._told = told
        self._condition = threading.Condition()
        self._listed, self._replaced = folder.manifest()
        self._deleted = folder.deleted()
        self._queued: set[tuple[str, int]] = set()
        self._failed: set[tuple[str, int]] = set()
        self._merging = 0
        self._ended = False

    @property
    def listed(self) -> Sequence[Segment]:
        """The segments of the manifest, by stream and index."""
        return tuple(self._listed)

    @property
    def size_bytes(self) -> int:
        """Bytes of the listed segments."""
        return sum(segment.size_bytes for segment in self._listed)

    @property
    def unsealed(self) -> int:
        """Journals that are closed and not sealed yet."""
        with self._condition:
            return len(self._queued) + len(self._failed)

    def seal(self, stream: str, index: int, until: Cursor | None = None) -> None:
        """Have a closed journal sealed, listed and removed; never waits."""
        key = (stream, index)
        with self._condition:
            self._queued.add(key)
            self._failed.discard(key)

        def done(segment: Segment | None, error: KymographError | None) -> None:
            self._sealed(key, segment, error)

        self._sealer.submit(lambda: self._seal_job(key, until), done)

    def finish(self, recording: Recording) -> None:
        """Note that the recording has ended: when all is sealed, what asks for it is merged."""
        with self._condition:
            self._recording = recording
            self._ended = True
        self._merge_if_due()

    def update(self, recording: Recording) -> None:
        """Take over changed metadata for what is sealed from now on."""
        with self._condition:
            self._recording = recording

    def wait(self, timeout_s: float) -> bool:
        """Wait until no journal is queued; return whether all of them are sealed."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._queued, timeout_s) and not self._failed

    def wait_merged(self, timeout_s: float) -> bool:
        """Wait until nothing is queued or being merged; return whether that came true."""
        with self._condition:
            return self._condition.wait_for(lambda: not self._queued and not self._merging, timeout_s)

    def _seal_job(self, key: tuple[str, int], until: Cursor | None) -> SealJob:
        stream, index = key
        before = [s for s in self._listed if s.stream == stream and s.index < index]
        recording = self._recording
        return SealJob(
            str(self._folder.path), stream, index, recording.format, recording.started_ns,
            self._attributes(stream), before[-1].next if before else None, until, recording.file_stem,
            recording.format_options,
        )  # fmt: skip

    def _sealed(self, key: tuple[str, int], segment: Segment | None, error: KymographError | None) -> None:
        try:
            if error is None:
                self._list(key, segment)
        except KymographError as failure:
            error = failure
        if error is not None:
            self._complain(f"{stem(*key)} is not sealed: {error}", error)
        elif segment is not None:
            self._told.segment(self._recording, segment)
        with self._condition:
            self._queued.discard(key)
            if error is not None:
                self._failed.add(key)
        self._merge_if_due()
        with self._condition:
            self._condition.notify_all()

    def _list(self, key: tuple[str, int], segment: Segment | None) -> None:
        if segment is not None:
            others = [s for s in self._listed if (s.stream, s.index) != key]
            listed = sorted([*others, segment], key=lambda s: (s.stream, s.index))
            self._folder.write_manifest(self._recording.id, listed, self._replaced, self._deleted)
            self._listed = listed
        remove_durably(self._folder.journal_path(*key))

    def _merge_if_due(self) -> None:
        with self._condition:
            ready = (
                self._ended and self._recording.merge and not (self._queued or self._failed or self._merging)
            )
            names = merge_targets(self._recording, self._listed) if ready else {}
            self._merging = len(names)
        for stream, target in names.items():
            self._submit_merge(stream, target)

    def _submit_merge(self, stream: str, target: str) -> None:
        def make() -> MergeJob:
            recording = self._recording
            of_stream = tuple(s for s in self._listed if s.stream == stream)
            described = next(s for s in recording.streams if s.name == stream)
            return MergeJob(
                str(self._folder.path), described, of_stream, target, recording.format,
                recording.started_ns, self._attributes(stream), recording.format_options,
            )  # fmt: skip

        self._sealer.submit(make, lambda segment, error: self._merged(stream, segment, error), merge=True)

    def _merged(self, stream: str, segment: Segment | None, error: KymographError | None) -> None:
        try:
            if segment is not None:
                self._switch(stream, segment)
        except KymographError as failure:
            error = failure
        if error is not None:
            self._complain(f"the segments of {stream} are not merged: {error}", error)
        elif segment is not None:
            self._told.segment(self._recording, segment)
        with self._condition:
            self._merging -= 1
            self._condition.notify_all()

    def _switch(self, stream: str, merged: Segment) -> None:
        """Let the merged file take the segments' place in the manifest, then delete them."""
        others = [s for s in self._listed if s.stream != stream]
        gone = [s.filename for s in self._listed if s.stream == stream]
        replaced = [name for name in (*self._replaced, *gone) if name != merged.filename]
        listed = sorted([*others, merged], key=lambda s: (s.stream, s.index))
        self._folder.write_manifest(self._recording.id, listed, replaced, self._deleted)
        self._listed, self._replaced = listed, replaced
        remove_replaced(self._folder, replaced)

    def _attributes(self, stream: str) -> dict[str, Any]:
        return attributes(self._recording, stream, self._station_id, self._station)

    def _complain(self, text: str, error: KymographError) -> None:
        if isinstance(error, NotFound | Unavailable):
            log.info("%s: %s", self._folder.path.name, text)
            return
        log.error("%s: %s", self._folder.path.name, text)
        body = {"text": text, "recording_id": self._recording.id, "damaged": isinstance(error, Corrupt)}
        event = make_event(self._clock, "alarm", body)
        try:
            self._folder.events.append(event)
        except StorageError:
            pass  # on a full disk; who listens is told all the same
        self._told.event(event)


def merge_targets(recording: Recording, listed: Sequence[Segment]) -> dict[str, str]:
    """Return the stem of the one file for each stream that is not in one file yet.

    It is the recording's name, and the stream's behind a dot if there are several. A name that a segment has
    already gets `.merged`.
    """
    targets: dict[str, str] = {}
    for stream in {segment.stream for segment in listed}:
        target = recording.name if len(recording.streams) == 1 else f"{recording.name}.{stream}"
        of_stream = [segment for segment in listed if segment.stream == stream]
        taken = {Path(segment.filename).stem for segment in listed} | _RESERVED
        if target in taken and not (len(of_stream) == 1 and Path(of_stream[0].filename).stem == target):
            target += ".merged"
        if [Path(s.filename).stem for s in of_stream] != [target]:
            targets[stream] = target
    return dict(sorted(targets.items()))


def remove_replaced(folder: RecordingFolder, names: Sequence[str]) -> None:
    """Delete files that a merged one has replaced, with their previews; it may be done twice."""
    for name in names:
        path = folder.path / name
        remove_durably(path)
        remove_durably(path.with_name(path.stem + PREVIEW_SUFFIX))
