"""The recordings of a station: begun, ended, annotated, deleted; one recorder for a stream at a time."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

from kymograph.config import RecordingTable
from kymograph.model import limits
from kymograph.model.channel import Stream
from kymograph.model.clock import Clock
from kymograph.model.errors import Conflict, InvalidInput, KymographError, NotFound
from kymograph.model.event import Event
from kymograph.model.names import safe_name
from kymograph.model.recording import Recording
from kymograph.store import formats
from kymograph.store.catalog import Catalog
from kymograph.store.folder import DataFolder
from kymograph.store.recorder import Recorder, RecorderOptions
from kymograph.store.recording_folder import RecordingFolder, attachment_name
from kymograph.store.recovery import recover_all
from kymograph.store.sealer import Sealer
from kymograph.store.segments import Told

log = logging.getLogger(__name__)

STOP_TIMEOUT_S: Final = 8.0
"""How long ending a recording may take; what is not sealed by then is sealed in the background or later."""
SEGMENT_INTERVAL_S_MAX: Final = 86_400.0


def check_attachments(attachments: Mapping[str, str]) -> None:
    """Refuse attachments that are too many, too large, or not named as they may be.

    Raises:
        InvalidInput: with the reason.
    """
    if len(attachments) > limits.ATTACHMENTS_MAX:
        raise InvalidInput(f"{len(attachments)} attachments", allowed=f"at most {limits.ATTACHMENTS_MAX}")
    for name, text in attachments.items():
        if len(text.encode()) > limits.ATTACHMENT_BYTES_MAX:
            raise InvalidInput(f"{name} is too large", allowed=f"at most {limits.ATTACHMENT_BYTES_MAX} bytes")
        attachment_name(name)


def _uuid(given: object) -> str:
    if given is None:
        return str(uuid.uuid4())
    try:
        return str(uuid.UUID(str(given)))
    except ValueError:
        raise InvalidInput("the id of a recording is a UUID", given=str(given)[:80]) from None


def _file_stem(given: object, streams: tuple[Stream, ...]) -> str:
    if not given:
        return ""
    if len(streams) != 1:
        raise InvalidInput("file_stem names the files of one stream", hint="record that stream alone")
    return safe_name(given, "file_stem")


class Recordings:
    """Owns every recorder of the engine. Methods may be called from any thread."""

    def __init__(
        self, folder: DataFolder, table: RecordingTable, clock: Clock, on_event: Callable[[Event], None]
    ) -> None:
        self._folder = folder
        self._catalog = Catalog.open(folder.path)
        self._table = table
        self._clock = clock
        self._told = Told(on_event, lambda recording, _: self.refresh(recording.id), self._ended)
        self._sealer = Sealer(clock, on_event)
        self._lock = threading.Lock()
        self._changing = threading.Lock()
        """Held while files of an ended recording change."""
        self._running: dict[str, Recorder] = {}
        self._reserved: dict[str, Recording] = {}
        """Recordings that are about to begin."""
        self._beside: set[str] = set()
        """Recordings that stand in nobody's way: what was promoted, and what a trigger began."""

    # -- begin -------------------------------------------------------------------------------------------
    def recover(self) -> list[Recording]:
        """Put in order what the last end of an engine left; return the recordings to be continued."""
        found = recover_all(self._folder, self._sealer, self._clock, self._table.after_crash, self._told)
        self._catalog.rebuild()
        for recording in found.closed:
            log.warning("the recording %s was cut off and is closed as crash", recording.name)
        return found.to_continue

    def reserve(
        self,
        request: Mapping[str, Any],
        streams: Iterable[Stream],
        origin: Mapping[str, Any],
        started_ns: int | None = None,
        beside: bool = False,
    ) -> Recording:
        """Check a request and keep its streams and name for it until `begin` or `release`.

        `started_ns` is the time of its first row where that lies in the past. One `beside` others may have
        streams that are being recorded, and others may have its.

        Raises:
            InvalidInput: the name, the format or an interval is not acceptable.
            Conflict: a stream is being recorded, or a name that must be unique exists.
        """
        recording = self._plan(request, tuple(streams), origin)
        recording = replace(recording, started_ns=started_ns or recording.started_ns)
        check_attachments(request.get("attachments") or {})
        with self._lock:
            if beside:
                self._refuse_many()
            else:
                self._refuse_busy(recording)
            if request.get("unique"):
                self._refuse_known(recording.name)
            if request.get("id"):
                self._refuse_same(recording)
            self._reserved[recording.id] = recording
            if beside:
                self._beside.add(recording.id)
        return recording

    def release(self, recording: Recording) -> None:
        """Give up what `reserve` kept."""
        with self._lock:
            self._reserved.pop(recording.id, None)
            self._beside.discard(recording.id)

    def begin(self, recording: Recording, attachments: Mapping[str, str] | None = None) -> Recorder:
        """Start the recorder of a reserved recording, or of one that a crash interrupted.

        `attachments` are texts by file name, put beside it before its first row.

        Raises:
            StorageError: the disk does not let us.
        """
        options = RecorderOptions(
            flush_interval_s=self._table.flush_interval_s, told=self._told, attachments=attachments or {}
        )
        recorder = Recorder(self._folder, recording, self._sealer, self._clock, options)
        recorder.start()
        with self._lock:
            self._running[recording.id] = recorder
            self._reserved.pop(recording.id, None)
        self.refresh(recording.id)
        return recorder

    def _plan(
        self, request: Mapping[str, Any], streams: tuple[Stream, ...], origin: Mapping[str, Any]
    ) -> Recording:
        if not streams:
            raise InvalidInput("there is no stream to record", hint="configure an instrument first")
        interval_s = float(request.get("segment_interval_s") or self._table.segment_interval_s)
        if not limits.SEGMENT_INTERVAL_S_MIN <= interval_s <= SEGMENT_INTERVAL_S_MAX:
            allowed = f"{limits.SEGMENT_INTERVAL_S_MIN:g} to {SEGMENT_INTERVAL_S_MAX:g} s"
            raise InvalidInput(f"a segment interval of {interval_s:g} s", allowed=allowed)
        options = dict(request.get("format_options") or {})
        form = formats.find(str(request.get("format") or self._table.format), **options)
        return Recording(
            id=_uuid(request.get("id")),
            name=safe_name(request.get("name"), "recording name"),
            streams=streams,
            format=form.name,
            segment_interval_s=interval_s,
            started_ns=self._clock.now_ns(),
            merge=bool(request.get("merge", False)),
            metadata=dict(request.get("metadata") or {}),
            origin=origin,
            file_stem=_file_stem(request.get("file_stem"), streams),
            format_options=options,
        )

    def _refuse_busy(self, wanted: Recording) -> None:
        streams = {stream.name for stream in wanted.streams}
        recorded = [r.recording for r in self._running.values() if r.recording.running]
        for other in [*recorded, *self._reserved.values()]:
            if other.id in self._beside:
                continue
            taken = streams & {stream.name for stream in other.streams}
            if taken:
                raise Conflict(
                    f"{', '.join(sorted(taken))} is being recorded already",
                    hint=f"stop the recording {other.name} first",
                    recording_id=other.id,
                    name=other.name,
                    reason="busy",
                )

    def _refuse_many(self) -> None:
        if len(self._beside) >= limits.RECORDINGS_BESIDE_MAX:
            raise Conflict(
                f"{len(self._beside)} recordings are being made beside the main one",
                hint="wait until one of them has ended",
                reason="busy",
            )

    def _refuse_known(self, name: str) -> None:
        starting = {recording.name for recording in self._reserved.values()}
        if name in starting or self._catalog.by_name(name):
            raise Conflict(f"a recording called {name} exists already", name=name, reason="exists")

    def _refuse_same(self, recording: Recording) -> None:
        try:
            self._catalog.get(recording.id)
        except NotFound:
            if recording.id not in self._reserved:
                return
        raise Conflict("a recording with that id exists already", recording_id=recording.id, reason="exists")

    def recorded(self) -> set[str]:
        """Return the streams that are taken: another recording of them would be refused."""
        with self._lock:
            running = [r.recording for r in self._running.values() if r.recording.running]
            taken = [r for r in (*running, *self._reserved.values()) if r.id not in self._beside]
        return {stream.name for recording in taken for stream in recording.streams}

    # -- while it runs -----------------------------------------------------------------------------------
    def running(self) -> list[Recorder]:
        """Return the recorders of all running recordings."""
        with self._lock:
            return list(self._running.values())

    def find(self, recording_id: str) -> Recorder | None:
        """Return the recorder of a recording, None if it is not running."""
        with self._lock:
            return self._running.get(recording_id)

    def files(self, recording_id: str) -> RecordingFolder:
        """Return the folder of a recording.

        Raises:
            NotFound: there is no recording with that id.
        """
        return RecordingFolder(self._folder.recordings / self._catalog.get(recording_id).folder)

    def annotate(self, recording_id: str, changes: Mapping[str, Any]) -> Recording:
        """Merge keys into a recording's metadata; a value of None takes the key away."""
        with self.unchanging(recording_id) as recorder:
            files = self.files(recording_id)
            recording = files.recording() if recorder is None else recorder.recording
            merged = {**recording.metadata, **changes}
            metadata = {key: value for key, value in merged.items() if value is not None}
            if recorder is not None:
                changed = recorder.annotate(metadata)
            else:
                changed = replace(recording, metadata=metadata)
                files.write_recording(changed)
        self.refresh(recording_id)
        return changed

    def pin(self, recording_id: str, pinned: bool) -> Recording:
        """Keep retention from a recording, running or ended, or no more."""
        with self.unchanging(recording_id) as recorder:
            files = self.files(recording_id)
            if recorder is not None:
                changed = recorder.pin(pinned)
            else:
                changed = replace(files.recording(), pinned=pinned)
                files.write_recording(changed)
        self.refresh(recording_id)
        return changed

    @contextmanager
    def unchanging(self, recording_id: str) -> Generator[Recorder | None]:
        """Keep others from changing the files of ended recordings; give the recorder if it is running."""
        with self._changing:
            yield self.find(recording_id)

    def add_event(self, recording_id: str, event: Event) -> None:
        """Add an event to a recording, running or ended, durable on return."""
        recorder = self.find(recording_id)
        if recorder is not None:
            recorder.add_event(event)
            return
        files = self.files(recording_id)
        files.events.append(event)
        files.events.close()

    def refresh(self, recording_id: str) -> None:
        """Have the catalog read a recording's folder again; it is only an index, so a failure is no loss."""
        recorder = self.find(recording_id)
        try:
            self._catalog.upsert(self.files(recording_id) if recorder is None else recorder.folder)
        except KymographError as error:
            log.warning("the catalog is behind: %s", error)

    def _ended(self, recording: Recording) -> None:
        self.refresh(recording.id)
        with self._lock:
            self._running.pop(recording.id, None)
            self._beside.discard(recording.id)

    # -- end -----------------------------------------------------------------------------------------------
    def end(self, recording_id: str) -> Recording:
        """End a running recording, sealed and listed.

        Raises:
            NotFound: there is no recording with that id.
            Conflict: it has ended already.
        """
        recorder = self.find(recording_id)
        if recorder is None:
            ended = self._catalog.get(recording_id).recording
            raise Conflict(f"the recording {ended.name} has ended already", reason="ended", ended=ended.ended)
        return recorder.stop(timeout_s=STOP_TIMEOUT_S)

    def delete(self, recording_id: str) -> None:
        """Delete an ended recording.

        Raises:
            NotFound: there is no recording with that id.
            Conflict: it is running.
        """
        if self.find(recording_id) is not None:
            raise Conflict("the recording is still running", hint="stop it first", reason="running")
        with self._changing:
            self.files(recording_id).delete()
        self._catalog.remove(recording_id)

    def shutdown(self, timeout_s: float) -> None:
        """End every recording side by side, then the worker that seals."""
        enders = [
            threading.Thread(target=recorder.stop, kwargs={"timeout_s": timeout_s})
            for recorder in self.running()
        ]
        for ender in enders:
            ender.start()
        for ender in enders:
            ender.join(timeout_s + 1)
        self._sealer.close()
        self._catalog.close()
