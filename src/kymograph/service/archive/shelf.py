"""The recordings of a data folder, newest first, as the folders say; what has not changed is read once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kymograph.model.errors import Corrupt, KymographError, NotFound
from kymograph.model.recording import Recording
from kymograph.store.formats.instants import to_word
from kymograph.store.journal import JournalReader
from kymograph.store.recording_folder import MANIFEST_FILE, RECORDING_FILE, RecordingFolder

_KNOWN_MAX: Final = 20_000
"""Recordings remembered: some kilobytes each."""

Stamp = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Shelved:
    """One recording and what is in its folder: rows and bytes of sealed files and of open journals."""

    path: Path
    recording: Recording
    rows: int
    size_bytes: int
    segments: int

    def to_dict(self) -> dict[str, Any]:
        """Return the recording as it is answered: its `to_dict` and what it amounts to."""
        recording = self.recording
        ended_at = to_word(recording.ended_ns) if recording.ended_ns is not None else None
        return {
            **recording.to_dict(), "started": to_word(recording.started_ns), "ended_at": ended_at,
            "running": recording.running, "rows": self.rows, "size_bytes": self.size_bytes,
            "segments": self.segments,
        }  # fmt: skip


@dataclass(slots=True)
class _Known:
    stamps: tuple[Stamp, Stamp]
    recording: Recording
    listed: frozenset[tuple[str, int]]
    rows: int
    size_bytes: int


@dataclass(slots=True)
class _Counted:
    salt: int
    offset: int
    rows: int


class Shelf:
    """Reads the folders of recordings. Any thread may use it."""

    def __init__(self, data: Path) -> None:
        """Name the data folder; nothing is read."""
        self._recordings = data / "recordings"
        self._known: dict[str, _Known] = {}
        self._counted: dict[Path, _Counted] = {}
        self._guard = threading.Lock()

    def all(self, before: str | None = None) -> Iterator[Shelved]:
        """Yield the recordings, newest first; with `before`, those behind the folder of that name.

        A folder that cannot be read is left out: `verify` tells of it.
        """
        try:
            names = [path.name for path in self._recordings.iterdir() if not path.name.startswith(".")]
        except FileNotFoundError:
            return
        with self._guard:
            for gone in self._known.keys() - set(names):
                del self._known[gone]
        for name in sorted(names, reverse=True):
            if before is None or name < before:
                try:
                    yield self._read(name)
                except KymographError:
                    continue

    def get(self, recording_id: str) -> Shelved:
        """Return a recording by its id.

        Raises:
            NotFound: there is none.
        """
        with self._guard:
            known = [name for name, one in self._known.items() if one.recording.id == recording_id]
        for name in known:
            try:
                found = self._read(name)
            except NotFound:
                continue
            if found.recording.id == recording_id:
                return found
        for found in self.all():
            if found.recording.id == recording_id:
                return found
        raise NotFound("there is no such recording", recording_id=recording_id)

    def _read(self, name: str) -> Shelved:
        folder = RecordingFolder(self._recordings / name)
        with self._guard:
            stamps = _stamp(folder.path / RECORDING_FILE), _stamp(folder.path / MANIFEST_FILE)
            known = self._known.get(name)
            if known is None or known.stamps != stamps:
                known = _look(folder, stamps)
                if len(self._known) < _KNOWN_MAX:
                    self._known[name] = known
            rows, size = known.rows, known.size_bytes
            if known.recording.running or not known.listed:
                open_rows, open_bytes = self._journals(folder, known.listed)
                rows, size = rows + open_rows, size + open_bytes
        return Shelved(folder.path, known.recording, rows, size, len(known.listed))

    def _journals(self, folder: RecordingFolder, listed: frozenset[tuple[str, int]]) -> tuple[int, int]:
        """Count the rows of journals, each from where it was left the last time."""
        rows = size = 0
        paths = {path for key, path in folder.journals().items() if key not in listed}
        for path in [p for p in self._counted if p.parent == folder.path and p not in paths]:
            del self._counted[path]
        for path in paths:
            try:
                counted = self._counted[path] = _count(path, self._counted.get(path))
            except NotFound:
                continue
            rows, size = rows + counted.rows, size + counted.offset
        return rows, size


def _count(path: Path, before: _Counted | None) -> _Counted:
    with JournalReader(path) as reader:
        if before is None or before.salt != reader.salt or before.offset < reader.offset:
            before = _Counted(reader.salt, reader.offset, 0)
        reader.offset = before.offset
        rows = before.rows + sum(block.rows for block in reader.blocks())
        return _Counted(before.salt, reader.offset, rows)


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except FileNotFoundError:
        raise NotFound(f"there is no {path.name} in {path.parent.name}") from None
    except NotADirectoryError:
        raise Corrupt(f"{path.parent.name} is not a folder") from None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _look(folder: RecordingFolder, stamps: tuple[Stamp, Stamp]) -> _Known:
    recording = folder.recording()
    listed, _ = folder.manifest()
    keys = frozenset((segment.stream, segment.index) for segment in listed)
    rows, size = sum(segment.rows for segment in listed), sum(segment.size_bytes for segment in listed)
    return _Known(stamps, recording, keys, rows, size)
