"""The folder of a mirrored recording, and the only one who writes there.

It has the layout of any recording, so that everything that reads one reads this too. `manifest.json` lists
only what is held and was hashed on its way in; `mirror.json` says what the source has, and when that was
heard last. Open tails are byte copies of the source's journals.

Order of things: a file is durable under its name before the manifest lists it, and a tail goes only after a
sealed file with its rows is listed.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from kymograph.model.errors import Corrupt, NotFound, StorageError
from kymograph.model.names import safe_name
from kymograph.model.recording import Recording, Segment
from kymograph.store import journal
from kymograph.store.completeness import ledger, read_source, remember
from kymograph.store.durable import fsync_folder, remove_durably, storage_error, write_durably
from kymograph.store.frames import PREAMBLE
from kymograph.store.journal import JournalReader
from kymograph.store.recording_folder import MIRROR_FILE, RecordingFolder
from kymograph.store.sealing import hash_file

__all__ = ["MirrorFolder", "folder_name", "forsake", "ledger", "read_source"]

PART_SUFFIX: Final = ".part"
"""Of a sealed file that has not come whole; the next attempt goes on behind it."""
SURPLUS_SUFFIX: Final = ".surplus"
"""Of a tail with rows that its source has lost: kept, and no part of the recording."""
_PIECE_BYTES: Final = 1 << 20
_SETTLE_S: Final = 1.0
"""How long the manifest may stay behind while files keep coming."""
_LOOK_S: Final = 60.0
_NOTE_S: Final = 5.0


def folder_name(recording: Recording, station: str) -> str:
    """Return what a mirrored recording's folder is called: when, what, and whose."""
    started = datetime.fromtimestamp(recording.started_ns // 1_000_000_000, UTC)
    return safe_name(f"{started:%Y%m%dT%H%M%SZ}_{recording.name}_{station}"[:128])


def _place(recordings: Path, recording: Recording, station: str) -> Path:
    path = recordings / folder_name(recording, station)
    if (read_source(path) or {}).get("recording_id") in (None, recording.id):
        return path
    return path.with_name(safe_name(f"{path.name[:119]}_{recording.id[:8]}"))


def forsake(path: Path) -> None:
    """Take note that the source has a recording no more: what is here is all that there will be."""
    source = read_source(path)
    if source is not None and not source.get("forsaken"):
        held = {segment.filename for segment in RecordingFolder(path).manifest()[0]}
        whole = all(one["filename"] in held for one in source["segments"])
        told = {"running": False, "state": "whole" if whole else "partial", "forsaken": True}
        write_durably(path / MIRROR_FILE, json.dumps({**source, **told}).encode())


class MirrorFolder:
    """One mirrored recording. Used by one thread, but for `receive` and `land`, of a file each."""

    def __init__(
        self, recordings: Path, recording: Recording, station: str, here: Path | None = None
    ) -> None:
        """Make the folder, or go on in the one that is `here`.

        Raises:
            StorageError: it cannot be made.
        """
        self.path = here or _place(recordings, recording, station)
        self._files = RecordingFolder(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            fsync_folder(recordings)
        except OSError as error:
            raise storage_error(error, self.path) from error
        self._id = recording.id
        self._listed = {segment.filename: segment for segment in self._read_manifest()}
        self.describe(recording)
        self._unsettled: list[Segment] = []
        self._settled_s = self._looked_s = -_LOOK_S
        self._noted: tuple[float, object] = (-_NOTE_S, None)

    def _read_manifest(self) -> Sequence[Segment]:
        try:
            return self._files.manifest()[0]
        except (NotFound, Corrupt):
            self._files.write_manifest(self._id, ())
            return ()

    # -- what is there -------------------------------------------------------------------------------------
    def look(self) -> None:
        """Look, once a minute, whether what is listed is still there; what is not is lacking again."""
        if time.monotonic() < self._looked_s + _LOOK_S:
            return
        self._looked_s = time.monotonic()
        gone = [name for name, segment in self._listed.items() if not self._has_size(segment)]
        for name in gone:
            del self._listed[name]
        if gone:
            self._write_manifest()

    def lacks(self, segment: Segment) -> bool:
        """Return whether a sealed file is not here as its source has it."""
        here = self._listed.get(segment.filename)
        return here is None or here.sha256 != segment.sha256

    def _has_size(self, segment: Segment) -> bool:
        try:
            return (self.path / segment.filename).stat().st_size == segment.size_bytes
        except OSError:
            return False

    # -- descriptions --------------------------------------------------------------------------------------
    def describe(self, recording: Recording) -> None:
        """Keep `recording.json` as the source has it now."""
        try:
            if self._files.recording() == recording:
                return
        except (NotFound, Corrupt):
            pass
        self._files.write_recording(recording)

    def note(
        self, source: Mapping[str, Any], segments: Sequence[Segment], deleted: Sequence[Segment] = ()
    ) -> bool:
        """Keep what is known of the source, what it has, and what it deleted before it came here.

        If nothing but the time is new, only every few seconds. Return whether it was kept.
        """
        now_s, what = time.monotonic(), ({**source, "last_contact_ns": 0}, segments, deleted)
        known_s, known = self._noted
        new = what != known
        if not new and now_s < known_s + _NOTE_S:
            return False
        said = {"version": 1, **source, "segments": [segment.to_dict() for segment in segments]}
        if deleted:
            said["deleted"] = [segment.to_dict() for segment in deleted]
        write_durably(self.path / MIRROR_FILE, json.dumps(said).encode())
        self._noted = now_s, what
        return True

    def keep(self, filename: str, data: bytes) -> None:
        """Keep a small file as the source has it."""
        write_durably(self.path / safe_name(filename, "file name"), data)

    def size_of(self, filename: str) -> int | None:
        """Return how large a file is here, None if it is not."""
        try:
            return (self.path / safe_name(filename, "file name")).stat().st_size
        except OSError:
            return None

    # -- sealed files --------------------------------------------------------------------------------------
    def part_bytes(self, segment: Segment) -> int:
        """Return how much of a sealed file has come in an attempt that broke off."""
        size = self.size_of(segment.filename + PART_SUFFIX) or 0
        return size if size < segment.size_bytes else 0

    def adopt(self, segment: Segment, now_ns: int) -> bool:
        """List a sealed file that came whole and was not listed before this mirror was killed."""
        part = self._part(segment)
        if self._has_size(segment) and hash_file(self.path / segment.filename) == segment.sha256:
            self.list(segment, now_ns)
            return True
        if self.size_of(part.name) == segment.size_bytes and hash_file(part) == segment.sha256:
            self.land(segment)
            self.list(segment, now_ns)
            return True
        return False

    def receive(self, segment: Segment, pieces: Iterable[bytes], offset: int) -> None:
        """Write a sealed file from `offset` of its part on; if its hash is right it may be landed.

        Raises:
            Corrupt: it has another hash than its source says; nothing of it is kept.
            StorageError: the disk; what has come is kept for the next attempt.
        """
        part = self._part(segment)
        try:
            if _append(part, pieces, offset) != segment.sha256:
                part.unlink()
                raise Corrupt(
                    f"{segment.filename} arrived with another hash than its source says",
                    hint="it is fetched again at the next pass",
                )
        except OSError as error:
            raise storage_error(error, part) from error

    def land(self, segment: Segment) -> None:
        """Make a file that was received durable, and give it its name; then it may be listed.

        Raises:
            StorageError: the disk.
        """
        part = self._part(segment)
        try:
            with part.open("rb") as file:
                os.fsync(file.fileno())
            part.replace(self.path / segment.filename)
        except OSError as error:
            raise storage_error(error, part) from error

    def _part(self, segment: Segment) -> Path:
        return self.path / (safe_name(segment.filename, "file name") + PART_SUFFIX)

    def list(self, segment: Segment, now_ns: int) -> None:
        """Take note of a file that was received; the manifest lists it within a second, or when settled."""
        self._listed[segment.filename] = segment
        self._unsettled.append(segment)
        if time.monotonic() > self._settled_s + _SETTLE_S:
            self.settle(now_ns)

    def settle(self, now_ns: int) -> None:
        """Make the manifest list what has come. A kill before costs hashing those files again."""
        if not self._unsettled:
            return
        try:
            fsync_folder(self.path)
        except OSError as error:
            raise storage_error(error, self.path) from error
        remember(self.path, self._unsettled, now_ns)  # first: what is listed is known to be hashed
        self._write_manifest()
        self._unsettled = []
        self._settled_s = time.monotonic()

    def _write_manifest(self) -> None:
        listed = sorted(self._listed.values(), key=lambda s: (s.stream, s.index))
        self._files.write_manifest(self._id, listed)

    def follow(self, expected: Sequence[Segment]) -> None:
        """Let go of what the source has replaced, once everything that replaces it is here."""
        names = {segment.filename for segment in expected}
        gone = [name for name in self._listed if name not in names]
        if not gone or any(self.lacks(segment) for segment in expected):
            return
        self._listed = {segment.filename: segment for segment in expected}
        self._write_manifest()
        for name in gone:
            remove_durably(self.path / name)

    # -- tails ---------------------------------------------------------------------------------------------
    def tail(self, filename: str) -> tuple[int, str]:
        """Return how much of a journal is here, and its tag; 0 and "" if nothing."""
        path = self.path / safe_name(filename, "file name")
        try:
            with path.open("rb") as file:
                return path.stat().st_size, "journal-" + file.read(PREAMBLE.size).hex()
        except OSError:
            return 0, ""

    def extend(self, filename: str, pieces: Iterable[bytes], offset: int) -> int:
        """Append to a journal's copy from `offset` on; return its size.

        Raises:
            StorageError: the disk.
        """
        path = self.path / safe_name(filename, "file name")
        try:
            with path.open("r+b" if path.exists() else "w+b") as file:
                file.seek(offset)
                for piece in pieces:
                    file.write(piece)
                file.truncate()
                file.flush()
                os.fdatasync(file.fileno())
                return file.tell()
        except OSError as error:
            raise storage_error(error, path) from error

    def set_aside(self, filename: str) -> str:
        """Keep a tail that its source does not have like this any more; return where."""
        path = self.path / safe_name(filename, "file name")
        for number in range(1, 1000):
            aside = path.with_name(f"{filename}{SURPLUS_SUFFIX}{number}")
            if not aside.exists():
                path.replace(aside)
                return aside.name
        raise StorageError(f"{path.name} was set aside a thousand times")

    def retire_tails(self, open_now: Iterable[str]) -> Sequence[str]:
        """Remove tails whose rows are in a sealed file; return those that were set aside instead, because
        they hold rows that the source has lost."""
        aside: list[str] = []
        sealed = {(segment.stream, segment.index): segment for segment in self._listed.values()}
        for key, path in self._files.journals().items():
            if path.name in open_now:
                continue
            segment = sealed.get(key)
            if segment is None and path.name.endswith(journal.SUFFIX):
                if self._merged(key):
                    remove_durably(path)
                continue
            if segment is not None and _beyond(path, segment):
                aside.append(self.set_aside(path.name))
            else:
                remove_durably(path)
        return aside

    def _merged(self, key: tuple[str, int]) -> bool:
        """Return whether a merged file has taken the place of all of that stream's segments."""
        of_stream = [s for s in self._listed.values() if s.stream == key[0]]
        return len(of_stream) == 1 and of_stream[0].index == 0 and key[1] > 0


def _beyond(path: Path, segment: Segment) -> bool:
    """Return whether a journal has rows behind the last of the segment that was made of it."""
    try:
        with JournalReader(path) as reader:
            blocks = list(reader.blocks())
    except NotFound:
        return False
    last = blocks[-1].next if blocks else None
    return last is not None and last.epoch == segment.next.epoch and last.seq > segment.next.seq


def _append(part: Path, pieces: Iterable[bytes], offset: int) -> str:
    """Write behind the first `offset` bytes of a file; return the hash of it all."""
    sha256 = hashlib.sha256()
    with part.open("r+b" if part.exists() else "w+b") as file:
        left = offset
        while left and (piece := file.read(min(left, _PIECE_BYTES))):
            sha256.update(piece)
            left -= len(piece)
        file.truncate(offset)
        file.seek(offset)
        for piece in pieces:
            sha256.update(piece)
            file.write(piece)
    return sha256.hexdigest()
