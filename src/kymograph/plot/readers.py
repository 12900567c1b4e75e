"""One reader for each format of files. Heavy libraries are imported when a file of theirs is opened."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any, Final, cast

import numpy as np

from kymograph.model.block import Column
from kymograph.model.errors import Corrupt
from kymograph.model.limits import BLOCK_ROWS_MAX
from kymograph.plot.columns import NO_TIME, TIME_NAMES, quantity_of, time_column, to_ns
from kymograph.plot.source import Piece, Quantity
from kymograph.store.formats.arrow import unwrap

_READ_BYTES: Final = 1 << 22
_LINES: Final = 16_384


class Parquet:
    """See `Reader`. Times of any type that can be times; missing values are NaN."""

    def __init__(self, path: Path) -> None:
        pq: Any = import_module("pyarrow.parquet")
        self._path = path
        with pq.ParquetFile(path, memory_map=False) as file:
            schema = file.schema_arrow
            self.rows: int = file.metadata.num_rows
        facts = _texts(schema.metadata)
        self.name = facts.get("stream", "")
        self.rate_hz = float(facts.get("rate_hz", 0) or 0)
        self._time = time_column(schema.names, path.name)
        self.quantities: Mapping[str, Quantity] = {
            field.name: _told(field.name, _texts(field.metadata))
            for field in schema
            if field.name not in TIME_NAMES and _is_number(field.type)
        }

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """See `Reader.pieces`."""
        pq: Any = import_module("pyarrow.parquet")
        with pq.ParquetFile(self._path, memory_map=False, page_checksum_verification=True) as file:
            wanted = [self._time, *columns]
            for batch in file.iter_batches(BLOCK_ROWS_MAX, columns=wanted, use_threads=False):
                yield _piece(batch, self._time, columns)


class Csv:
    """See `Reader`. Columns with texts are left aside; units are read from titles as `distance [m]`."""

    name = ""
    rate_hz = 0.0
    rows = 0

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open({}) as file:
            schema = file.schema
        self._time = time_column(schema.names, path.name)
        kinds = {field.name: field.type for field in schema}
        self.quantities: Mapping[str, Quantity] = {
            name: quantity_of(name)
            for name, kind in kinds.items()
            if name not in TIME_NAMES and (_is_number(kind) or str(kind) == "null")
        }

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """See `Reader.pieces`."""
        pa: Any = import_module("pyarrow")
        # What looks whole in the first lines may be broken later.
        with self._open(dict.fromkeys(columns, pa.float64()), [self._time, *columns]) as file:
            for batch in file:
                yield _piece(batch, self._time, columns)

    def _open(self, kinds: Mapping[str, Any], wanted: Sequence[str] = ()) -> Any:
        csv: Any = import_module("pyarrow.csv")
        return csv.open_csv(
            self._path,
            csv.ReadOptions(use_threads=False, block_size=_READ_BYTES),
            convert_options=csv.ConvertOptions(column_types=kinds, include_columns=list(wanted)),
        )


class Hdf5:
    """See `Reader`. The one-dimensional datasets at the top that lie in this very file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._open() as root:
            found = {name: root[name] for name in root if _is_column(root, name)}
            self._time = time_column(list(found), path.name)
            self.rows: int = len(found[self._time])
            self.name = str(root.attrs.get("stream", ""))
            self.rate_hz = float(root.attrs.get("rate_hz", 0.0))
            self.quantities: Mapping[str, Quantity] = {
                name: _told(name, {key: str(value) for key, value in dataset.attrs.items()})
                for name, dataset in found.items()
                if name not in TIME_NAMES and dataset.dtype.kind in "iuf" and len(dataset) == self.rows
            }

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """See `Reader.pieces`."""
        with self._open() as root:
            for start in range(0, self.rows, BLOCK_ROWS_MAX):
                part = slice(start, start + BLOCK_ROWS_MAX)
                yield Piece(to_ns(root[self._time][part], self._time), [root[name][part] for name in columns])

    def _open(self) -> Any:
        h5py: Any = import_module("h5py")
        return h5py.File(self._path, "r", locking=False)


class JsonLines:
    """See `Reader`. Columns are the numbers of the first line, and those words that stand for numbers."""

    name = ""
    rate_hz = 0.0
    rows = 0

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            lines = [json.loads(line) for line in islice(file, 100)]
        if not lines or not isinstance(lines[0], dict):
            raise Corrupt(f"{path.name} has no rows")
        first = cast("dict[str, Any]", lines[0])
        self._time = time_column(list(first), path.name)
        self.quantities: Mapping[str, Quantity] = {
            name: quantity_of(name)
            for name in first
            if name not in TIME_NAMES and any(_is_value(line.get(name)) for line in lines)
        }

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """See `Reader.pieces`."""
        with self._path.open("rb") as file:
            while lines := [json.loads(line) for line in islice(file, _LINES)]:
                times = to_ns(np.array([line[self._time] for line in lines]), self._time)
                yield Piece(times, [_floats(line.get(name) for line in lines) for name in columns])


def _is_value(value: object) -> bool:
    return (isinstance(value, (int, float)) and not isinstance(value, bool)) or value in _WORDS


_WORDS: Final = ("NaN", "Infinity", "-Infinity")


def _floats(values: Iterator[Any]) -> Column:
    return np.array([float(value) if _is_value(value) else np.nan for value in values])


def _is_column(root: Any, name: str) -> bool:
    """Return whether a name is a column of this very file: HDF5 would follow a link to any other."""
    h5py: Any = import_module("h5py")
    if not isinstance(root.get(name, getlink=True), h5py.HardLink):
        return False
    found = root[name]
    return isinstance(found, h5py.Dataset) and found.ndim == 1 and not (found.is_virtual or found.external)


def _is_number(kind: Any) -> bool:
    pa: Any = import_module("pyarrow")
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _texts(metadata: Mapping[bytes, bytes] | None) -> dict[str, str]:
    return {k.decode("utf-8", "replace"): v.decode("utf-8", "replace") for k, v in (metadata or {}).items()}


def _told(name: str, facts: Mapping[str, str]) -> Quantity:
    """Return the quantity of a column of which our own files say more than its name."""
    try:
        channel: dict[str, Any] = json.loads(facts.get("channel", "{}"))
        labels = tuple(map(str, channel.get("labels") or ()))
    except (ValueError, AttributeError):
        labels = ()
    return quantity_of(name, facts.get("unit") or facts.get("units", ""), labels)


def _piece(batch: Any, time: str, columns: Sequence[str]) -> Piece:
    return Piece(to_ns(_array(batch.column(time)), time), [_array(batch.column(name)) for name in columns])


def _array(array: Any) -> Column:
    """Return an Arrow array of numbers or times as a NumPy array, NaN where a value is missing."""
    pa: Any = import_module("pyarrow")
    kind = array.type
    if pa.types.is_timestamp(kind):
        whole = array.cast(pa.timestamp("ns", kind.tz)).cast(pa.int64())
        return unwrap(_filled(whole, NO_TIME), np.dtype("<i8")).view("M8[ns]")
    if not _is_number(kind):
        raise Corrupt("a column is neither of numbers nor of times")
    if array.null_count:
        array = _filled(array.cast(pa.float64()), float("nan"))
    return unwrap(array, np.dtype(array.type.to_pandas_dtype()))


def _filled(array: Any, value: float) -> Any:
    return import_module("pyarrow.compute").fill_null(array, value) if array.null_count else array
