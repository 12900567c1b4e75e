"""What `kymograph verify --rebuild` does: indexes made anew from the files that they describe.

Needs the data folder to itself, so the station must be stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from kymograph.model.block import Block, Rows
from kymograph.model.channel import Stream
from kymograph.model.clock import Clock
from kymograph.model.errors import Corrupt, KymographError, NotFound
from kymograph.model.recording import Recording, Segment
from kymograph.store import formats
from kymograph.store.catalog import Catalog
from kymograph.store.folder import DataFolder
from kymograph.store.gaps import make_event
from kymograph.store.recording_folder import RecordingFolder, all_recordings, parse_name
from kymograph.store.sealing import Tally, hash_file


@dataclass(slots=True)
class Rebuilt:
    """What was made anew."""

    recordings: int = 0
    """In the catalog now."""
    adopted: list[str] = field(default_factory=list[str])
    """Sealed files that no manifest listed and one lists now, as `folder/file`."""
    failed: dict[str, str] = field(default_factory=dict[str, str])
    """Files that could not be taken in, and why."""


def rebuild(data: DataFolder, clock: Clock, progress: Callable[[str], None] = lambda name: None) -> Rebuilt:
    """Take sealed files that are in no manifest into theirs, and make the catalog anew.

    A format cannot say which epoch and seq its rows had; they are numbered anew, and an alarm event of the
    recording says so. `progress` is told each file that is read.

    Raises:
        StorageError: the folder cannot be read or written.
    """
    done = Rebuilt()
    for folder in all_recordings(data.recordings):
        progress(folder.path.name)
        if folder.mirrored:
            continue
        try:
            _adopt_all(folder, clock, done)
        except KymographError as error:
            done.failed[folder.path.name] = str(error)
    catalog = Catalog.open(data.path)
    try:
        done.recordings = catalog.rebuild()
    finally:
        catalog.close()
    return done


def _adopt_all(folder: RecordingFolder, clock: Clock, done: Rebuilt) -> None:
    recording = folder.recording()
    try:
        (listed, replaced), deleted = folder.manifest(), folder.deleted()
    except (NotFound, Corrupt):
        listed, replaced, deleted = [], [], []
    known = {*replaced, *(segment.filename for segment in listed)}
    known |= {one.segment.filename for one in deleted}
    adopted: list[Segment] = []
    for path in folder.sealed_files(formats.of(recording).suffix):
        stream = _stream_of(path, recording)
        if path.name in known or folder.journal_of(path, recording).exists() or stream is None:
            continue
        name = f"{folder.path.name}/{path.name}"
        try:
            adopted.append(_adopt(path, recording, stream, [*listed, *adopted]))
            done.adopted.append(name)
        except (KymographError, OSError) as error:
            done.failed[name] = str(error)
    if not adopted:
        return
    adopted = [replace(segment, sealed_ns=clock.now_ns()) for segment in adopted]
    segments = sorted([*listed, *adopted], key=lambda s: (s.stream, s.index))
    folder.write_manifest(recording.id, segments, replaced, deleted)
    names = [segment.filename for segment in adopted]
    text = f"{len(names)} sealed files were in no manifest; they are listed again, their rows numbered anew"
    folder.events.append(make_event(clock, "alarm", {"text": text, "files": names}))
    folder.events.close()


def _stream_of(path: Path, recording: Recording) -> Stream | None:
    """Return the stream that a file's name says, or the only one there is."""
    parts = parse_name(path.name)
    named = recording.stream_of(parts[0]) if parts is not None else None
    return named or (recording.streams[0] if len(recording.streams) == 1 else None)


def _adopt(path: Path, recording: Recording, stream: Stream, before: list[Segment]) -> Segment:
    parts = parse_name(path.name)
    of_stream = [segment for segment in before if segment.stream == stream.name]
    index = parts[1] if parts is not None else max((s.index for s in of_stream), default=-1) + 1
    epoch = recording.started_ns // 1_000_000
    seq = max((s.next.seq for s in of_stream if s.next.epoch == epoch), default=0)
    tally = Tally()
    for _ in tally.count(_numbered(formats.of(recording).read(path, stream), stream, epoch, seq)):
        pass
    if not tally.rows:
        raise Corrupt(f"{path.name} has no rows")
    return tally.segment(stream.name, index, path, hash_file(path))


def _numbered(pieces: Iterator[Rows], stream: Stream, epoch: int, seq: int) -> Iterator[Block]:
    for piece in pieces:
        block = Block.pack(stream, epoch, seq, piece)
        yield block
        seq += block.rows
