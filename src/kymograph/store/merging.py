"""Merging: the sealed segments of a stream become one file, once the recording has ended. Runs in the worker.

The segments are read back (their SHA-256 checked first), written as one file, and that file is read back in
turn: its rows and the checksum of every column must be those of the segments. Only then is it published; the
engine switches the manifest, and only then are the segments deleted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from kymograph.model.block import Block, Column, Rows
from kymograph.model.channel import Stream, stream_from_dict
from kymograph.model.errors import Corrupt
from kymograph.model.recording import Segment, segment_from_dict
from kymograph.store.formats import find
from kymograph.store.formats.base import Format, Header
from kymograph.store.frames import crc32c
from kymograph.store.preview import PreviewBuilder
from kymograph.store.recording_folder import PREVIEW_SUFFIX
from kymograph.store.sealing import (
    Beat,
    Tally,
    hash_file,
    publish,
    tmp_path,
    write_file,
    write_preview,
)


@dataclass(frozen=True, slots=True)
class MergeJob:
    """The segments of one stream, in order, and the stem of the file they become."""

    folder: str
    stream: Stream
    segments: Sequence[Segment]
    target: str
    format: str
    started_ns: int
    attributes: Mapping[str, Any] = field(default_factory=dict[str, Any])
    format_options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def to_dict(self) -> dict[str, Any]:
        """Return the job as plain data."""
        plain = {key: getattr(self, key) for key in MergeJob.__dataclass_fields__}
        segments = [segment.to_dict() for segment in self.segments]
        return {**plain, "stream": self.stream.to_dict(), "segments": segments}


def merge_job_from_dict(data: Mapping[str, Any]) -> MergeJob:
    """Make the job again that `MergeJob.to_dict` took apart."""
    known = dict(data)
    known["stream"] = stream_from_dict(data["stream"])
    known["segments"] = tuple(segment_from_dict(segment) for segment in data["segments"])
    return MergeJob(**known)


def merge(job: MergeJob, beat: Beat) -> Segment:
    """Make the one file and return it as a segment with index 0.

    Raises:
        Corrupt: a segment is not what was sealed, or the new file does not read back as the same rows.
        StorageError: the disk.
    """
    folder = Path(job.folder)
    form = find(job.format, **job.format_options)
    for segment in job.segments:
        if hash_file(folder / segment.filename, beat) != segment.sha256:
            raise Corrupt(f"{segment.filename} is not what was sealed; it is left as it is")
    target = folder / (job.target + form.suffix)
    tally, wrote = Tally(), ColumnSums(job.stream)

    def blocks() -> Iterator[Block]:
        for segment in job.segments:
            yield from segment_blocks(folder, form, job.stream, segment, beat)

    header = Header(job.stream, job.started_ns, job.attributes)
    preview = PreviewBuilder(job.stream)
    sha256 = write_file(target, form, header, preview.watch(tally.count(_summed(blocks(), wrote))))
    read = ColumnSums(job.stream)
    for rows in form.read(tmp_path(target), job.stream):
        beat()
        read.add(rows.time_ns, [*rows.columns])
    if read != wrote:
        tmp_path(target).unlink(missing_ok=True)
        raise Corrupt(f"{target.name} does not read back as it was written; the segments stay")
    write_preview(preview, folder / (job.target + PREVIEW_SUFFIX))
    publish(target)
    return tally.segment(job.stream.name, 0, target, sha256)


def segment_blocks(
    folder: Path, form: Format, stream: Stream, segment: Segment, beat: Beat = lambda: None
) -> Iterator[Block]:
    """Yield a sealed segment's rows with the identity that its runs give them.

    Raises:
        Corrupt: the file has not the rows it was listed with.
    """
    row, runs = 0, list(segment.runs)
    for rows in form.read(folder / segment.filename, stream):
        beat()
        start, count = 0, len(rows.time_ns)
        while start < count:
            while len(runs) > 1 and runs[1].row <= row:
                runs.pop(0)
            stop = min(count, start + runs[1].row - row) if len(runs) > 1 else count
            part = Rows(stream.name, rows.time_ns[start:stop], [c[start:stop] for c in rows.columns])
            yield Block.pack(stream, runs[0].epoch, runs[0].seq + row - runs[0].row, part)
            row, start = row + stop - start, stop
    if row != segment.rows:
        raise Corrupt(f"{segment.filename} has {row} rows and should have {segment.rows}")


@dataclass(slots=True)
class ColumnSums:
    """Rows and a CRC-32C a column, whatever the pieces they come in. Every NaN counts as the same."""

    stream: Stream
    rows: int = 0
    sums: list[int] = field(default_factory=list[int])

    def add(self, time_ns: Column, columns: Sequence[Column]) -> None:
        """Count one piece."""
        self.sums = self.sums or [0] * (1 + len(self.stream.channels))
        dtypes = (np.dtype("<i8"), *self.stream.dtypes)
        for i, (dtype, column) in enumerate(zip(dtypes, (time_ns, *columns), strict=True)):
            plain = np.ascontiguousarray(column, dtype)
            if dtype.kind == "f" and np.isnan(plain).any():
                plain = np.where(np.isnan(plain), dtype.type(np.nan), plain)
            self.sums[i] = crc32c(plain.data.cast("B"), self.sums[i])
        self.rows += len(time_ns)


def _summed(blocks: Iterable[Block], sums: ColumnSums) -> Iterator[Block]:
    for block in blocks:
        sums.add(block.time_ns, block.columns())
        yield block
