"""Files of any of our formats as sources of plots, whoever wrote them.

A file has a column of times (dates, or numbers in s, ms, µs or ns since 1970 or since its own start) and
columns of numbers; what else it has is left aside. Units come from what our own files say beside the columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from kymograph.model.errors import Corrupt, InvalidInput, NotFound
from kymograph.plot.columns import NO_TIME, with_units
from kymograph.plot.readers import Csv, Hdf5, JsonLines, Parquet
from kymograph.plot.source import Piece, Quantity
from kymograph.service.archive.reduce import Reducer, View, Watch
from kymograph.store.parts import Span


class Reader(Protocol):
    """Reads one format."""

    name: str
    """Of the stream, if the file says it."""
    rate_hz: float
    rows: int
    quantities: Mapping[str, Quantity]
    """What is measured, by the column's name in the file."""

    def pieces(self, columns: Sequence[str]) -> Iterator[Piece]:
        """Yield all rows, with these columns of the file."""
        ...


_READERS: Final[Mapping[str, Callable[[Path], Reader]]] = {
    ".parquet": Parquet, ".h5": Hdf5, ".hdf5": Hdf5, ".csv": Csv, ".jsonl": JsonLines, ".ndjson": JsonLines,
}  # fmt: skip
SUFFIXES: Final = tuple(_READERS)


class FileStream:
    """See `Source`."""

    def __init__(self, path: Path) -> None:
        """Read what the file says of itself.

        Raises:
            NotFound, InvalidInput: there is none, or it is of no format of ours.
            Corrupt: it cannot be read, or has no column of times or none of numbers.
        """
        if not path.is_file():
            raise NotFound(f"there is no file {path}")
        if path.suffix.lower() not in _READERS:
            raise InvalidInput(
                f"{path.name} is of no known format",
                hint=f"known are files that end in {', '.join(SUFFIXES)}",
            )
        self.path = path
        try:
            self._reader = _READERS[path.suffix.lower()](path)
        except (ValueError, KeyError, OSError) as error:
            raise Corrupt(f"{path.name} cannot be read: {error}") from error
        if not self._reader.quantities:
            raise Corrupt(f"{path.name} has no columns of numbers beside its times")
        self.name = self._reader.name or path.stem
        self.rate_hz = self._reader.rate_hz
        self.rows = self._reader.rows
        self.quantities = with_units(tuple(self._reader.quantities.values()))
        self._columns = {quantity.name: column for column, quantity in self._reader.quantities.items()}

    def extent(self) -> tuple[int, int] | None:
        """See `Source.extent`; all times are read."""
        first: int | None = None
        last = 0
        for piece in self.pieces((), [Span()]):
            first = int(piece.time_ns[0]) if first is None else first
            last = int(piece.time_ns[-1])
        return None if first is None else (first, last)

    def view(self, names: Sequence[str], span: Span, points_max: int, watch: Watch) -> View:
        """See `Source.view`."""
        reducer = Reducer(self.name, names, points_max, watch)
        for piece in self.pieces(names, [span]):
            reducer.add_rows(piece.time_ns, piece.columns)
        return reducer.view()

    def pieces(self, names: Sequence[str], spans: Sequence[Span]) -> Iterator[Piece]:
        """See `Source.pieces`; all of the file is read, whatever is wanted."""
        columns = [self._columns[name] for name in names]
        try:
            for piece in self._reader.pieces(columns):
                for span in spans:
                    yield from _within(piece, span)
        except (ValueError, KeyError, OSError) as error:
            raise Corrupt(f"{self.path.name} cannot be read: {error}") from error


def _within(piece: Piece, span: Span) -> Iterator[Piece]:
    there = piece.time_ns != NO_TIME
    if not there.all():
        piece = Piece(piece.time_ns[there], [column[there] for column in piece.columns])
    times = piece.time_ns
    if not len(times):
        return
    if span.holds(int(times.min()), int(times.max())):
        yield piece
        return
    inside = np.ones(len(times), np.bool_)
    if span.start_ns is not None:
        inside &= times >= span.start_ns
    if span.stop_ns is not None:
        inside &= times < span.stop_ns
    if inside.any():
        yield Piece(times[inside], [column[inside] for column in piece.columns])
