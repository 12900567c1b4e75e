"""Events of the station and of its recordings, and the files that were sealed, into the database.

Only what has changed since the last look is read. Mirrors of other stations' recordings are left to those.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection

from kymograph.model.errors import Corrupt, KymographError, NotFound
from kymograph.model.limits import GATHER_BYTES_MAX
from kymograph.model.recording import Recording, Segment
from kymograph.service.keeping.admitting import add_all, is_time, plain
from kymograph.store.lines import read_lines
from kymograph.store.recording_folder import (
    EVENTS_FILE,
    MANIFEST_FILE,
    RecordingFolder,
    all_recordings,
)
from kymograph.store.sql import tables
from kymograph.store.sql.database import Database
from kymograph.store.sql.facts import facts_like, forget_fact, set_fact
from kymograph.store.sql.upsert import add_new

log = logging.getLogger(__name__)

MERGE_WAIT_S: Final = 3600.0
"""After so long, the parts of a recording that was to be merged go as they are."""
_ROWS_MAX: Final = 500

Plain = dict[str, Any]
Mark = tuple[int, int]
"""Size and time of change of a file: enough to see that there is something new."""


class _Seen(NamedTuple):
    events: Mark
    manifest: Mark
    settled: bool


class RecordingsGatherer:
    """One thread's: `gather`."""

    def __init__(self, data: Path, station: tuple[str, str], database: Database) -> None:
        """Gather from a data folder; `station` is its name and its id."""
        self._data = data
        self._station, station_id = station
        self._prefix = f"gathered {station_id} "
        self._database = database
        self._offsets: dict[str, int] = {}
        """By log: up to where it was gathered."""
        self._seen: dict[str, _Seen] = {}
        self._listed: dict[str, set[str]] = {}
        """By recording: its files that are in the database."""
        self._station_mark: Mark | None = None
        self._damaged: set[str] = set()

    def gather(self) -> None:
        """Take what is new.

        Raises:
            Unavailable: the database is away; what was not taken is taken the next time.
        """
        if not self._offsets:
            with self._database.read() as connection:
                known = facts_like(connection, self._prefix)
            self._offsets = {name: int(value) for name, value in known.items() if value.isdigit()}
        # the recordings first: an event that concerns one stands in both logs, and is to bear its id
        there: set[str] = set()
        for folder in self._folders():
            there.add(folder.path.name)
            try:
                self._gather_recording(folder)
            except (NotFound, Corrupt) as error:
                self._damage(folder.path.name, error)
        for name in set(self._seen) - there:
            self._forget(name)
        mark = _mark(self._data / EVENTS_FILE)
        if mark != self._station_mark:
            self._gather_events(self._data / EVENTS_FILE, EVENTS_FILE, None)
            self._station_mark = mark

    def _folders(self) -> list[RecordingFolder]:
        try:
            return all_recordings(self._data / "recordings")
        except KymographError:
            return []

    def _damage(self, name: str, error: KymographError) -> None:
        if name not in self._damaged:
            log.warning("recording %s is passed over: %s", name, error)
        self._damaged.add(name)

    def _forget(self, name: str) -> None:
        with self._database.begin() as connection:
            forget_fact(connection, self._prefix + name)
        self._offsets.pop(name, None)
        self._listed.pop(name, None)
        del self._seen[name]

    def _gather_recording(self, folder: RecordingFolder) -> None:
        name = folder.path.name
        seen = self._seen.get(name)
        now = _mark(folder.path / EVENTS_FILE), _mark(folder.path / MANIFEST_FILE)
        if seen is not None and seen.settled and (seen.events, seen.manifest) == now:
            return
        if folder.mirrored:
            self._seen[name] = _Seen(*now, settled=True)
            return
        recording = folder.recording()
        if seen is None or seen.events != now[0]:
            self._gather_events(folder.path / EVENTS_FILE, name, recording.id)
        segments, replaced = folder.manifest()
        whole = not recording.merge or _is_merged(recording, segments, replaced)
        if whole and (seen is None or not seen.settled or seen.manifest != now[1]):
            self._add_segments(name, recording, segments)
        self._seen[name] = _Seen(*now, settled=whole)

    def _add_segments(self, name: str, recording: Recording, segments: list[Segment]) -> None:
        listed = self._listed.setdefault(name, set())
        new = [segment for segment in segments if segment.filename not in listed]
        for begin in range(0, len(new), _ROWS_MAX):
            some = new[begin : begin + _ROWS_MAX]
            with self._database.begin() as connection:
                add_new(connection, tables.segments, [segment_row(self._station, recording, s) for s in some])
            listed.update(segment.filename for segment in some)

    def _gather_events(self, path: Path, name: str, recording_id: str | None) -> None:
        lines, end = read_lines(path, self._offsets.get(name, 0), GATHER_BYTES_MAX)
        while lines:
            events = [row for line in lines if (row := _event_row(line)) is not None]
            own = {"station": self._station, "recording_id": recording_id}
            place = str(end)

            def passed(connection: Connection, place: str = place) -> None:
                set_fact(connection, self._prefix + name, place)

            add_all(self._database, [{**row, **own} for row in events], _add_events, passed)
            self._offsets[name] = end
            lines, end = read_lines(path, end, GATHER_BYTES_MAX)


def segment_row(station: str, recording: Recording, segment: Segment) -> Plain:
    """Return a sealed file as a row of the table; its `facts` are what is shipped of it."""
    facts: Plain = {
        "recording": {
            "id": recording.id, "name": recording.name, "started_ns": recording.started_ns,
            "format": recording.format, "metadata": dict(recording.metadata),
            "streams": [s.to_dict() for s in recording.streams if s.name == segment.stream],
        },
        "recording_id": recording.id, "stream": segment.stream, "filename": segment.filename,
        "sha256": segment.sha256, "size_bytes": segment.size_bytes, "rows": segment.rows,
        "first_ns": segment.first_ns, "last_ns": segment.last_ns, "epoch": segment.first.epoch,
        "first_seq": segment.first.seq, "next_seq": segment.next.seq, "format": recording.format,
    }  # fmt: skip
    own = ("recording_id", "filename", "sha256", "size_bytes", "first_ns", "last_ns")
    return {"station": station, **{name: facts[name] for name in own}, "facts": facts}


def _is_merged(recording: Recording, segments: list[Segment], replaced: list[str]) -> bool:
    """Whether the files of a recording that is to be one file are what they will stay."""
    if recording.running or recording.ended_ns is None:
        return False
    late = time.time_ns() - recording.ended_ns > MERGE_WAIT_S * 1e9
    return bool(replaced) or len(segments) <= 1 or late


def _add_events(connection: Connection, rows: Sequence[Plain]) -> None:
    add_new(connection, tables.events, rows)


def _event_row(line: bytes) -> Plain | None:
    try:
        event = plain(line)
        if not is_time(event["time_ns"]):
            return None
        return {
            "id": str(event["id"]),
            "revision": int(event.get("revision", 0)),
            "time_ns": int(event["time_ns"]),
            "source": str(event["source"]),
            "kind": str(event["kind"]),
            "body": event.get("body") or {},
        }
    except (ValueError, KeyError, TypeError, RecursionError, AttributeError):
        return None


def _mark(path: Path) -> Mark:
    try:
        facts = path.stat()
    except OSError:
        return (-1, -1)
    return facts.st_size, facts.st_mtime_ns
