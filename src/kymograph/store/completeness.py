"""Making the completeness ledger of a recording: what its folder is held against, and what is remembered.

A recording's own folder is held against its manifest; a mirror's against what its source has, as
`mirror.json` remembers it. Rows are missing if their numbers are known and they are in no file. A silence is
listed too: no row was made, so none is missing.

`verified` is a promise about bytes: they were read and hashed to the sealed hash, and the file has not
changed since. What was hashed is remembered in `verified.json` beside the files, which may be lost: then
hashing begins anew.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, cast

from kymograph.model.errors import KymographError
from kymograph.model.recording import Recording, Segment, segment_from_dict
from kymograph.store.durable import write_durably
from kymograph.store.gaps import DELETED, Gap
from kymograph.store.ledger import (
    DIFFERS,
    HELD,
    MISSING,
    QUIET,
    VERIFIED,
    FileLedger,
    Ledger,
    MissingRows,
    StreamLedger,
)
from kymograph.store.recording_folder import MIRROR_FILE, SUMS_FILE, RecordingFolder
from kymograph.store.sealing import hash_file
from kymograph.store.verify import Piece, Progress, gaps_between, journal_pieces, with_reasons

VERIFIED_FILE: Final = "verified.json"
_WORDS: Final = {"damage": "frame damaged", "device": "lost by the device"}


@dataclass(slots=True)
class _Known:
    """Which files were hashed: size, modification time and hash of each, and when."""

    path: Path
    files: dict[str, list[Any]] = field(default_factory=dict[str, list[Any]])
    changed: bool = False

    @classmethod
    def load(cls, folder: Path) -> _Known:
        try:
            told = json.loads((folder / VERIFIED_FILE).read_bytes())
            return cls(folder, {str(name): list(mark) for name, mark in told["files"].items()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls(folder)

    def mark(self, path: Path, segment: Segment, now_ns: int) -> None:
        self.files[path.name] = [*_marks(path.stat(), segment), now_ns]
        self.changed = True

    def has(self, name: str, status: os.stat_result, segment: Segment) -> bool:
        return self.files.get(name, [])[:-1] == _marks(status, segment)

    def latest_ns(self, names: Sequence[str]) -> int | None:
        return max((self.files[name][-1] for name in names), default=None)

    def save(self) -> None:
        if self.changed:
            try:
                write_durably(self.path / VERIFIED_FILE, json.dumps({"files": self.files}).encode())
            except KymographError:
                pass  # on a folder that may only be read: it is hashed again next time


def _marks(stat: os.stat_result, segment: Segment) -> list[Any]:
    return [stat.st_size, stat.st_mtime_ns, stat.st_ino, segment.sha256]


def ledger(
    path: Path,
    now_ns: int,
    verify: bool = False,
    progress: Progress = lambda name, done, total: None,
) -> Ledger:
    """Return the completeness of the recording in a folder; with `verify`, hash what was not hashed yet.

    Raises:
        NotFound, Corrupt, StorageError: the folder cannot be read.
    """
    folder = RecordingFolder(path)
    recording = folder.recording()
    source = read_source(path)
    tails = journal_pieces(folder, recording)  # before the manifest: what is sealed meanwhile is then in both
    listed, _ = folder.manifest()
    expected = listed if source is None else [segment_from_dict(s) for s in source["segments"]]
    deleted = _deleted(folder, source)
    known = _Known.load(path)
    states = dict(_states(path, expected, known, now_ns, _hasher(verify, expected, progress)))
    known.save()
    sealed = {(segment.stream, segment.index) for segment in expected}
    tails = {key: piece for key, piece in tails.items() if key not in sealed}
    sure = [name for name, state in states.items() if state == VERIFIED]
    running = recording.running if source is None else bool(source.get("running"))
    told = None if source is None else {key: value for key, value in source.items() if key != "segments"}
    return Ledger(
        recording.id, recording.name, path.name, running, told,
        tuple(
            _stream(folder, recording, _Held(s.name, expected, states, tails, deleted))
            for s in recording.streams
        ),
        tuple(
            FileLedger(s.filename, s.stream, s.index, s.rows, s.size_bytes, s.sha256, states[s.filename])
            for s in expected
        ),
        _root_hash(path), known.latest_ns(sure), now_ns,
    )  # fmt: skip


def remember(path: Path, segments: Iterable[Segment], now_ns: int) -> None:
    """Take note that these sealed files were hashed just now, and are what was sealed."""
    known = _Known.load(path)
    for segment in segments:
        known.mark(path / segment.filename, segment, now_ns)
    known.save()


def read_source(path: Path) -> dict[str, Any] | None:
    """Return what a mirror knows of its source, None if the folder is no mirror's."""
    try:
        told = json.loads((path / MIRROR_FILE).read_bytes())
    except (OSError, ValueError):
        return None
    return cast("dict[str, Any]", told) if isinstance(told, dict) and "segments" in told else None


def _root_hash(path: Path) -> str:
    try:
        return hashlib.sha256((path / SUMS_FILE).read_bytes()).hexdigest()
    except OSError:
        return ""


Hash = Callable[[Path, Segment], "bool | None"]


def _hasher(verify: bool, expected: Sequence[Segment], progress: Progress) -> Hash:
    total, done = sum(segment.size_bytes for segment in expected), 0

    def check(path: Path, segment: Segment) -> bool | None:
        nonlocal done
        if not verify:
            return None
        same = hash_file(path) == segment.sha256
        done += segment.size_bytes
        progress(segment.filename, done, total)
        return same

    return check


def _states(
    path: Path, expected: Sequence[Segment], known: _Known, now_ns: int, check: Hash
) -> Iterator[tuple[str, str]]:
    for segment in expected:
        file = path / segment.filename
        try:
            state = _state(file, segment, known, now_ns, check)
        except FileNotFoundError:
            state = MISSING
        except OSError:
            state = DIFFERS
        yield segment.filename, state


def _state(file: Path, segment: Segment, known: _Known, now_ns: int, check: Hash) -> str:
    status = file.stat()
    if status.st_size != segment.size_bytes:
        return DIFFERS
    if known.has(file.name, status, segment):
        return VERIFIED
    same = check(file, segment)
    if same is None:
        return HELD
    if same:
        known.mark(file, segment, now_ns)
        return VERIFIED
    return DIFFERS


def _deleted(folder: RecordingFolder, source: Mapping[str, Any] | None) -> list[Segment]:
    """Return which segments are not here on purpose: of a mirror, what its source deleted before it came."""
    if source is None:
        return [one.segment for one in folder.deleted()]
    return [segment_from_dict(one) for one in source.get("deleted") or ()]


@dataclass(frozen=True, slots=True)
class _Held:
    """What there is and was of one stream."""

    stream: str
    expected: Sequence[Segment]
    states: Mapping[str, str]
    tails: Mapping[tuple[str, int], Piece]
    deleted: Sequence[Segment]


def _stream(folder: RecordingFolder, recording: Recording, all_: _Held) -> StreamLedger:
    stream, states = all_.stream, all_.states
    segments = [segment for segment in all_.expected if segment.stream == stream]
    deleted = [segment for segment in all_.deleted if segment.stream == stream]
    there = [s for s in segments if states[s.filename] in (VERIFIED, HELD)]
    pieces = {(s.stream, s.index): Piece(s.runs, s.rows) for s in segments}
    whole = {**pieces, **{(s.stream, s.index): Piece(s.runs, s.rows) for s in deleted}}
    mine = {key: piece for key, piece in all_.tails.items() if key[0] == stream}
    gaps = list(with_reasons(list(gaps_between(stream, {**whole, **mine})), folder))
    why = {MISSING: "never fetched" if folder.mirrored else "file gone", DIFFERS: "file changed"}
    not_here = [s for s in segments if states[s.filename] not in (VERIFIED, HELD)]
    lost = _joined(row for s in not_here for row in _of(s, why[states[s.filename]]))
    lost += _joined(row for s in deleted for row in _of(s, DELETED))
    told = [_until_a_row(one, segments) for one in _told(folder, recording, stream)]
    known = {(one.epoch, one.from_seq) for one in told}  # with their times, which the numbers alone lack
    lost += [
        _missing(gap) for gap in gaps if gap.reason != "epoch" and (gap.epoch, gap.from_seq) not in known
    ]
    lost += told
    epochs = {run.epoch for piece in (*pieces.values(), *mine.values()) for run in piece.runs}
    tail_rows = sum(piece.rows for piece in mine.values())
    return StreamLedger(
        stream, len(epochs),
        sum(s.rows for s in (*segments, *deleted)) + tail_rows + sum(g.rows or 0 for g in gaps),
        sum(s.rows for s in there) + tail_rows,
        sum(s.rows for s in there if states[s.filename] == VERIFIED),
        tail_rows,
        min((s.first_ns for s in segments), default=None), max((s.last_ns for s in segments), default=None),
        tuple(sorted(lost, key=lambda m: (m.epoch, m.from_seq))),
    )  # fmt: skip


def _joined(ranges: Iterable[MissingRows]) -> list[MissingRows]:
    """Return ranges with those that follow each other, for the same reason, as one."""
    joined: list[MissingRows] = []
    for one in sorted(ranges, key=lambda m: (m.epoch, m.from_seq)):
        last = joined[-1] if joined else None
        if last and (last.epoch, last.to_seq, last.reason) == (one.epoch, one.from_seq, one.reason):
            joined[-1] = replace(
                last, to_seq=one.to_seq, rows=(last.rows or 0) + (one.rows or 0), until_ns=one.until_ns,
                files=(*last.files, *one.files),
            )  # fmt: skip
        else:
            joined.append(one)
    return joined


def _of(segment: Segment, reason: str) -> Iterator[MissingRows]:
    """Yield the rows of a file that is not there, run by run."""
    ends = [*(run.row for run in segment.runs[1:]), segment.rows]
    for run, end in zip(segment.runs, ends, strict=True):
        rows = end - run.row
        yield MissingRows(
            run.epoch, run.seq, run.seq + rows, rows, segment.first_ns, segment.last_ns, reason,
            (segment.filename,),
        )  # fmt: skip


def _missing(gap: Gap) -> MissingRows:
    reason = _WORDS.get(gap.reason, gap.reason)
    return MissingRows(gap.epoch, gap.from_seq, gap.to_seq, gap.rows, None, None, reason)


def _until_a_row(one: MissingRows, segments: Sequence[Segment]) -> MissingRows:
    """Return what a crash cost up to the first row after it: the device may have sent before it was read."""
    later = (segment for segment in segments if segment.runs and segment.runs[0].epoch > one.epoch)
    first = min(later, key=lambda segment: segment.index, default=None)
    if one.reason != "crash" or one.until_ns is None or first is None:
        return one
    return replace(one, until_ns=max(one.until_ns, first.first_ns))


def _told(folder: RecordingFolder, recording: Recording, stream: str) -> Iterator[MissingRows]:
    """Yield what events tell of times without rows: silences, and what came between a crash and the next."""
    for event in folder.events.read():
        body = event.body
        if event.kind != "gap":
            continue
        if body.get("reason") == "crash" and stream in (body.get("streams") or {}):
            epoch, seq = body["streams"][stream]
            until_ns = body.get("to_ns") if body.get("continued") else recording.ended_ns
            yield MissingRows(epoch, seq, None, None, body.get("from_ns"), until_ns, "crash")
        elif body.get("stream") == stream and body.get("reason") in QUIET and body.get("from_ns"):
            seq = int(body["from_seq"])
            yield MissingRows(
                body["epoch"], seq, body.get("to_seq"), None, body["from_ns"], body.get("until_ns"),
                str(body["reason"]),
            )  # fmt: skip
