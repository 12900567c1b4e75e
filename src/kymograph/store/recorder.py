"""The recorder: one thread that takes a recording's blocks from a queue to the disk, and says how far it got.

    put → queue → journal of each stream → fdatasync (then `durable_seq` moves) → roll → sealed by the worker

Whatever goes wrong becomes a state of the recording, never an error in an instrument's thread:

    queue full      rows are lost, counted, and told as a gap; the recording goes on
    disk full       the reserve is given up, what waits is saved, the recording ends as "disk full"
    disk error      the file is abandoned, what was not durable is written to a new one, an alarm is raised;
                    if that fails too, the recording ends as "disk failed"
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from kymograph.model import limits
from kymograph.model.block import Block, Cursor
from kymograph.model.clock import Clock
from kymograph.model.errors import Conflict, DiskFull, InvalidInput, StorageError
from kymograph.model.event import Event
from kymograph.model.recording import Recording
from kymograph.model.status import RecorderStatus
from kymograph.store.block_queue import Lost, RecorderQueue
from kymograph.store.folder import DataFolder
from kymograph.store.recording_folder import RecordingFolder
from kymograph.store.sealer import Sealer
from kymograph.store.segments import Segments, Told
from kymograph.store.tails import Tails

log = logging.getLogger(__name__)

GATHER_S: Final = 0.05
"""Blocks are let gather for so long before they are written; a flush that is due comes first."""
_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class RecorderOptions:
    """How a recorder treats the disk, and who is told."""

    flush_interval_s: float = 1.0
    """Between two fdatasync while rows wait: what a power cut may cost."""
    queue_bytes_max: int = limits.RECORDER_QUEUE_BYTES_MAX
    segment_bytes_max: int = limits.SEGMENT_BYTES_MAX
    end_timeout_s: float = limits.SHUTDOWN_S_MAX
    """How long a recording that ends by itself waits for its segments to be sealed."""
    told: Told = field(default_factory=Told)
    attachments: Mapping[str, str] = field(default_factory=dict[str, str])
    """Texts that belong to the recording, by file name; on the disk before the first row."""

    def __post_init__(self) -> None:
        if not limits.FLUSH_INTERVAL_S_MIN <= self.flush_interval_s <= limits.FLUSH_INTERVAL_S_MAX:
            raise InvalidInput(
                f"a flush interval of {self.flush_interval_s} s",
                hint=f"{limits.FLUSH_INTERVAL_S_MIN} to {limits.FLUSH_INTERVAL_S_MAX} s are allowed",
            )


class Recorder:
    """One running recording; a `BlockQueue`. Any thread may call it."""

    def __init__(self, folder: DataFolder, recording: Recording, sealer: Sealer, clock: Clock,
                 options: RecorderOptions | None = None) -> None:  # fmt: skip
        """Prepare; nothing is on the disk before `start`.

        Raises:
            InvalidInput: the segment interval is too short, or there is no stream.
        """
        if recording.segment_interval_s < limits.SEGMENT_INTERVAL_S_MIN:
            raise InvalidInput(
                f"a segment interval of {recording.segment_interval_s} s",
                hint=f"at least {limits.SEGMENT_INTERVAL_S_MIN} s",
            )
        if not recording.streams:
            raise InvalidInput(f"the recording {recording.name} has no stream")
        self._data = folder
        self._recording = recording
        self._sealer = sealer
        self._clock = clock
        self._options = options or RecorderOptions()
        self._queue = RecorderQueue(self._options.queue_bytes_max)
        self._guard = threading.Lock()
        self._ended = threading.Event()
        self._stop_how = ""
        self._timeout_s = self._options.end_timeout_s
        self._disk: _Disk | None = None

    @property
    def recording(self) -> Recording:
        """The recording as it stands."""
        return self._recording

    @property
    def folder(self) -> RecordingFolder:
        """Where the recording is."""
        return self._started().folder

    @property
    def rows_lost(self) -> int:
        """Rows that were offered and are not on the disk."""
        return self._queue.rows_lost + (self._disk.tails.rows_lost if self._disk is not None else 0)

    def put(self, block: Block) -> bool:
        """Take a block, or count its rows as lost and return False. Never waits."""
        return self._queue.put(block)

    def lose(self, stream: str, at: Cursor, rows: int) -> None:
        """Count rows as lost that were to be put and cannot be any more; told as a gap like any other."""
        self._queue.lose(Lost(stream, at.epoch, at.seq, at.seq + rows, rows))

    @property
    def waiting_bytes(self) -> int:
        """Bytes that wait for the disk."""
        return self._queue.size_bytes

    def start(self) -> None:
        """Make the recording's folder (or go on in it after a crash) and begin to take blocks.

        Raises:
            DiskFull: there is no room to begin.
            Conflict: it was started already, or has ended.
            StorageError: the folder cannot be made.
        """
        if self._disk is not None or not self._recording.running:
            raise Conflict(f"the recording {self._recording.name} was started already")
        self._data.require_room()
        options, recording, clock = self._options, self._recording, self._clock
        folder = RecordingFolder.create(self._data.recordings, recording)
        for name, text in options.attachments.items():
            folder.attach(name, text)
        segments = Segments(self._data, folder, recording, self._sealer, clock, options.told)
        for stream, index in folder.journals():  # of a recording that goes on after a crash
            segments.seal(stream, index)
        tails = Tails(folder, recording, segments, clock, options.told, options.segment_bytes_max)
        self._disk = _Disk(folder, segments, tails)
        self._sealer.retain()
        threading.Thread(target=self._run, args=(self._disk,), name="recorder", daemon=True).start()

    def stop(self, how: str = "stop", timeout_s: float = limits.SHUTDOWN_S_MAX) -> Recording:
        """End the recording with everything that was put, sealed and listed, and return it.

        What is not sealed in time stays as journals, for the worker or the next start to seal; the recording
        has ended all the same.

        Raises:
            Conflict: it was never started.
        """
        self._started()
        with self._guard:
            self._timeout_s = timeout_s
        self._queue.close()  # first: what is put from now on belongs to no recording
        self._stop_how = self._stop_how or how
        self._queue.wake()
        self._ended.wait(timeout_s + 5.0)
        return self._recording

    def wait_ended(self, timeout_s: float) -> bool:
        """Wait for the end, however it comes; return whether it came."""
        return self._ended.wait(timeout_s)

    def wait_merged(self, timeout_s: float) -> bool:
        """Wait until nothing is left to be sealed or merged; return whether that came true."""
        return self._started().segments.wait_merged(timeout_s)

    def add_event(self, event: Event) -> None:
        """Add an event to the recording, durable on return.

        Raises:
            StorageError: the disk does not take it.
        """
        self.folder.events.append(event)

    def annotate(self, metadata: Mapping[str, Any]) -> Recording:
        """Replace the recording's metadata, durably, and return the recording."""
        disk = self._started()
        with self._guard:
            changed = replace(self._recording, metadata=dict(metadata))
            disk.folder.write_recording(changed)
            self._recording = changed
        disk.segments.update(changed)
        return changed

    def pin(self, pinned: bool) -> Recording:
        """Keep retention from the recording, or no more, durably, and return it."""
        disk = self._started()
        with self._guard:
            changed = replace(self._recording, pinned=pinned)
            disk.folder.write_recording(changed)
            self._recording = changed
        return changed

    def status(self) -> RecorderStatus:
        """Return how far it has got.

        Raises:
            Conflict: it was never started.
        """
        disk = self._started()
        queue = self._queue
        streams = tuple(
            replace(s, rows_lost=s.rows_lost + queue.rows_lost_of(s.stream)) for s in disk.tails.durability()
        )
        return RecorderStatus(
            recording_id=self._recording.id,
            name=self._recording.name,
            started_ns=self._recording.started_ns,
            rows=sum(stream.rows for stream in streams),
            rows_lost=self.rows_lost,
            size_bytes=disk.segments.size_bytes + disk.tails.size_bytes,
            segments=len(disk.segments.listed),
            queue_bytes=queue.size_bytes,
            streams=streams,
            error=disk.tails.error,
        )

    def _started(self) -> _Disk:
        if self._disk is None:
            raise Conflict(f"the recording {self._recording.name} was never started")
        return self._disk

    # From here on: the recorder's own thread -----------------------------------------------------------

    def _run(self, disk: _Disk) -> None:
        how = "crash"
        try:
            how = self._record(disk.tails)
        except Exception as error:
            log.exception("the recorder of %s failed", self._recording.name)
            disk.tails.error = f"the recorder failed: {type(error).__name__}: {error}"
        try:
            self._end(disk, how)
        finally:
            self._ended.set()

    def _record(self, tails: Tails) -> str:
        """Record until told to stop or the disk says no; return how it ended."""
        schedule = _Schedule(self._clock, self._recording, self._options.flush_interval_s)
        try:
            while not self._step(tails, schedule):
                pass
            return self._stop_how
        except DiskFull as error:
            log.error("%s: the disk is full, the recording ends", self._recording.name)
            self._queue.close()
            self._data.release_reserve()
            tails.save(error, self._queue.take(0.0), "disk full")
            return "disk full"
        except StorageError as error:
            log.error("%s: the disk failed, the recording ends: %s", self._recording.name, error)
            self._queue.close()
            self._data.mark_failed(str(error))
            tails.give_up(error, self._queue.take(0.0), "disk failed")
            return "disk failed"

    def _step(self, tails: Tails, schedule: _Schedule) -> bool:
        """Take what waits to the disk, and do what is due; return whether that was the last of it."""
        stopping = bool(self._stop_how)
        wait_s = 0.0 if stopping else schedule.wait_s(bool(tails.waiting_bytes))
        items = self._queue.take(wait_s, GATHER_S)
        tails.write(items)
        if schedule.flush_due() or tails.waiting_bytes >= limits.JOURNAL_UNSYNCED_BYTES_MAX:
            tails.flush()
        last = stopping and not items
        if schedule.roll_due() or last:
            tails.roll()
        tails.tell_gaps()
        return last

    def _end(self, disk: _Disk, how: str) -> None:
        """Write down that and how it ended, then wait a bounded time for the sealing."""
        disk.tails.close(how)
        disk.tails.tell_gaps(all_of_them=True)
        if how != "stop":
            disk.tails.alarm(f"the recording {self._recording.name} ended as {how}: {disk.tails.error}")
        with self._guard:
            self._recording = self._recording.end(how, self._clock.now_ns())
            timeout_s = self._timeout_s
            try:
                disk.folder.write_recording(self._recording)
            except StorageError as error:
                log.error("%s: its end cannot be written down: %s", self._recording.name, error)
                disk.tails.error = disk.tails.error or str(error)
        disk.segments.wait(timeout_s)
        disk.segments.finish(self._recording)
        self._sealer.release()
        disk.folder.events.close()
        self._options.told.ended(self._recording)


@dataclass(frozen=True, slots=True)
class _Disk:
    """What a started recorder has."""

    folder: RecordingFolder
    segments: Segments
    tails: Tails


class _Schedule:
    """When to flush and when to roll. Segments close at whole intervals since the recording's start."""

    def __init__(self, clock: Clock, recording: Recording, flush_interval_s: float) -> None:
        now = clock.monotonic_ns()
        age = max(0, clock.now_ns() - recording.started_ns)
        self._clock = clock
        self._flush_interval_ns = int(flush_interval_s * _NS)
        self._flush_ns = now
        self._interval_ns = int(recording.segment_interval_s * _NS)
        self._roll_ns = now - age % self._interval_ns + self._interval_ns

    def wait_s(self, dirty: bool) -> float:
        """Return how long there is nothing to do unless a block comes."""
        due = min(self._flush_ns, self._roll_ns) if dirty else self._roll_ns
        return max(0, due - self._clock.monotonic_ns()) / _NS

    def flush_due(self) -> bool:
        """Return whether to flush now; the next time is one interval on."""
        now = self._clock.monotonic_ns()
        if now < self._flush_ns:
            return False
        self._flush_ns = now + self._flush_interval_ns
        return True

    def roll_due(self) -> bool:
        """Return whether to roll now; the next time is the next whole interval."""
        late = self._clock.monotonic_ns() - self._roll_ns
        if late < 0:
            return False
        self._roll_ns += (late // self._interval_ns + 1) * self._interval_ns
        return True
