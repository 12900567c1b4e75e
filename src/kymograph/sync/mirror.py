"""A mirror: recordings of another station, pulled while they are made, byte for byte.

Each pass asks what the source has, and fetches the difference: sealed files by (index, hash), then the open
tails. A file that fails is tried again at the next pass, and holds up no other: there is no counter that
could move past a hole. Passes follow each other and never overlap.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TextIO

from kymograph.model.errors import (
    Conflict,
    KymographError,
    NotFound,
    StorageError,
    TimedOut,
    Unavailable,
)
from kymograph.model.names import safe_name
from kymograph.service.archive.mirror_folder import MirrorFolder, forsake, read_source
from kymograph.sync.fetching import Fetching
from kymograph.sync.source import Offer, OpenFile, Source
from kymograph.sync.transfer import Away

log = logging.getLogger(__name__)

RECORDINGS: Final = "recordings"
WHOLE: Final = "whole"
SETTLED_S: Final = 60.0
"""How often a recording that is whole and has ended is looked at again: it may have been merged."""
_GROWING: Final = "events"
_DESCRIBED: Final = frozenset({"recording.json", "manifest.json", "SHA256SUMS"})


@dataclass(slots=True)
class Progress:
    """How far one recording has got."""

    recording_id: str
    name: str
    folder: Path
    running: bool = True
    expected: int = 0
    held: int = 0
    rows: int = 0
    tail_bytes: int = 0
    unsealed: int = 0
    """Journals at the source that are still to be sealed."""
    size_bytes: int = 0
    expected_bytes: int = 0
    arriving: dict[str, int] = field(default_factory=dict[str, int])
    """By file on its way: how many of its bytes are here."""
    errors: list[str] = field(default_factory=list[str])

    @property
    def whole(self) -> bool:
        """Whether every sealed file is here."""
        return self.held == self.expected and not self.errors

    @property
    def finished(self) -> bool:
        """Whether it is whole, and nothing will come any more."""
        return self.whole and not self.running and not self.unsealed

    @property
    def state(self) -> str:
        """In a word: `running`, `partial` or `whole`."""
        return "running" if self.running else WHOLE if self.finished else "partial"

    def report(self) -> dict[str, Any]:
        """Return what a source wants to know."""
        return {
            "state": self.state, "expected": self.expected, "held": self.held, "rows": self.rows,
            "tail_bytes": self.tail_bytes,
        }  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return {
            "recording_id": self.recording_id, "name": self.name, "folder": str(self.folder),
            "running": self.running, "expected": self.expected, "held": self.held, "rows": self.rows,
            "tail_bytes": self.tail_bytes, "size_bytes": self.size_bytes,
            "expected_bytes": self.expected_bytes, "whole": self.whole, "state": self.state,
            "errors": self.errors,
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is to be mirrored."""

    recordings: tuple[str, ...] = ()
    """By name or id; none named is all."""
    tails: bool = True


Told = Callable[[Progress], None]


class Mirror:
    """Pulls from one source into one folder. Used by one thread.

    Several sources may go into one folder; a second mirror of the same source is refused.
    """

    def __init__(
        self, source: Source, folder: Path, wishes: Wishes | None = None, told: Told = lambda _: None
    ) -> None:
        """Take the folder for this source.

        Raises:
            Conflict: another process mirrors this source into it.
            StorageError: it cannot be written.
        """
        self._source = source
        self._wishes = wishes or Wishes()
        self._told = told
        self._recordings = folder / RECORDINGS
        self._folders: dict[str, MirrorFolder] = {}
        self._settled: dict[str, float] = {}
        self.seen: dict[str, Progress] = {}
        """By recording: how far it has got."""
        self.refused: dict[str, str] = {}
        """By recording: why nothing could be learned of it at the last pass."""
        try:
            self._recordings.mkdir(parents=True, exist_ok=True)
            self._lock = _lock(folder / f".mirror-{safe_name(source.station_id)}.lock")
        except OSError as error:
            raise StorageError(f"cannot write in {folder}: {error.strerror}") from None
        self._here = dict(self._held_before())
        self._partial = {id for id, (_, state) in self._here.items() if state != WHOLE}

    def close(self) -> None:
        """Let go of the folder."""
        self._lock.close()

    @property
    def finished(self) -> bool:
        """Whether everything is here, and nothing was recording when last looked at."""
        return not self.refused and all(one.finished for one in self.seen.values())

    def pass_once(self) -> bool:
        """Ask what there is, fetch what is missing; return whether all went well.

        Raises:
            Away: the source is.
            StorageError: this side's disk is full or fails.
        """
        well = True
        for id in self._source.ids(self._wishes.recordings, self._known()):
            if self._settled.get(id, 0.0) > time.monotonic():
                continue
            try:
                well = self._one(id) and well
                self.refused.pop(id, None)
            except (Away, StorageError):
                raise
            except KymographError as error:
                log.warning("%s: %s", id, error)
                self.refused[id] = str(error)
                well = False
        return well

    def _known(self) -> Collection[str]:
        """Return the recordings of this source that are here in part, from earlier runs too."""
        return sorted(id for id in self._partial if not (id in self.seen and self.seen[id].finished))

    def _held_before(self) -> Iterator[tuple[str, tuple[Path, str]]]:
        """Yield what earlier runs have fetched of this source: recordings, their folders and states."""
        for path in sorted(self._recordings.iterdir()):
            told = read_source(path) or {}
            if told.get("station_id") == self._source.station_id:
                yield str(told.get("recording_id")), (path, str(told.get("state")))

    def _one(self, id: str) -> bool:
        try:
            # Files first: a journal that is sealed between the two questions is in the offer, and the other
            # way round it would be in neither.
            files = self._source.open_files(id)
            offer = self._source.offer(id)
        except NotFound:
            return self._gone(id)
        folder = self._folder(offer)
        offer = _with_what_is_here(offer, folder)
        progress = self.seen.setdefault(id, Progress(id, offer.recording.name, folder.path))
        progress.running, progress.errors = offer.running, []
        folder.describe(offer.recording)
        self._note(folder, offer, progress)
        self._seal(folder, offer, progress)
        folder.follow(offer.segments)
        progress.unsealed = sum(file.kind == "journal" for file in files)
        self._small(folder, id, files, progress)
        if self._wishes.tails:
            self._tails(folder, id, files, progress)
        self._note(folder, offer, progress)
        if progress.finished:
            self._settled[id] = time.monotonic() + SETTLED_S
        self._told(progress)
        return not progress.errors

    def _gone(self, id: str) -> bool:
        """Deleted at its source: what is here stays, and is all that there will be."""
        self._partial.discard(id)
        known = self._folders.pop(id, None)
        path = known.path if known else self._here[id][0] if id in self._here else None
        if path is not None:
            forsake(path)
        if id in self.seen:
            self.seen[id].running = False
        return True

    def _folder(self, offer: Offer) -> MirrorFolder:
        known = self._folders.get(offer.id)
        if known is None:
            here = self._here[offer.id][0] if offer.id in self._here else None
            known = MirrorFolder(self._recordings, offer.recording, self._source.station, here)
            self._folders[offer.id] = known
            self._partial.add(offer.id)
        return known

    def _note(self, folder: MirrorFolder, offer: Offer, progress: Progress) -> None:
        held = [segment for segment in offer.segments if not folder.lacks(segment)]
        progress.expected, progress.held = len(offer.segments), len(held)
        progress.expected_bytes = sum(segment.size_bytes for segment in offer.segments)
        progress.rows = sum(segment.rows for segment in held)
        progress.size_bytes = sum(segment.size_bytes for segment in held)
        source = {
            "url": self._source.url, "kind": self._source.kind, "station": self._source.station,
            "station_id": self._source.station_id, "recording_id": offer.id, "running": offer.running,
            "last_contact_ns": time.time_ns(), "state": progress.state,
            "error": "; ".join(progress.errors[:3]),
        }  # fmt: skip
        if folder.note(source, offer.segments, offer.deleted):
            self._source.report(offer.id, progress.report())

    # -- sealed files --------------------------------------------------------------------------------------
    def _seal(self, folder: MirrorFolder, offer: Offer, progress: Progress) -> None:
        folder.look()
        now_ns = time.time_ns()
        wanted = [s for s in offer.segments if folder.lacks(s) and not folder.adopt(s, now_ns)]
        if not wanted:
            folder.settle(now_ns)
            return
        fetching = Fetching(self._source, folder, offer.id)

        def show() -> None:
            progress.arriving = dict(fetching.arrived)
            self._told(progress)

        for segment, error in fetching.run(wanted, show):
            if error is not None:
                # Of this file alone: it was merged or deleted meanwhile, or damaged on its way.
                progress.errors.append(f"{segment.filename}: {error.message}")
                log.warning("%s: %s", segment.filename, error)
                continue
            folder.list(segment, time.time_ns())
            progress.held += 1
            progress.rows += segment.rows
            progress.size_bytes += segment.size_bytes
        progress.arriving = {}
        folder.settle(time.time_ns())

    # -- the rest ------------------------------------------------------------------------------------------
    def _small(self, folder: MirrorFolder, id: str, files: Collection[OpenFile], progress: Progress) -> None:
        for file in files:
            if file.kind == "journal" or file.filename in _DESCRIBED:
                continue
            if folder.size_of(file.filename) == file.size_bytes:
                continue
            try:
                folder.keep(file.filename, self._source.small(id, file.filename))
            except NotFound as error:
                progress.errors.append(f"{file.filename}: {error.message}")

    def _tails(self, folder: MirrorFolder, id: str, files: Collection[OpenFile], progress: Progress) -> None:
        journals = [file for file in files if file.kind == "journal"]
        progress.tail_bytes = 0
        for file in journals:
            try:
                progress.tail_bytes += self._tail(folder, id, file)
            except NotFound:
                pass  # sealed this very moment: it comes as a sealed file at the next pass
        for name in folder.retire_tails(file.filename for file in journals):
            log.warning("%s: the source has lost rows that are here; they are kept in %s", id, name)

    def _tail(self, folder: MirrorFolder, id: str, file: OpenFile) -> int:
        size, tag = folder.tail(file.filename)
        if size > file.size_bytes:
            folder.set_aside(file.filename)  # cut by the source's recovery
            size, tag = 0, ""
        elif size == file.size_bytes:
            return size
        with self._source.fetch(id, file.filename, size, tag) as found:
            if found is None:
                return size
            if found.offset < size:
                folder.set_aside(file.filename)  # another journal under the same name
            return folder.extend(file.filename, found.pieces, found.offset)


def _with_what_is_here(offer: Offer, folder: MirrorFolder) -> Offer:
    """Return the offer with what its source has deleted to make room, and is here: here it stays."""
    here = tuple(segment for segment in offer.deleted if not folder.lacks(segment))
    gone = tuple(segment for segment in offer.deleted if segment not in here)
    segments = sorted((*offer.segments, *here), key=lambda segment: (segment.stream, segment.index))
    return replace(offer, segments=tuple(segments), deleted=gone)


def _lock(path: Path) -> TextIO:
    file = path.open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise Conflict(
            "this station is being mirrored into this folder already",
            hint="end the other mirror",
            path=str(path),
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file


def passing(error: KymographError) -> bool:
    """Return whether an error may be gone at the next pass."""
    return isinstance(error, Unavailable | TimedOut | StorageError)
