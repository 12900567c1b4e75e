"""The folder of one recording: what its files are called, and how they change without ever being half.

    recording.json    what was asked for and how it ended
    manifest.json     {"recording_id", "segments": […], "replaced": [names], "deleted": […]}
    SHA256SUMS        the same hashes as `sha256sum -c` reads them
    events.jsonl      what happened
    <stream>_00000.journal | .<suffix> | .preview   (the last two: `file_stem` if the recording has one)

`replaced` names files whose rows are in a merged file; they are deleted after the manifest says so, and if
a crash comes in between, by the next start. `deleted`, left out if there are none, are segments that were
deleted to make room, as they were listed, with when and why.
Which file holds a row? A sealed file only once the manifest lists it; until then its journal.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from kymograph.model.errors import Corrupt, InvalidInput, KymographError, NotFound
from kymograph.model.names import safe_name
from kymograph.model.recording import (
    DeletedSegment,
    Recording,
    Segment,
    deleted_from_dict,
    recording_from_dict,
    segment_from_dict,
)
from kymograph.store import journal
from kymograph.store.durable import TMP_SUFFIX, fsync_folder, remove_durably, storage_error, write_durably
from kymograph.store.event_log import EventLog

RECORDING_FILE: Final = "recording.json"
MANIFEST_FILE: Final = "manifest.json"
SUMS_FILE: Final = "SHA256SUMS"
EVENTS_FILE: Final = "events.jsonl"
MIRROR_FILE: Final = "mirror.json"
"""In the folder of a recording that was not made here: where it comes from, and what of it is expected."""
PREVIEW_SUFFIX: Final = ".preview"
ATTACHMENT_SUFFIXES: Final = frozenset({".json", ".toml", ".yaml", ".yml", ".txt", ".md"})
"""Endings of no format and of no file of ours."""
DELETED_PREFIX: Final = ".deleted-"
"""Begins the name of a recording's folder while its files go."""

_INDEXED: Final = re.compile(r"(?P<stream>.+)_(?P<index>\d{5,})(?P<suffix>\.[A-Za-z0-9]+)")


def stem(stream: str, index: int) -> str:
    """Return what the names of a segment's files begin with."""
    return f"{stream}_{index:05d}"


def parse_name(filename: str) -> tuple[str, int, str] | None:
    """Return stream, index and suffix of a segment's file, or None if it is none."""
    found = _INDEXED.fullmatch(filename)
    return (found["stream"], int(found["index"]), found["suffix"]) if found else None


def attachment_name(name: str) -> str:
    """Return the name unchanged if it may be that of an attachment.

    Raises:
        InvalidInput: it is none, or one that a file of ours could have.
    """
    safe_name(name, "attachment's name")
    ours = (RECORDING_FILE, MANIFEST_FILE, SUMS_FILE, EVENTS_FILE, MIRROR_FILE)
    if name in ours or parse_name(name) or Path(name).suffix not in ATTACHMENT_SUFFIXES:
        allowed = ", ".join(sorted(ATTACHMENT_SUFFIXES))
        raise InvalidInput(f"an attachment cannot be called {name}", hint=f"its name may end in {allowed}")
    return name


class RecordingFolder:
    """One recording's folder. Only the process that owns the data folder writes."""

    def __init__(self, path: Path) -> None:
        """Name the folder; nothing is read."""
        self.path = path
        self.events = EventLog(path / EVENTS_FILE)

    @classmethod
    def create(cls, recordings: Path, recording: Recording) -> RecordingFolder:
        """Make the folder and write `recording.json` and an empty manifest, durably.

        If this very recording has a folder already, because it goes on after a crash, that one is returned.

        Raises:
            StorageError: it cannot be made.
        """
        safe_name(recording.name, "recording name")
        started = datetime.fromtimestamp(recording.started_ns // 1_000_000_000, UTC)
        base = f"{started:%Y%m%dT%H%M%SZ}_{recording.name}"
        for number in range(1, 1000):
            path = recordings / (base if number == 1 else f"{base}-{number}")
            try:
                path.mkdir()
                break
            except FileExistsError:
                there = cls(path)
                if there.holds(recording.id):
                    return there
            except OSError as error:
                raise storage_error(error, path) from error
        else:
            raise Corrupt(f"there are 1000 recordings called {base}")
        made = cls(path)
        made.write_recording(recording)
        made.write_manifest(recording.id, ())
        try:
            fsync_folder(recordings)
        except OSError as error:
            raise storage_error(error, recordings) from error
        return made

    @property
    def mirrored(self) -> bool:
        """Whether it is the mirror of a recording that is made elsewhere."""
        return (self.path / MIRROR_FILE).exists()

    def holds(self, recording_id: str) -> bool:
        """Return whether this is the folder of that recording."""
        try:
            return self.recording().id == recording_id
        except (NotFound, Corrupt):
            return False

    def write_recording(self, recording: Recording) -> None:
        """Replace `recording.json` durably."""
        data = json.dumps(recording.to_dict(), ensure_ascii=False, indent=1).encode()
        write_durably(self.path / RECORDING_FILE, data + b"\n")

    def attach(self, name: str, text: str) -> None:
        """Put a text beside the recording, durably.

        Raises:
            InvalidInput: the name is none, or one that a file of ours could have.
        """
        write_durably(self.path / attachment_name(name), text.encode())

    def recording(self) -> Recording:
        """Read `recording.json`.

        Raises:
            NotFound: it is not there.
            Corrupt: it is not what was written.
        """
        return _read(self.path / RECORDING_FILE, recording_from_dict)

    def write_manifest(
        self,
        recording_id: str,
        segments: Iterable[Segment],
        replaced: Iterable[str] = (),
        deleted: Iterable[DeletedSegment] = (),
    ) -> None:
        """Replace `manifest.json`, then `SHA256SUMS`, durably."""
        listed = list(segments)
        whole: dict[str, Any] = {"recording_id": recording_id, "replaced": list(replaced)}
        if gone := [one.to_dict() for one in deleted]:
            whole["deleted"] = gone
        frame = json.dumps(whole)[:-1]
        # One by one: encoding thousands of segments in one call would hold up every other thread meanwhile.
        text = f'{frame}, "segments": [\n' + ",\n".join(map(_encoded, listed)) + "\n]}\n"
        write_durably(self.path / MANIFEST_FILE, text.encode())
        sums = "".join(f"{segment.sha256}  {segment.filename}\n" for segment in listed)
        write_durably(self.path / SUMS_FILE, sums.encode())

    def manifest(self) -> tuple[list[Segment], list[str]]:
        """Read the manifest: the segments in order, and the names of files they replaced.

        Raises:
            NotFound: it is not there.
            Corrupt: it is not what was written.
        """

        def parse(plain: dict[str, Any]) -> tuple[list[Segment], list[str]]:
            return [segment_from_dict(s) for s in plain["segments"]], list(plain.get("replaced") or ())

        return _read(self.path / MANIFEST_FILE, parse)

    def deleted(self) -> list[DeletedSegment]:
        """Read from the manifest which segments were deleted to make room.

        Raises:
            NotFound, Corrupt: as `manifest`.
        """

        def parse(plain: dict[str, Any]) -> list[DeletedSegment]:
            return [deleted_from_dict(one) for one in plain.get("deleted") or ()]

        return _read(self.path / MANIFEST_FILE, parse)

    def delete_sealed(
        self, recording_id: str, filenames: Iterable[str], reason: str, now_ns: int
    ) -> list[Segment]:
        """Delete sealed files, and return them; the manifest lists them as deleted first.

        Killed in between, a file is still there and `deleted`: asked again, it goes.

        Raises:
            StorageError: the disk.
        """
        names = set(filenames)
        listed, replaced = self.manifest()
        deleted = self.deleted()
        gone = [segment for segment in listed if segment.filename in names]
        if gone:
            deleted += [DeletedSegment(segment, now_ns, reason) for segment in gone]
            left = [segment for segment in listed if segment.filename not in names]
            self.write_manifest(recording_id, left, replaced, deleted)
        for one in deleted:
            if one.segment.filename in names:
                path = self.path / one.segment.filename
                remove_durably(path)
                remove_durably(path.with_name(path.stem + PREVIEW_SUFFIX))
        try:
            fsync_folder(self.path)
        except OSError as error:
            raise storage_error(error, self.path) from error
        return gone

    def totals(self) -> tuple[int, int, int]:
        """Return how many segments are listed, their rows and their bytes; cheaper than `manifest`.

        Raises:
            NotFound, Corrupt: as `manifest`.
        """

        def parse(plain: dict[str, Any]) -> tuple[int, int, int]:
            listed = plain["segments"]
            return len(listed), sum(s["rows"] for s in listed), sum(s["size_bytes"] for s in listed)

        return _read(self.path / MANIFEST_FILE, parse)

    def journals(self) -> dict[tuple[str, int], Path]:
        """Return the journals that are there, by stream and index, in order."""
        found: dict[tuple[str, int], Path] = {}
        for path in self._files():
            parts = parse_name(path.name)
            if parts and parts[2] == journal.SUFFIX:
                found[parts[:2]] = path
        return dict(sorted(found.items()))

    def sealed_files(self, suffix: str) -> list[Path]:
        """Return the files that end like sealed ones of a format, listed or not."""
        return [path for path in self._files() if path.name.endswith(suffix) and path.name != EVENTS_FILE]

    def journal_path(self, stream: str, index: int) -> Path:
        """Return where the journal of a segment is, or was."""
        return self.path / (stem(stream, index) + journal.SUFFIX)

    def journal_key(self, sealed: Path, recording: Recording) -> tuple[str, int] | None:
        """Return stream and index of the journal that a sealed file is made of, None by any other name."""
        parts = parse_name(sealed.name)
        stream = recording.stream_of(parts[0]) if parts else None
        return (stream.name, parts[1]) if parts and stream else None

    def journal_of(self, sealed: Path, recording: Recording) -> Path:
        """Return where the journal that a sealed file is made of is, or was."""
        key = self.journal_key(sealed, recording)
        return sealed.with_suffix(journal.SUFFIX) if key is None else self.journal_path(*key)

    def next_index(self, stream: str, file_stem: str = "") -> int:
        """Return the first index that no file of the stream has used."""
        parts = [parse_name(path.name) for path in self._files()]
        used = [p[1] for p in parts if p and p[0] in (stream, file_stem or stream)]
        used += [segment.index for segment in self.manifest()[0] if segment.stream == stream]
        return max(used, default=-1) + 1

    def remove_unfinished(self) -> None:
        """Remove what a killed process left half written."""
        for path in self._files():
            if path.name.endswith(TMP_SUFFIX):
                remove_durably(path)

    def delete(self) -> None:
        """Delete the whole recording: renamed first, so that a crash leaves nothing that looks like one.

        Raises:
            StorageError: a file cannot be removed.
        """
        self.events.close()
        gone = self.path.with_name(DELETED_PREFIX + self.path.name)
        try:
            self.path.rename(gone)
            fsync_folder(gone.parent)
            shutil.rmtree(gone)
        except OSError as error:
            raise storage_error(error, self.path) from error

    def _files(self) -> list[Path]:
        try:
            return [self.path / name for name in sorted(os.listdir(self.path))]  # noqa: PTH208 - ten times as fast
        except FileNotFoundError:
            raise NotFound(f"the recording folder {self.path.name} is gone") from None
        except OSError as error:
            raise storage_error(error, self.path) from error


@lru_cache(maxsize=16_384)
def _encoded(segment: Segment) -> str:
    return json.dumps(segment.to_dict(), separators=(",", ":"))


def all_recordings(recordings: Path) -> list[RecordingFolder]:
    """Return the folders of all recordings, oldest name first."""
    try:
        paths = sorted(recordings.iterdir())
    except OSError as error:
        raise storage_error(error, recordings) from error
    return [RecordingFolder(p) for p in paths if p.is_dir() and not p.name.startswith(".")]


def find_recording(recordings: Path, recording_id: str) -> RecordingFolder:
    """Return the folder of a recording by its id.

    Raises:
        NotFound: there is none.
    """
    for folder in reversed(all_recordings(recordings)):
        if folder.holds(recording_id):
            return folder
    raise NotFound(f"there is no recording {recording_id}")


def _read(path: Path, parse: Any) -> Any:
    try:
        return parse(json.loads(path.read_bytes()))
    except FileNotFoundError:
        raise NotFound(f"there is no {path.name} in {path.parent.name}", path=str(path)) from None
    except OSError as error:
        raise storage_error(error, path) from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, KymographError) as error:
        raise Corrupt(f"{path.name} of {path.parent.name} is damaged", reason=str(error)[:200]) from None
