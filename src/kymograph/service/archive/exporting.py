"""What an export is made of: which rows of a recording, as which file. Runs in a worker process."""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import numpy as np

from kymograph.model.block import Block, Rows
from kymograph.model.channel import Stream
from kymograph.model.errors import DiskFull, InvalidInput
from kymograph.model.limits import DISK_LOW_BYTES
from kymograph.store import formats
from kymograph.store.formats.base import Format, Header
from kymograph.store.header import attributes
from kymograph.store.parts import project
from kymograph.store.reader import RecordingReader

ZIP: Final = "application/zip"
_COPY_BYTES: Final = 1 << 20
_SPACE_CHECK_BLOCKS: Final = 64


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """What of a recording is wanted, and as what.

    No `streams` are all of them; more than one make a zip of one file each. No `channels` are all of them,
    else they come in the order they are named. Rows are those with `start_ns` ≤ time < `stop_ns`, and with
    `above` only those where that channel is greater than that number. `options` are the format's own, such
    as `time_digits` of csv.
    """

    recording_id: str
    format: str = "csv"
    streams: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    start_ns: int | None = None
    stop_ns: int | None = None
    above: tuple[str, float] | None = None
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def whole(self) -> bool:
        """Whether nothing is left out and nothing is written in any but the usual way."""
        partial = self.channels or self.above or self.options
        return self.start_ns is None and self.stop_ns is None and not partial

    def to_dict(self) -> dict[str, Any]:
        """Return the request as plain data, the inverse of `request_from_dict`."""
        return asdict(self)


def request_from_dict(data: Mapping[str, Any]) -> ExportRequest:
    """Make the request again that `ExportRequest.to_dict` took apart."""
    above = data["above"]
    return ExportRequest(
        recording_id=data["recording_id"], format=data["format"], streams=tuple(data["streams"]),
        channels=tuple(data["channels"]), start_ns=data["start_ns"], stop_ns=data["stop_ns"],
        above=(above[0], above[1]) if above else None, options=data["options"],
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Plan:
    """A request that was found to be possible."""

    request: ExportRequest
    form: Format
    streams: tuple[Stream, ...]
    filename: str
    media_type: str


def plan(reader: RecordingReader, request: ExportRequest) -> Plan:
    """Check a request against its recording.

    Raises:
        InvalidInput, NotFound: the recording has no such stream or channel, or there is no such format.
    """
    form = formats.find(request.format, **request.options)
    recording = reader.recording
    names = request.streams or tuple(stream.name for stream in recording.streams)
    streams = tuple(reader.stream(name, request.channels or None) for name in names)
    if request.above is not None:
        for name in names:
            reader.stream(name).index(request.above[0])
    base = recording.name.removesuffix(form.suffix)
    if len(streams) > 1:
        return Plan(request, form, streams, f"{base}.{form.name}.zip", ZIP)
    if not streams:
        raise InvalidInput(f"recording {recording.name} has no streams")
    several = len(recording.streams) > 1
    filename = f"{base}.{names[0]}{form.suffix}" if several else base + form.suffix
    return Plan(request, form, streams, filename, form.media_type)


def sealed_file(reader: RecordingReader, planned: Plan) -> Path | None:
    """Return the one sealed file that is already what is wanted, if there is one."""
    recording, request = reader.recording, planned.request
    if recording.running or not request.whole or len(planned.streams) != 1:
        return None
    if recording.format != planned.form.name:
        return None
    with reader.parts(planned.streams[0]) as parts:
        paths = [getattr(part, "path", None) for part in parts]
    return paths[0] if len(paths) == 1 else None


class Exporter:
    """Writes the files of a plan; `check` is called between blocks and may raise to give up."""

    def __init__(self, reader: RecordingReader, planned: Plan, data: Path, check: Callable[[], None]) -> None:
        """Open what there is of each stream at this moment. `data` is the data folder.

        Raises:
            Corrupt: the first piece of a stream is damaged.
        """
        self._reader = reader
        self._plan = planned
        self._data = data
        self._check = check
        self._opened = {stream.name: self._open(stream) for stream in planned.streams}

    def stream_to(self, file: BinaryIO) -> None:
        """Write the export to a file that can only be appended to."""
        if self._plan.media_type != ZIP:
            self._write(file, self._plan.streams[0])
            return
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for stream in self._plan.streams:
                name = f"{self._reader.recording.name}.{stream.name}{self._plan.form.suffix}"
                with archive.open(zipfile.ZipInfo(name), "w", force_zip64=True) as member:
                    self._write_member(cast("BinaryIO", member), stream)

    def temporary(self) -> BinaryIO:
        """Write the export to a file without a name, which goes when it is closed, and return it."""
        return self._temporary(self._plan.streams[0])

    def _write_member(self, member: BinaryIO, stream: Stream) -> None:
        if self._plan.form.streamable:
            counted = Outlet(member.write)
            self._write(cast("BinaryIO", counted), stream)
            return
        with self._temporary(stream) as made:
            made.seek(0)
            shutil.copyfileobj(made, member, _COPY_BYTES)

    def _temporary(self, stream: Stream) -> BinaryIO:
        # Within the data folder there is room for a copy or a clear error; /tmp may be memory.
        folder = self._data / ".tmp"
        folder.mkdir(exist_ok=True)
        made = cast("BinaryIO", tempfile.TemporaryFile(dir=folder))  # noqa: SIM115 - handed to the caller
        try:
            self._write(made, stream)
            made.flush()
        except BaseException:
            made.close()
            raise
        return made

    def _write(self, file: BinaryIO, stream: Stream) -> None:
        station = _station(self._data)
        recording = self._reader.recording
        facts = attributes(recording, stream.name, station["id"], station["name"])
        blocks = self._watched(self._blocks(stream))
        self._plan.form.write(file, Header(stream, recording.started_ns, facts), blocks)

    def _open(self, stream: Stream) -> Iterator[Block]:
        """Begin reading: the files of a stream are found and held open with its first block."""
        request = self._plan.request
        needed = list(stream.channel_names)
        if request.above is not None and request.above[0] not in needed:
            needed.append(request.above[0])
        found = self._reader.blocks(stream.name, request.start_ns, request.stop_ns, channels=needed)
        first = next(found, None)
        return found if first is None else chain([first], found)

    def _blocks(self, stream: Stream) -> Iterator[Block]:
        opened, above = self._opened[stream.name], self._plan.request.above
        return opened if above is None else (project(block, stream) for block in _above(opened, above))

    def _watched(self, blocks: Iterable[Block]) -> Iterator[Block]:
        for count, block in enumerate(blocks):
            self._check()
            if not self._plan.form.streamable and count % _SPACE_CHECK_BLOCKS == 0:
                self._check_space()
            yield block

    def _check_space(self) -> None:
        free = shutil.disk_usage(self._data).free
        if free < DISK_LOW_BYTES:
            raise DiskFull(
                "there is too little room for the temporary copy that this export needs",
                hint="export as csv, jsonl or parquet, which need none",
                free_bytes=free,
            )


def _above(blocks: Iterable[Block], above: tuple[str, float]) -> Iterator[Block]:
    """Yield the rows where a channel is greater than a number; their `seq` means nothing any more."""
    name, bound = above
    for block in blocks:
        columns = block.columns()
        chosen = columns[block.stream.index(name)] > bound
        count = int(np.count_nonzero(chosen))
        if count == block.rows:
            yield block
        elif count:
            part = Rows(block.stream.name, block.time_ns[chosen], [column[chosen] for column in columns])
            yield Block.pack(block.stream, block.epoch, block.seq, part)


def _station(data: Path) -> dict[str, str]:
    try:
        told = json.loads((data / "station.json").read_bytes())
        return {"id": str(told["id"]), "name": str(told["name"])}
    except (OSError, ValueError, KeyError, TypeError):
        return {"id": "", "name": ""}


class Outlet(io.RawIOBase):
    """A file that only grows, for libraries that ask where they are."""

    def __init__(self, write: Callable[[Any], int]) -> None:
        """Hand all bytes to `write`, which takes as many as it says."""
        self._write = write
        self._size = 0

    def writable(self) -> bool:
        """Say that it is."""
        return True

    def write(self, data: Any) -> int:
        """Write all of it."""
        rest = memoryview(data).cast("B")
        size = len(rest)
        while rest:
            rest = rest[self._write(rest) :]
        self._size += size
        return size

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self._size


def pipe_outlet(fd: int) -> Outlet:
    """Return an outlet into a pipe."""
    return Outlet(lambda data: os.write(fd, data))
