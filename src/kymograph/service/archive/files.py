"""The files of a recording as they can be taken away: which there are, what each is, and its entity tag.

Only names that the manifest or a listing of the folder gives are ever opened, and no link is followed: a name
from a client never becomes a path.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from kymograph.model.errors import NotFound
from kymograph.model.recording import Segment
from kymograph.store import journal
from kymograph.store.frames import PREAMBLE
from kymograph.store.recording_folder import (
    ATTACHMENT_SUFFIXES,
    EVENTS_FILE,
    MANIFEST_FILE,
    MIRROR_FILE,
    RECORDING_FILE,
    SUMS_FILE,
    RecordingFolder,
)

Plain = dict[str, Any]
_KINDS: Final = {
    EVENTS_FILE: "events",
    RECORDING_FILE: "description",
    MANIFEST_FILE: "description",
    SUMS_FILE: "sums",
}
_OURS: Final = frozenset({MIRROR_FILE, "verified.json"})


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a recording. `tag` changes when its bytes do; a journal's stays while it grows."""

    path: Path
    kind: str
    tag: str
    size_bytes: int


def list_files(folder: Path, sealed: bool) -> list[Plain]:
    """Return `filename kind size_bytes sha256` of the files in a recording's folder.

    Raises:
        NotFound: the folder is gone.
    """
    segments = sealed_segments(folder)
    found = [_plain(file, segments) for file in _files(folder, segments)]
    return [one for one in found if sealed or one["kind"] != "sealed"]


def find_file(folder: Path, filename: str) -> StoredFile:
    """Return one file by its name.

    Raises:
        NotFound: there is none of that name.
    """
    segments = sealed_segments(folder)
    for file in _files(folder, segments, filename):
        return file
    raise NotFound("the recording has no file of that name", hint="list its files again")


def _plain(file: StoredFile, segments: Mapping[str, Segment]) -> Plain:
    known = segments.get(file.path.name)
    return {
        "filename": file.path.name, "kind": file.kind, "size_bytes": file.size_bytes,
        "sha256": None if known is None else known.sha256,
    }  # fmt: skip


def sealed_segments(folder: Path) -> Mapping[str, Segment]:
    """Return the segments of a recording by file name, in the order of its manifest.

    Raises:
        NotFound: there is no manifest.
    """
    try:
        status = (folder / MANIFEST_FILE).stat()
    except OSError:
        raise NotFound("the recording has no manifest", path=str(folder)) from None
    return _listed(folder, (status.st_mtime_ns, status.st_size, status.st_ino))


@lru_cache(maxsize=8)
def _listed(folder: Path, _marks: tuple[int, int, int]) -> Mapping[str, Segment]:
    """Read a manifest; again only when it was written anew. With 10 000 segments that takes a while."""
    listed, _ = RecordingFolder(folder).manifest()
    return {segment.filename: segment for segment in listed}


def _files(folder: Path, segments: Mapping[str, Segment], only: str | None = None) -> Iterator[StoredFile]:
    if only is not None and only in segments:
        names = [only]
    else:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if only is None or entry.name == only)
    for name in names:
        try:
            status = (folder / name).lstat()
        except FileNotFoundError:
            continue  # sealed, merged or replaced this very moment
        if not stat.S_ISREG(status.st_mode):
            continue
        kind = _kind(name, segments)
        if kind is not None:
            yield StoredFile(folder / name, kind, _tag(folder / name, kind, status, segments), status.st_size)


def _kind(name: str, segments: Mapping[str, Segment]) -> str | None:
    if name in segments:
        return "sealed"
    if name.endswith(journal.SUFFIX):
        return "journal"
    if name in _OURS:
        return None
    return _KINDS.get(name) or ("attachment" if Path(name).suffix in ATTACHMENT_SUFFIXES else None)


def _tag(path: Path, kind: str, status: os.stat_result, segments: Mapping[str, Segment]) -> str:
    if kind == "sealed":
        return segments[path.name].sha256
    if kind == "journal":
        try:
            with path.open("rb") as file:
                return "journal-" + file.read(PREAMBLE.size).hex()
        except OSError:
            return "journal-gone"
    return f"{status.st_mtime_ns:x}-{status.st_size:x}-{status.st_ino:x}"
