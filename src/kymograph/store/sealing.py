"""Sealing: a closed journal becomes an immutable file in the recording's format. Runs in the worker.

tmp, write, fsync, rename, fsync of the folder; SHA-256 while writing where the format only appends. Each
state that a crash can leave is one that the next start accepts: a tmp file is removed, a sealed file that no
manifest lists is made again from its journal.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from kymograph.model.block import Block, Cursor
from kymograph.model.errors import Corrupt
from kymograph.model.recording import Run, Segment
from kymograph.store.durable import TMP_SUFFIX, fsync_folder, storage_error
from kymograph.store.formats import find
from kymograph.store.formats.base import Format, Header
from kymograph.store.gaps import without_repeats
from kymograph.store.journal import JournalReader
from kymograph.store.preview import PreviewBuilder
from kymograph.store.recording_folder import PREVIEW_SUFFIX, stem

log = logging.getLogger(__name__)

_CHUNK: Final = 1 << 20
Beat = Callable[[], None]
"""Called often during long work: a sign of life."""


@dataclass(frozen=True, slots=True)
class SealJob:
    """One journal to be sealed.

    Rows at or before `after` in its epoch are in an earlier segment already; those from `until` on are in
    the next journal.
    """

    folder: str
    stream: str
    index: int
    format: str
    started_ns: int
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    after: Cursor | None = None
    until: Cursor | None = None
    file_stem: str = ""
    """Begins the file's name in place of the stream's."""
    format_options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_dict(self) -> dict[str, Any]:
        """Return the job as plain data."""
        return asdict(self)


def seal_job_from_dict(data: Mapping[str, Any]) -> SealJob:
    """Make the job again that `SealJob.to_dict` took apart."""
    known = dict(data)
    for key in ("after", "until"):
        known[key] = Cursor(*data[key]) if data[key] is not None else None
    return SealJob(**known)


class Tally:
    """Counts blocks as they pass: rows, runs, times."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self.rows = 0
        self.runs: list[Run] = []
        self.first_ns = 0
        self.last_ns = 0
        self._next: tuple[int, int] | None = None

    def count(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Yield the blocks as they are."""
        for block in blocks:
            if (block.epoch, block.seq) != self._next:
                self.runs.append(Run(self.rows, block.epoch, block.seq))
            if not self.rows:
                self.first_ns = block.first_ns
            self.last_ns = block.last_ns
            self.rows += block.rows
            self._next = block.next
            yield block

    def segment(self, stream: str, index: int, path: Path, sha256: str) -> Segment:
        """Return what was counted, as the segment in that file; `sealed_ns` is left to the engine's clock."""
        return Segment(
            stream=stream, index=index, filename=path.name, rows=self.rows, size_bytes=path.stat().st_size,
            sha256=sha256, first_ns=self.first_ns, last_ns=self.last_ns, sealed_ns=0, runs=tuple(self.runs),
        )  # fmt: skip


def seal(job: SealJob, beat: Beat) -> Segment | None:
    """Seal one journal and return the segment, or None if it has no rows to be kept.

    Raises:
        NotFound: the journal is gone.
        StorageError: the disk, or the format; nothing but a tmp file is left.
    """
    folder = Path(job.folder)
    name = stem(job.file_stem or job.stream, job.index)
    source = folder / (stem(job.stream, job.index) + ".journal")
    with JournalReader(source) as reader:
        first = next(journal_blocks(reader, job), None)
        stream = reader.head.stream if reader.head is not None else None
    if first is None or stream is None:
        return None
    form = find(job.format, **job.format_options)
    tally = Tally()
    header = Header(stream, job.started_ns, job.attributes)

    def blocks() -> Iterator[Block]:
        with JournalReader(source) as reader:
            for block in journal_blocks(reader, job):
                beat()
                yield block

    target = folder / (name + form.suffix)
    preview = PreviewBuilder(stream)
    sha256 = write_file(target, form, header, preview.watch(tally.count(blocks())))
    write_preview(preview, folder / (name + PREVIEW_SUFFIX))
    publish(target)
    return tally.segment(job.stream, job.index, target, sha256)


def journal_blocks(reader: JournalReader, job: SealJob) -> Iterator[Block]:
    """Yield the rows of a journal that belong to its segment.

    Raises:
        Corrupt: it is not whole, so that sealing it would lose rows without a word; it stays as it is, and
            the next start puts it aside and says which rows are missing.
    """
    until = job.until
    if until is not None and until.epoch == 0:
        return
    for whole in reader.blocks():
        block = without_repeats(whole, job.after)
        if block is None:
            continue
        if until is not None and block.epoch == until.epoch and block.next.seq >= until.seq:
            if block.seq < until.seq:
                yield block.cut(0, until.seq - block.seq)
            return
        yield block
    if until is not None or reader.offset != reader.path.stat().st_size:
        raise Corrupt(
            f"{reader.path.name} is damaged at byte {reader.offset}",
            hint="it stays as it is; the next start saves what follows the damage",
        )


def tmp_path(target: Path) -> Path:
    """Return the name a file has while it is made."""
    return target.with_name(target.name + TMP_SUFFIX)


def write_file(target: Path, form: Format, header: Header, blocks: Iterable[Block]) -> str:
    """Write a file under its tmp name, durable but not yet published, and return its SHA-256."""
    tmp = tmp_path(target)
    try:
        with tmp.open("w+b") as file:
            if form.streamable:
                hashing = _HashingFile(file)
                form.write(cast("BinaryIO", hashing), header, blocks)
                sha256 = hashing.sha256.hexdigest()
            else:
                form.write(file, header, blocks)
                sha256 = ""
            file.flush()
            os.fsync(file.fileno())
        return sha256 or hash_file(tmp)
    except OSError as error:
        tmp.unlink(missing_ok=True)
        raise storage_error(error, target) from error


def publish(target: Path) -> None:
    """Give a file that `write_file` made its name, durably."""
    try:
        tmp_path(target).replace(target)
        fsync_folder(target.parent)
    except OSError as error:
        raise storage_error(error, target) from error


def hash_file(path: Path, beat: Beat = lambda: None) -> str:
    """Return the SHA-256 of a file."""
    sha256 = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_CHUNK):
            sha256.update(piece)
            beat()
    return sha256.hexdigest()


def write_preview(preview: PreviewBuilder, path: Path) -> None:
    """Write the min/max sidecar that plots are drawn from. It can be made again: no error is raised."""
    try:
        preview.write(path)
    except OSError as error:
        log.warning("no preview %s: %s", path.name, error)


class _HashingFile(io.BufferedIOBase):
    """A file that only grows, hashed on its way to the disk."""

    def __init__(self, file: BinaryIO) -> None:
        self.sha256 = hashlib.sha256()
        self._file = file
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        self._size += len(memoryview(data).cast("B"))
        self._file.write(data)
        return len(memoryview(data).cast("B"))

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        if not self._file.closed:
            self._file.flush()
