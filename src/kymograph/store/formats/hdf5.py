"""HDF5: one dataset a channel at the root, and the same data as a NeXus entry that viewers plot.

    /timestamp  /time_ns  /<channel> …          what a script reads
    /entry/data/{timestamp, time_ns, <channel> …}    the same datasets by hard links, with signal and axes

Every dataset is chunked, compressed and carries Fletcher-32 checksums; the tree above them is in the
file format of HDF5 1.10, which has checksums too. Specified in docs/format/hdf5.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Final

import numpy as np

from kymograph.model.block import Block, Column, Rows
from kymograph.model.channel import Stream
from kymograph.model.errors import Corrupt
from kymograph.model.limits import BLOCK_ROWS_MAX
from kymograph.store.formats.base import (
    ALL_ROWS,
    Batch,
    Format,
    Header,
    RowRange,
    column_names,
    gather,
    piece_rows,
)
from kymograph.store.formats.instants import SECOND_NS, to_word

TAKEN: Final = ("timestamp", "time_ns", "entry")
_CHUNK_ROWS: Final = 16_384
_LIBVER: Final = ("v110", "v110")
_FILTERS: Final[Mapping[str, Any]] = {
    "maxshape": (None,),
    "compression": "gzip", "compression_opts": 1, "shuffle": True, "fletcher32": True,
}  # fmt: skip


@dataclass(frozen=True)
class Hdf5(Format):
    """HDF5 with checksums, units as attributes, and a NeXus entry."""

    name: ClassVar[str] = "hdf5"
    suffix: ClassVar[str] = ".h5"
    media_type: ClassVar[str] = "application/x-hdf5"
    streamable: ClassVar[bool] = False

    def write(self, file: BinaryIO, header: Header, blocks: Iterable[Block]) -> None:
        """Write whole chunks, so that each is compressed once."""
        h5py: Any = import_module("h5py")

        chunk = _chunk_rows(header.stream)
        rows = piece_rows(header.stream, BLOCK_ROWS_MAX) // chunk * chunk
        with h5py.File(file, "w", libver=_LIBVER) as root:
            data = _lay_out(root, header)
            names = column_names(header.stream, TAKEN)
            end = 0
            for batch in gather(header.stream, blocks, rows):
                end = _append(data, names, batch, end)

    def read(self, path: Path, stream: Stream, rows: RowRange = ALL_ROWS) -> Iterator[Rows]:
        """Read a few chunks at a time, verifying each one's checksum."""
        h5py: Any = import_module("h5py")

        try:
            with h5py.File(path, "r", locking=False) as root:
                yield from _read(root, stream, rows)
        except OSError as error:
            if error.errno is not None:
                raise
            raise Corrupt(f"{path.name} is damaged or not HDF5: {error}") from error
        except (KeyError, ValueError, RuntimeError) as error:
            raise Corrupt(f"{path.name} is not the HDF5 file it should be: {error}") from error


def _chunk_rows(stream: Stream) -> int:
    """Return the rows of a chunk: a power of two, so that chunks of a wide stream are shorter."""
    return min(_CHUNK_ROWS, 1 << piece_rows(stream, _CHUNK_ROWS).bit_length() - 1)


def _lay_out(root: Any, header: Header) -> Any:
    """Make groups, empty datasets and attributes; return the group of the data."""
    stream = header.stream
    names = column_names(stream, TAKEN)
    chunks = (_chunk_rows(stream),)
    started = to_word(header.started_ns)
    entry = _group(root, "entry", "NXentry")
    entry["start_time"] = started
    entry["title"] = str(header.attributes.get("recording", stream.name))
    data = _group(entry, "data", "NXdata")

    timestamp = data.create_dataset("timestamp", (0,), "<f8", chunks=chunks, **_FILTERS)
    timestamp.attrs.update({"units": "s", "long_name": "time since 1970-01-01T00:00:00Z"})
    exact = data.create_dataset("time_ns", (0,), "<i8", chunks=chunks, **_FILTERS)
    exact.attrs.update({"units": "ns", "long_name": "time since 1970-01-01T00:00:00Z, exact"})
    for name, channel, dtype in zip(names, stream.channels, stream.dtypes, strict=True):
        facts = {key: value for key, value in channel.to_dict().items() if value is not None}
        values = data.create_dataset(name, (0,), dtype, chunks=chunks, **_FILTERS)
        values.attrs.update({"units": channel.unit, "long_name": _text(channel.description or channel.name)})
        values.attrs["channel"] = _text(facts)
    for name in ("timestamp", "time_ns", *names):
        root[name] = data[name]

    data.attrs.update({"signal": names[0], "axes": "timestamp", "timestamp_indices": 0})
    if len(names) > 1:
        data.attrs["auxiliary_signals"] = list(names[1:])
    entry.attrs["default"] = "data"
    root.attrs.update({_text(key): _attribute(value) for key, value in header.attributes.items()})
    root.attrs.update({
        "NX_class": "NXroot", "default": "entry",
        "stream": stream.name, "rate_hz": stream.rate_hz, "description": _text(stream.description),
        "start_time": started, "started_ns": header.started_ns,
    })  # fmt: skip
    return data


def _group(parent: Any, name: str, kind: str) -> Any:
    group = parent.create_group(name)
    group.attrs["NX_class"] = kind
    return group


def _attribute(value: Any) -> Any:
    number = isinstance(value, float) or (type(value) is int and abs(value) < 1 << 63)
    return value if number else _text(value)


def _text(value: Any) -> str:
    """Return a value as text; a NUL would end it there, and is spelled out."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.replace("\0", "\\u0000")


def _append(data: Any, names: tuple[str, ...], batch: Batch, start: int) -> int:
    stop = start + len(batch.time_ns)
    seconds = batch.time_ns / SECOND_NS
    columns = [seconds, batch.time_ns, *batch.columns]
    for name, column in zip(("timestamp", "time_ns", *names), columns, strict=True):
        dataset = data[name]
        dataset.resize((stop,))
        dataset[start:stop] = column
    return stop


def _read(root: Any, stream: Stream, rows: RowRange) -> Iterator[Rows]:
    names = column_names(stream, TAKEN)
    times = _dataset(root, "time_ns", np.dtype("<i8"))
    columns = [_dataset(root, n, d) for n, d in zip(names, stream.dtypes, strict=True)]
    if any(column.shape != times.shape for column in columns):
        raise ValueError("its columns are of unequal length")
    start, stop = rows.within(len(times))
    step = max(1, piece_rows(stream, BLOCK_ROWS_MAX) // times.chunks[0]) * times.chunks[0]
    while start < stop:
        # Up to a chunk's edge, so that no chunk is decompressed twice.
        end = min(stop, (start // step + 1) * step)
        values: list[Column] = [column[start:end] for column in columns]
        yield Rows(stream.name, times[start:end], values)
        start = end


def _dataset(root: Any, name: str, dtype: np.dtype[Any]) -> Any:
    """Return a dataset that lies in this very file: HDF5 would follow a link to any other."""
    h5py: Any = import_module("h5py")
    if not isinstance(root.get(name, getlink=True), h5py.HardLink):
        raise ValueError(f"{name} is not in this file")
    found = root[name]
    if found.is_virtual or found.external or found.ndim != 1 or found.dtype != dtype:
        raise ValueError(f"{name} is not a column of {dtype}")
    return found
