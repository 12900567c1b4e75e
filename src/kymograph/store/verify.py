"""Verification: are sealed files what was sealed, are journals whole, and exactly which rows are missing.

Only reads, so that any process may do it at any time, also beside a running recording.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kymograph.model.block import Cursor
from kymograph.model.errors import KymographError, NotFound
from kymograph.model.recording import Recording, Run, Segment
from kymograph.store import formats
from kymograph.store.gaps import DELETED, Gap, between
from kymograph.store.journal import JournalHead, read_blocks
from kymograph.store.recording_folder import RecordingFolder, all_recordings
from kymograph.store.salvage import DAMAGED_SUFFIX, scan
from kymograph.store.sealing import Tally, hash_file

OK = "ok"
DIFFERS = "differs"
MISSING = "missing"
EXTRA = "extra"
"""States of a sealed file: as sealed, changed since, not there, in no manifest."""

Progress = Callable[[str, int, int], None]
"""Told a file's name, the bytes checked so far and all bytes there are to check."""


@dataclass(frozen=True, slots=True)
class FileCheck:
    """A sealed file."""

    filename: str
    state: str
    size_bytes: int
    rows: int


@dataclass(frozen=True, slots=True)
class JournalCheck:
    """A journal: one that is open, or waits to be sealed, or a damaged original that was put aside."""

    filename: str
    frames: int
    rows: int
    tail_bytes: int
    """Behind the last whole frame: normal while it is written to and after a crash."""
    damaged: bool


@dataclass(frozen=True, slots=True)
class RecordingCheck:
    """What is known of one recording."""

    folder: str
    recording_id: str = ""
    name: str = ""
    ended: str = ""
    error: str = ""
    """Why it cannot be read at all."""
    rows: int = 0
    files: tuple[FileCheck, ...] = ()
    journals: tuple[JournalCheck, ...] = ()
    gaps: tuple[Gap, ...] = ()
    """Rows that are missing between two that are there, with the reason where an event tells it."""

    @property
    def ok(self) -> bool:
        """Whether everything that was acknowledged is there unchanged; told gaps do not count against it."""
        files = all(check.state == OK for check in self.files)
        journals = not any(check.damaged for check in self.journals)
        return not self.error and files and journals

    def to_dict(self) -> dict[str, Any]:
        """Return the check as plain data."""
        return {**asdict(self), "ok": self.ok}


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of a data folder."""

    recordings: tuple[RecordingCheck, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether every recording is."""
        return all(check.ok for check in self.recordings)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {"ok": self.ok, "recordings": [check.to_dict() for check in self.recordings]}


def verify(data: Path, progress: Progress = lambda name, done, total: None) -> Report:
    """Check every recording of a data folder.

    Raises:
        StorageError: the folder cannot be read.
    """
    folders = all_recordings(data / "recordings")
    counter = _Counter(progress, sum(_listed_bytes(folder) for folder in folders))
    return Report(tuple(_check(folder, counter) for folder in folders))


def verify_recording(path: Path, progress: Progress = lambda name, done, total: None) -> RecordingCheck:
    """Check the recording in one folder."""
    folder = RecordingFolder(path)
    return _check(folder, _Counter(progress, _listed_bytes(folder)))


class _Counter:
    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._done = 0

    def add(self, name: str, nbytes: int) -> None:
        self._done += nbytes
        self._progress(name, self._done, self._total)


def _listed_bytes(folder: RecordingFolder) -> int:
    try:
        return sum(segment.size_bytes for segment in folder.manifest()[0])
    except KymographError:
        return 0


def _check(folder: RecordingFolder, counter: _Counter) -> RecordingCheck:
    try:
        recording = folder.recording()
        journals = folder.journals()  # before the manifest: a journal sealed meanwhile is then in both
        segments, replaced = folder.manifest()
        deleted = [one.segment for one in folder.deleted()]
        replaced += [segment.filename for segment in deleted]
        files = [*_sealed(folder, segments, counter), *_extra(folder, recording, segments, replaced)]
        pieces = {(s.stream, s.index): Piece(s.runs, s.rows) for s in segments}
        checks: list[JournalCheck] = []
        for key, path in journals.items():
            found = _journal(path, _head(recording, key))
            if found is not None and key not in pieces:
                checks.append(found[0])
                pieces[key] = found[1]
        checks.extend(_put_aside(folder))
        whole = {**pieces, **{(s.stream, s.index): Piece(s.runs, s.rows) for s in deleted}}
        gaps = [gap for stream in recording.streams for gap in gaps_between(stream.name, whole)]
        return RecordingCheck(
            folder.path.name, recording.id, recording.name, recording.ended, "",
            sum(piece.rows for piece in pieces.values()), tuple(files), tuple(checks),
            (*with_reasons(gaps, folder), *_deleted(deleted)),
        )  # fmt: skip
    except KymographError as error:
        return RecordingCheck(folder.path.name, error=str(error))


def journal_pieces(folder: RecordingFolder, recording: Recording) -> dict[tuple[str, int], Piece]:
    """Return which rows the journals of a recording have."""
    found = {key: _journal(path, _head(recording, key)) for key, path in folder.journals().items()}
    return {key: one[1] for key, one in found.items() if one is not None}


def _head(recording: Recording, key: tuple[str, int]) -> JournalHead:
    """Return the head that the journal of that stream and index must have."""
    stream = _stream(recording, key[0])
    return JournalHead(recording.id, recording.name, key[1], stream, recording.started_ns, 0)


def _stream(recording: Recording, name: str) -> Any:
    for stream in recording.streams:
        if stream.name == name:
            return stream
    raise NotFound(f"there is a journal of {name}, which is no stream of {recording.name}")


@dataclass(frozen=True, slots=True)
class Piece:
    """Which rows a file has."""

    runs: Sequence[Run]
    rows: int


def _sealed(folder: RecordingFolder, segments: Sequence[Segment], counter: _Counter) -> Iterator[FileCheck]:
    for segment in segments:
        path = folder.path / segment.filename
        try:
            state = OK if hash_file(path) == segment.sha256 else DIFFERS
        except FileNotFoundError:
            state = MISSING
            if segment.filename not in {s.filename for s in folder.manifest()[0]}:
                state = OK  # merged while we were reading
        except OSError:
            state = DIFFERS
        counter.add(segment.filename, segment.size_bytes)
        yield FileCheck(segment.filename, state, segment.size_bytes, segment.rows)


def _extra(
    folder: RecordingFolder, recording: Recording, segments: Sequence[Segment], replaced: Sequence[str]
) -> Iterator[FileCheck]:
    """Find files of the recording's format that no manifest lists and no sealing is making."""
    suffix = formats.of(recording).suffix
    known = {*replaced, *(segment.filename for segment in segments)}
    known |= {segment.filename for segment in folder.manifest()[0]}
    for path in folder.sealed_files(suffix):
        if path.name not in known and not folder.journal_of(path, recording).exists():
            yield FileCheck(path.name, EXTRA, path.stat().st_size, 0)


def _journal(path: Path, head: JournalHead) -> tuple[JournalCheck, Piece] | None:
    try:
        found = scan(path, head)
        tally = Tally()
        for _ in tally.count(read_blocks(path)):
            pass
    except (NotFound, FileNotFoundError):
        return None
    check = JournalCheck(path.name, found.frames, found.rows, found.tail_bytes, found.damaged)
    return check, Piece(tally.runs, tally.rows)


def _deleted(segments: Sequence[Segment]) -> Iterator[Gap]:
    for segment in segments:
        ends = [*(run.row for run in segment.runs[1:]), segment.rows]
        for run, end in zip(segment.runs, ends, strict=True):
            rows = end - run.row
            yield Gap(segment.stream, run.epoch, run.seq, run.seq + rows, rows, DELETED)


def _put_aside(folder: RecordingFolder) -> Iterator[JournalCheck]:
    for path in sorted(folder.path.glob(f"*.journal{DAMAGED_SUFFIX}*")):
        found = scan(path)
        yield JournalCheck(path.name, found.frames, found.rows, found.tail_bytes, True)


def gaps_between(stream: str, pieces: Mapping[tuple[str, int], Piece]) -> Iterator[Gap]:
    """Yield what is missing between pieces of a stream, in order of their index."""
    place: Cursor | None = None
    for (name, _), piece in sorted(pieces.items(), key=lambda item: item[0]):
        if name != stream or not piece.runs:  # a journal that was just begun has none
            continue
        ends = [*(run.row for run in piece.runs[1:]), piece.rows]
        for run, end in zip(piece.runs, ends, strict=True):
            gap = between(stream, place, run.epoch, run.seq)
            if gap is not None:
                yield gap
            place = Cursor(run.epoch, run.seq + end - run.row)


def with_reasons(gaps: Sequence[Gap], folder: RecordingFolder) -> Iterator[Gap]:
    """Yield the gaps, each with the reason of the event that covers it."""
    told = [event.body for event in folder.events.read() if event.kind == "gap" and "stream" in event.body]
    crashed = [event.body for event in folder.events.read() if event.body.get("reason") == "crash"]
    for gap in gaps:
        reason = gap.reason
        for body in told:
            same = (body["stream"], body["epoch"]) == (gap.stream, gap.epoch)
            to_seq = body["to_seq"]
            inside = body["from_seq"] <= gap.from_seq and (
                to_seq is None or (gap.to_seq is not None and gap.to_seq <= to_seq)
            )
            reason = str(body["reason"]) if same and inside else reason
        for body in crashed:
            if body.get("streams", {}).get(gap.stream) == [gap.epoch, gap.from_seq]:
                reason = "crash"
        yield Gap(gap.stream, gap.epoch, gap.from_seq, gap.to_seq, gap.rows, reason)
