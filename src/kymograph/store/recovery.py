"""What the start of an engine does for the recordings that the last end of one left as they were.

Quick work is done before anything new is recorded: half-written files removed, every journal cut to its last
whole frame, recordings that were running closed as `crash` (or handed back to be continued). The slow work,
sealing and merging, is queued for the worker and goes on behind. Killed at any point, it is done again.

What a crash can leave, and what is made of it:

    *.tmp                                  removed
    a folder without recording.json        removed if it has no rows, else described from a journal's head
    a damaged or missing manifest          begun anew; `verify --rebuild` takes in files it does not know
    a journal that the manifest lists      removed: its sealed file counts
    a journal with rows                    cut, sealed, listed (by the recorder, if the recording goes on)
    a journal without rows                 removed
    a sealed file that is not listed       removed if its journal is there, it is made again; else left, alarm
    files that a merged one has replaced   removed
    half of a last line in events.jsonl    cut by the next append
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field

from kymograph.model.block import Cursor
from kymograph.model.clock import Clock
from kymograph.model.errors import Corrupt, DiskFull, KymographError, NotFound
from kymograph.model.event import Event
from kymograph.model.recording import RECORDING, Recording, Segment
from kymograph.store import formats, journal
from kymograph.store.durable import TMP_SUFFIX, remove_durably, storage_error
from kymograph.store.folder import DataFolder
from kymograph.store.gaps import Gap, make_event
from kymograph.store.journal import JournalHead, JournalReader
from kymograph.store.recording_folder import (
    DELETED_PREFIX,
    MANIFEST_FILE,
    RECORDING_FILE,
    RecordingFolder,
    all_recordings,
    parse_name,
)
from kymograph.store.salvage import Scan, recover
from kymograph.store.sealer import Sealer
from kymograph.store.segments import Segments, Told, merge_targets, remove_replaced

log = logging.getLogger(__name__)

CONTINUE = "continue"


@dataclass(slots=True)
class Recovered:
    """What was found and done at a start."""

    closed: list[Recording] = field(default_factory=list[Recording])
    """Recordings that a crash cut off, closed now."""
    to_continue: list[Recording] = field(default_factory=list[Recording])
    """Recordings that a crash cut off, to be gone on with: start a `Recorder` for each."""
    failed: dict[str, KymographError] = field(default_factory=dict[str, KymographError])
    """Folders that could not be recovered, by name; they are left as they are."""
    segments: list[Segments] = field(default_factory=list[Segments])
    """Those with work for the sealer."""

    def wait(self, timeout_s: float) -> bool:
        """Wait for the sealing and merging of each; return whether all of it is done."""
        return all([segments.wait_merged(timeout_s) for segments in self.segments])


def recover_all(
    data: DataFolder, sealer: Sealer, clock: Clock, after_crash: str = "close", told: Told | None = None
) -> Recovered:
    """Bring every recording of a folder into order; return before its sealing is done.

    `after_crash` is `close` or `continue`.

    Raises:
        StorageError: the data folder itself cannot be read.
    """
    found = Recovered()
    told = told or Told()
    try:
        for gone in data.recordings.glob(f"{DELETED_PREFIX}*"):
            shutil.rmtree(gone)
    except OSError as error:
        log.warning("what was deleted cannot be removed: %s", error)
    for folder in all_recordings(data.recordings):
        if folder.mirrored:
            continue  # its source decides what becomes of it
        try:
            one = _Recovery(data, folder, clock, told)
            try:
                one.run(sealer, after_crash == CONTINUE, found)
            except DiskFull:
                data.release_reserve()  # it is kept for closing what is open
                one.run(sealer, after_crash == CONTINUE, found)
        except (KymographError, OSError) as failure:
            error = failure if isinstance(failure, KymographError) else storage_error(failure, folder.path)
            log.error("%s is left as it is: %s", folder.path.name, error)
            found.failed[folder.path.name] = error
            text = f"the recording in {folder.path.name} cannot be recovered: {error}"
            told.event(make_event(clock, "alarm", {"text": text}))
    return found


class _Recovery:
    """The recovery of one recording."""

    def __init__(self, data: DataFolder, folder: RecordingFolder, clock: Clock, told: Told) -> None:
        self._data = data
        self._folder = folder
        self._clock = clock
        self._told = told

    def run(self, sealer: Sealer, go_on: bool, found: Recovered) -> None:
        """Do the quick work, and queue the slow."""
        if self._settled():
            return
        self._folder.remove_unfinished()
        recording = self._recording()
        if recording is None:
            return
        listed, replaced = self._manifest(recording)
        names = {segment.filename for segment in listed}
        remove_replaced(self._folder, [name for name in replaced if name not in names])
        journals = dict(self._journals_with_rows(recording, listed))
        self._remove_unlisted(recording, listed, set(journals))
        crashed = recording.ended == RECORDING
        ends = _ends(self._folder, listed, journals)
        if crashed:
            recording = self._crashed(recording, ends, go_on)
            (found.to_continue if recording.running else found.closed).append(recording)
        if recording.running:
            return  # the recorder that goes on seals them: a manifest has one writer
        if crashed:
            self._told.ended(recording)
        if not journals and not (recording.merge and merge_targets(recording, listed)):
            return
        segments = Segments(self._data, self._folder, recording, sealer, self._clock, self._told)
        for stream, index in journals:
            segments.seal(stream, index)
        segments.finish(recording)
        found.segments.append(segments)

    def _settled(self) -> bool:
        """Return whether the names of the files alone show that there is nothing to do.

        Why so? A station has thousands of recordings, and nothing is recorded before they are all looked at.
        """
        names = {path.name for path in self._folder.path.iterdir()}
        if MANIFEST_FILE not in names or any(n.endswith((TMP_SUFFIX, journal.SUFFIX)) for n in names):
            return False
        try:
            recording = self._folder.recording()
        except (NotFound, Corrupt):
            return False
        return not recording.running and not (recording.merge and any(map(parse_name, names)))

    def _recording(self) -> Recording | None:
        """Read the recording, or describe it from its journals; None if there is nothing in the folder."""
        try:
            return self._folder.recording()
        except (NotFound, Corrupt) as error:
            heads = list(_heads(self._folder))
            if not heads:
                return self._remove_if_empty(error)
        head = heads[0]
        streams = {h.stream.name: h.stream for h in heads}
        recording = Recording(
            head.recording_id, head.recording, tuple(streams.values()), "jsonl", 60.0, head.started_ns,
            origin={"recovered": "recording.json was lost; described from the journals"},
        )  # fmt: skip
        self._folder.write_recording(recording)
        return recording

    def _remove_if_empty(self, error: KymographError) -> None:
        """Remove the folder of a recording that was killed while it began.

        Raises:
            KymographError: there is more in it than that.
        """
        known = {RECORDING_FILE, MANIFEST_FILE, "SHA256SUMS"}
        files = list(self._folder.path.iterdir())
        if any(f.stat().st_size and (f.name not in known or isinstance(error, Corrupt)) for f in files):
            raise error
        self._folder.delete()

    def _manifest(self, recording: Recording) -> tuple[list[Segment], list[str]]:
        try:
            return self._folder.manifest()
        except NotFound:
            pass
        except Corrupt as error:
            self._alarm(f"the manifest of {recording.name} was damaged and is begun anew: {error}")
            path = self._folder.path / MANIFEST_FILE
            path.replace(path.with_name(MANIFEST_FILE + ".damaged"))
        self._folder.write_manifest(recording.id, ())
        return [], []

    def _journals_with_rows(
        self, recording: Recording, listed: list[Segment]
    ) -> Iterator[tuple[tuple[str, int], Scan]]:
        """Cut each journal that still counts, tell its damage, and remove the others."""
        done = {(segment.stream, segment.index) for segment in listed}
        streams = {stream.name: stream for stream in recording.streams}
        for key, path in self._folder.journals().items():
            if key in done or key[0] not in streams:
                if key in done:
                    remove_durably(path)
                continue
            head = JournalHead(recording.id, recording.name, key[1], streams[key[0]], recording.started_ns, 0)
            scan = recover(path, salvage=True, head=head)
            self._tell_damage(recording, key, scan)
            if scan.rows or scan.later:
                yield key, scan
            else:
                remove_durably(path)

    def _tell_damage(self, recording: Recording, key: tuple[str, int], scan: Scan) -> None:
        events: list[Event] = []
        for loss in scan.losses:
            rows = None
            if loss.from_seq is not None and loss.to_seq is not None:
                rows = loss.to_seq - loss.from_seq
            gap = Gap(key[0], loss.epoch or 0, loss.from_seq or 0, loss.to_seq, rows, "damage")
            event_id = f"{recording.id}:damage:{key[0]}:{key[1]}:{loss.offset}"
            events.append(make_event(self._clock, "gap", {**gap.body(), "bytes": loss.nbytes}, event_id))
        self._tell(*events)

    def _remove_unlisted(
        self, recording: Recording, listed: list[Segment], journals: set[tuple[str, int]]
    ) -> None:
        """Remove sealed files that are about to be made again; a file of which nothing is known stays."""
        suffix = formats.of(recording).suffix
        names = {segment.filename for segment in listed}
        targets = {target + suffix for target in merge_targets(recording, listed).values()}
        for path in self._folder.sealed_files(suffix):
            if path.name in names:
                continue
            if path.name in targets or self._folder.journal_key(path, recording) in journals:
                remove_durably(path)
            else:
                self._alarm(f"{path.name} of {recording.name} is in no manifest; it is left as it is")

    def _crashed(self, recording: Recording, ends: dict[str, tuple[Cursor, int]], go_on: bool) -> Recording:
        """Write down that what came after the last row is unknown, and close the recording."""
        last_ns = max((ns for _, ns in ends.values()), default=recording.started_ns)
        body = {
            "reason": "crash",
            "from_ns": last_ns,
            "to_ns": self._clock.now_ns(),
            "streams": {name: list(cursor) for name, (cursor, _) in sorted(ends.items())},
            "continued": go_on,
        }
        self._tell(make_event(self._clock, "gap", body, f"{recording.id}:crash:{last_ns}"))
        if go_on:
            return recording
        closed = recording.end("crash", last_ns)
        self._folder.write_recording(closed)
        return closed

    def _tell(self, *events: Event) -> None:
        """Write down what is not written yet: their ids are made of what they tell, so twice is once."""
        known = {event.id for event in self._folder.events.read()} if events else set[str]()
        new = [event for event in events if event.id not in known]
        self._folder.events.append(*new)
        self._folder.events.close()
        for event in new:
            self._told.event(event)

    def _alarm(self, text: str) -> None:
        log.warning(text)
        self._told.event(make_event(self._clock, "alarm", {"text": text}))


def _heads(folder: RecordingFolder) -> Iterator[JournalHead]:
    for path in folder.journals().values():
        with JournalReader(path) as reader:
            if reader.head is not None:
                yield reader.head


def _ends(
    folder: RecordingFolder, listed: list[Segment], journals: dict[tuple[str, int], Scan]
) -> dict[str, tuple[Cursor, int]]:
    """Return the place after the last row of each stream, and that row's time."""
    found: dict[tuple[str, int], tuple[Cursor, int]] = {
        (segment.stream, segment.index): (segment.next, segment.last_ns) for segment in listed
    }
    for key, scan in journals.items():
        if not scan.damaged and scan.next is not None:
            found[key] = (scan.next, scan.last_ns)
            continue
        with JournalReader(folder.journal_path(*key)) as reader:
            for block in reader.blocks():
                found[key] = (block.next, block.last_ns)
    return {key[0]: found[key] for key in sorted(found)}
