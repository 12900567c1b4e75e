"""The preview of a segment: minimum and maximum of each channel over every 1024 rows, for plots of hours.

Derived, so it may be missing, old or damaged: then it is computed from rows. Its bins begin at every 1024th
row of the segment, so that it is also the index by which a time range is found in a long file.

    0   magic    89 4B 59 4D 50 0D 0A 1A        "\\x89KYMP\\r\\n\\x1a"
    8   version  u32   1
    12  length   u32   of the head, a multiple of 8
    16  crc      u32   CRC-32C of the head
    20  zero     u32
    24  head     JSON padded with spaces: stream, rows, bin_rows, columns[{name, what, dtype, crc}]
        columns  each of `bins` items, padded to a multiple of 8: time_ns, then low and high of each channel

The whole specification: docs/format/preview.md.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import crc32c as _crc32c_module
import numpy as np

from kymograph.model.block import Block, Column, Times
from kymograph.model.channel import Stream
from kymograph.model.limits import BLOCK_ROWS_MAX
from kymograph.store.formats.base import Batch, join

SUFFIX: Final = ".preview"
BIN_ROWS: Final = 1024
NONE: Final = 0
SOME: Final = 1
ALL: Final = 2
_MAGIC: Final = b"\x89KYMP\r\n\x1a"
_PREAMBLE: Final = struct.Struct("<8sIIII")
_VERSION: Final = 1
_HEAD_BYTES_MAX: Final = 1 << 20

_crc32c: Any = cast("Any", _crc32c_module).crc32c


class Bins(NamedTuple):
    """Consecutive bins: the time of each one's first row, its number of rows, and each channel's extremes.

    NaN counts only where there is nothing else.
    """

    time_ns: Times
    rows: Column
    lows: Sequence[Column]
    highs: Sequence[Column]


def preview_path(segment: Path) -> Path:
    """Return where the preview of a sealed file is."""
    return segment.with_suffix(SUFFIX)


def extremes(column: Column) -> tuple[Column, Column]:
    """Return minimum and maximum of each row of a two-dimensional array, NaN left out."""
    low, high = column.min(axis=1), column.max(axis=1)
    if column.dtype.kind == "f" and np.isnan(low).any():
        # Slower than min and max, which answer NaN where there is one.
        low, high = np.fmin.reduce(column, axis=1), np.fmax.reduce(column, axis=1)
    return low, high


class PreviewBuilder:
    """Makes the preview of blocks that pass by on their way to a file."""

    def __init__(self, stream: Stream) -> None:
        """Begin without rows."""
        self._stream = stream
        self._waiting: list[Block] = []
        self._waiting_rows = 0
        self._parts: list[list[Column]] = []
        self._rows = 0

    def watch(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """Yield the blocks as they are, having seen them."""
        for block in blocks:
            self.add(block)
            yield block

    def add(self, block: Block) -> None:
        """Take a block's rows into account."""
        self._waiting.append(block)
        self._waiting_rows += block.rows
        if self._waiting_rows >= BLOCK_ROWS_MAX:
            self._reduce(self._waiting_rows // BIN_ROWS * BIN_ROWS)

    def write(self, path: Path) -> None:
        """Write the preview of all blocks so far and begin anew; a reader sees all of it or nothing.

        Raises:
            OSError: it could not be written; nothing depends on it.
        """
        self._reduce(self._waiting_rows)
        columns = self._columns()
        names = [("time_ns", "first")]
        names += [(name, what) for name in self._stream.channel_names for what in ("low", "high")]
        bodies = [_padded(column.tobytes()) for column in columns]
        head = {
            "stream": self._stream.name, "rows": self._rows, "bin_rows": BIN_ROWS,
            "columns": [
                {"name": name, "what": what, "dtype": column.dtype.str, "crc": _crc32c(body)}
                for (name, what), column, body in zip(names, columns, bodies, strict=True)
            ],
        }  # fmt: skip
        text = _padded(json.dumps(head, separators=(",", ":")).encode(), b" ")
        preamble = _PREAMBLE.pack(_MAGIC, _VERSION, len(text), _crc32c(text), 0)
        tmp = path.with_name(path.name + ".tmp")
        with tmp.open("wb") as file:
            file.writelines([preamble, text, *bodies])
        tmp.replace(path)
        self._parts, self._rows = [], 0

    def _reduce(self, rows: int) -> None:
        if not rows:
            return
        batch = join(self._stream, self._waiting)
        self._parts.append(_bins_of(batch, rows))
        self._rows += rows
        # What is left over is less than a bin, of one or more small blocks.
        left = self._waiting_rows = self._waiting_rows - rows
        keep: list[Block] = []
        while left > 0:
            block = self._waiting.pop()
            keep.append(block.cut(max(0, block.rows - left), block.rows))
            left -= keep[-1].rows
        self._waiting = keep[::-1]

    def _columns(self) -> list[Column]:
        if not self._parts:
            dtypes = [np.dtype("<i8"), *(d for dtype in self._stream.dtypes for d in (dtype, dtype))]
            return [np.empty(0, dtype) for dtype in dtypes]
        return [np.concatenate([part[i] for part in self._parts]) for i in range(len(self._parts[0]))]


def _bins_of(batch: Batch, rows: int) -> list[Column]:
    whole = rows // BIN_ROWS * BIN_ROWS
    found: list[Column] = [batch.time_ns[:rows:BIN_ROWS]]
    for column in batch.columns:
        low, high = extremes(column[:whole].reshape(-1, BIN_ROWS))
        if whole < rows:
            last_low, last_high = extremes(column[None, whole:rows])
            low, high = np.concatenate((low, last_low)), np.concatenate((high, last_high))
        found += [low, high]
    return found


def _padded(data: bytes, fill: bytes = b"\0") -> bytes:
    return data + fill * (-len(data) % 8)


def write_preview(path: Path, stream: Stream, blocks: Iterable[Block]) -> None:
    """Write the preview of a segment's blocks.

    Raises:
        OSError: it could not be written; nothing depends on it.
    """
    builder = PreviewBuilder(stream)
    for block in blocks:
        builder.add(block)
    builder.write(path)


class _Place(NamedTuple):
    """Where a column is in the file, and its checksum."""

    offset: int
    dtype: np.dtype[Any]
    crc: int


@dataclass(frozen=True)
class Preview:
    """An opened preview; each column is read and verified when it is asked for."""

    path: Path
    rows: int
    time_ns: Times
    places: Mapping[tuple[str, str], _Place]

    def bins(self, channels: Sequence[str], first: int = 0, stop: int | None = None) -> Bins | None:
        """Return bins `first` to `stop` of some channels, or None if the file cannot be trusted."""
        cut = slice(first, stop)
        count = len(self.time_ns)
        rows = np.full(count, BIN_ROWS, np.int64)
        rows[-1:] = self.rows - BIN_ROWS * (count - 1)
        try:
            lows = [_load(self.path, self.places[name, "low"], count)[cut] for name in channels]
            highs = [_load(self.path, self.places[name, "high"], count)[cut] for name in channels]
        except (OSError, ValueError, KeyError):
            return None
        return Bins(self.time_ns[cut], rows[cut], lows, highs)

    def states(self, start_ns: int | None, stop_ns: int | None, breaks: Sequence[int] = ()) -> Column:
        """Return for each bin whether `NONE`, `SOME` or `ALL` of its rows are in a time range.

        `breaks` are the rows at which a new epoch begins: only there can times run backwards. `SOME` may
        turn out to be none or all.
        """
        first = self.time_ns
        # Rows of a bin lie between its first and that of the next, but for a bin before or with a break.
        following = np.append(first[1:], np.iinfo(np.int64).max)
        unsure = np.zeros(len(first), np.bool_)
        places = np.asarray(breaks, np.int64)
        unsure[places // BIN_ROWS] = True
        unsure[np.maximum(places - 1, 0) // BIN_ROWS] = True
        states = np.full(len(first), ALL, np.int8)
        if start_ns is not None:
            states[first < start_ns] = SOME
            states[(following < start_ns) & ~unsure] = NONE
        if stop_ns is not None:
            states[(following >= stop_ns) & (states == ALL)] = SOME
            states[(first >= stop_ns) & ~unsure] = NONE
        if start_ns is not None or stop_ns is not None:
            states[unsure] = SOME
        return states

    def row_range(self, start_ns: int | None, stop_ns: int | None, breaks: Sequence[int] = ()) -> range:
        """Return rows between which all rows of a time range lie; for `breaks` see `states`."""
        places = np.flatnonzero(self.states(start_ns, stop_ns, breaks) != NONE)
        if not len(places):
            return range(0)
        return range(int(places[0]) * BIN_ROWS, min((int(places[-1]) + 1) * BIN_ROWS, self.rows))


def open_preview(path: Path, stream: Stream, rows: int) -> Preview | None:
    """Return the preview of a segment of that many rows, or None if there is none that fits."""
    try:
        with path.open("rb") as file:
            magic, version, length, crc, _ = _PREAMBLE.unpack(file.read(_PREAMBLE.size))
            if magic != _MAGIC or version != _VERSION or length > _HEAD_BYTES_MAX:
                return None
            text = file.read(length)
        if _crc32c(text) != crc:
            return None
        head = json.loads(text)
        if head["stream"] != stream.name or head["rows"] != rows or head["bin_rows"] != BIN_ROWS:
            return None
        bins = -(-rows // BIN_ROWS)
        places = _places(head["columns"], _PREAMBLE.size + length, bins)
        return Preview(path, rows, _load(path, places["time_ns", "first"], bins), places)
    except (OSError, ValueError, KeyError, TypeError, struct.error):
        return None


def _places(columns: Iterable[Mapping[str, Any]], offset: int, bins: int) -> dict[tuple[str, str], _Place]:
    places: dict[tuple[str, str], _Place] = {}
    for column in columns:
        dtype = np.dtype(column["dtype"])
        places[column["name"], column["what"]] = _Place(offset, dtype, column["crc"])
        offset += _padded_size(dtype.itemsize * bins)
    return places


def _load(path: Path, place: _Place, bins: int) -> Column:
    with path.open("rb") as file:
        file.seek(place.offset)
        body = file.read(_padded_size(place.dtype.itemsize * bins))
    if _crc32c(body) != place.crc:
        raise ValueError(f"{path.name} is damaged")
    return np.frombuffer(body, place.dtype, bins)


def _padded_size(nbytes: int) -> int:
    return (nbytes + 7) & ~7
