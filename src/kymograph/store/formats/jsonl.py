"""JSON Lines: one object a row, for whoever reads with nothing but a JSON parser.

    {"timestamp":"2024-01-01T00:00:00.000000000Z","time_ns":1704067200000000000,"distance":1.25,"angle":90.0}

Specified in docs/format/jsonl.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Final

import numpy as np

from kymograph.model.block import Block, Column, Rows
from kymograph.model.channel import Stream
from kymograph.model.errors import Corrupt
from kymograph.store.formats.base import ALL_ROWS, Format, Header, RowRange, column_names, gather
from kymograph.store.formats.instants import to_words

TAKEN: Final = ("timestamp", "time_ns")
_BATCH_ROWS: Final = 8192
_BATCH_VALUES: Final = 1 << 18
"""Python numbers are many times the size of what they stand for."""
_READ_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Jsonl(Format):
    """One JSON object a line; what JSON has no number for is the text NaN, Infinity or -Infinity."""

    name: ClassVar[str] = "jsonl"
    suffix: ClassVar[str] = ".jsonl"
    media_type: ClassVar[str] = "application/x-ndjson"
    streamable: ClassVar[bool] = True

    def write(self, file: BinaryIO, header: Header, blocks: Iterable[Block]) -> None:
        """Write one line a row; what the header says has no place in this format."""
        import msgspec

        row = _row_type(header.stream)
        rows = max(64, min(_BATCH_ROWS, _BATCH_VALUES // len(header.stream.channels)))
        encoder = msgspec.json.Encoder()
        for batch in gather(header.stream, blocks, rows):
            values = [_numbers(column) for column in batch.columns]
            lines = map(row, to_words(batch.time_ns), batch.time_ns.tolist(), *values)
            file.write(encoder.encode_lines(list(lines)))

    def read(self, path: Path, stream: Stream, rows: RowRange = ALL_ROWS) -> Iterator[Rows]:
        """Read lines, skipping those before the range without parsing them."""
        import msgspec

        decoder = msgspec.json.Decoder(_row_type(stream))
        seen = 0
        for lines in _whole_lines(path):
            count = lines.count(b"\n")
            start, stop = rows.within(seen + count)
            if start < stop and stop > seen:
                try:
                    found = decoder.decode_lines(lines)[max(start - seen, 0) : stop - seen]
                    yield _to_rows(stream, found)
                except (msgspec.DecodeError, ValueError, OverflowError) as error:
                    raise Corrupt(f"{path.name} is not the JSON Lines it should be: {error}") from error
            seen += count
            if rows.stop is not None and seen >= rows.stop:
                return


def _row_type(stream: Stream) -> Any:
    """Make the type of a line: a struct of fields, which encodes twice as fast as a dict."""
    import msgspec

    floats = float | str
    kinds = [floats if dtype.kind == "f" else int for dtype in stream.dtypes]
    fields = [("timestamp", str), ("time_ns", int)]
    fields += [(f"f{i}", kind) for i, kind in enumerate(kinds)]
    spelled = {f"f{i}": name for i, name in enumerate(column_names(stream, TAKEN))}
    return msgspec.defstruct("Row", fields, rename=spelled, gc=False)


def _numbers(column: Column) -> list[Any]:
    if column.dtype.kind != "f":
        return column.tolist()
    finite = np.isfinite(column)
    whole = bool(finite.all())
    sound = column if whole else np.where(finite, column, 0)
    values: list[Any] = (_shortest(sound) if column.dtype.itemsize == 4 else sound).tolist()
    if not whole:
        for i in np.flatnonzero(~finite).tolist():
            values[i] = "NaN" if np.isnan(column[i]) else "Infinity" if column[i] > 0 else "-Infinity"
    return values


def _shortest(column: Column) -> Column:
    """Return float32 as those float64 that print with the fewest digits and still read back the same.

    0.1 in float32 is 0.10000000149011612 in float64: true, and of no use to anybody.
    """
    import polars as pl

    exact = column.astype(np.float64)
    short = pl.Series(np.ascontiguousarray(column)).cast(pl.String).cast(pl.Float64).to_numpy()
    return np.where(short.astype(np.float32) == column, short, exact)


def _whole_lines(path: Path) -> Iterator[bytes]:
    rest = b""
    with path.open("rb") as file:
        while piece := file.read(_READ_BYTES):
            end = piece.rfind(b"\n") + 1
            if end:
                yield rest + piece[:end]
                rest = piece[end:]
            else:
                rest += piece
    if rest:
        raise Corrupt(f"{path.name} ends in the middle of a line")


def _to_rows(stream: Stream, found: list[Any]) -> Rows:
    import msgspec

    _, times, *values = zip(*map(msgspec.structs.astuple, found), strict=True)
    columns = [_column(column, dtype) for column, dtype in zip(values, stream.dtypes, strict=True)]
    return Rows(stream.name, np.array(times, "<i8"), columns)


def _column(values: tuple[Any, ...], dtype: np.dtype[Any]) -> Column:
    # A number outside an integer's range is an error to NumPy; the texts of `_numbers` are floats to it.
    return np.array(values, np.float64 if dtype.kind == "f" else dtype).astype(dtype)
