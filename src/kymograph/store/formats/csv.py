"""CSV: a header row, then one line a row, for spreadsheets and every other program.

    timestamp,distance,angle
    2024-01-01T00:00:00.000000000Z,1.25,90.0

Specified in docs/format/csv.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar, Final

import numpy as np

from kymograph.model.block import Block, Rows, Times
from kymograph.model.channel import Stream
from kymograph.model.errors import Corrupt, InvalidInput
from kymograph.store.formats.arrow import unwrap
from kymograph.store.formats.base import ALL_ROWS, Format, Header, RowRange, column_names, gather, piece_rows
from kymograph.store.formats.instants import from_text, to_text, width

if TYPE_CHECKING:
    import polars as pl

TAKEN: Final = ("timestamp",)
DIGITS: Final = (0, 3, 6, 9)
_BATCH_ROWS: Final = 16_384
_READ_BYTES: Final = 1 << 20


@dataclass(frozen=True)
class Csv(Format):
    """Comma-separated values; numbers are the shortest that read back as the same value."""

    name: ClassVar[str] = "csv"
    suffix: ClassVar[str] = ".csv"
    media_type: ClassVar[str] = "text/csv"
    streamable: ClassVar[bool] = True

    time_digits: int = 9
    """Digits after the second: 0, 3, 6 or 9. Only 9 can be read back without loss."""
    units: bool = False
    """Whether the header row names units, as `distance [m]`."""

    def __post_init__(self) -> None:
        if self.time_digits not in DIGITS:
            raise InvalidInput("time_digits is not one of 0, 3, 6, 9", time_digits=self.time_digits)

    def write(self, file: BinaryIO, header: Header, blocks: Iterable[Block]) -> None:
        """Write the header row and one line a row; what the header says has no place in this format."""
        import polars as pl

        names = column_names(header.stream, TAKEN)
        titles = ["timestamp", *names]
        if self.units:
            units = [channel.unit for channel in header.stream.channels]
            titles = ["timestamp", *map(_title, names, units)]
        file.write((",".join(titles) + "\n").encode())
        for batch in gather(header.stream, blocks, piece_rows(header.stream, _BATCH_ROWS)):
            series = [pl.Series(n, c) for n, c in zip(names, batch.columns, strict=True)]
            frame = pl.DataFrame([_texts(batch.time_ns, self.time_digits), *series])
            text = BytesIO()
            frame.write_csv(text, include_header=False, quote_style="never")
            file.write(text.getbuffer())

    def read(self, path: Path, stream: Stream, rows: RowRange = ALL_ROWS) -> Iterator[Rows]:
        """Read what was written with default options, skipping the lines before the range unparsed."""
        try:
            _check_end(path)
            if rows.stop is not None and rows.stop <= rows.start:
                return
            yield from _read(path, stream, rows)
        except (ValueError, KeyError) as error:  # so are Arrow's errors of content
            raise Corrupt(f"{path.name} is not the CSV it should be: {error}") from error


def _title(name: str, unit: str) -> str:
    """Return a column's title; a quote or comma in a unit is quoted as RFC 4180 says."""
    title = f"{name} [{unit}]" if unit else name
    return '"' + title.replace('"', '""') + '"' if any(c in title for c in '",\r\n') else title


def _texts(time_ns: Times, digits: int) -> pl.Series:
    """Return times as a column of strings that shares the buffer they were made in."""
    import polars as pl

    pa: Any = import_module("pyarrow")
    text = to_text(time_ns, digits)
    count, step = text.shape
    ends = pa.py_buffer(np.arange(0, (count + 1) * step, step, dtype=np.int64))
    return pl.Series(
        "timestamp", pa.LargeStringArray.from_buffers(count, ends, pa.py_buffer(text.reshape(-1)))
    )


def _check_end(path: Path) -> None:
    """Refuse a file whose last line is not whole: a cut number reads as another number."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - 1, 0))
        if file.read(1) != b"\n":
            raise Corrupt(f"{path.name} ends in the middle of a line")


def _read(path: Path, stream: Stream, rows: RowRange) -> Iterator[Rows]:
    pa: Any = import_module("pyarrow")
    pa_csv: Any = import_module("pyarrow.csv")
    names = column_names(stream, TAKEN)
    kinds: dict[str, Any] = {"timestamp": pa.large_string()}
    kinds |= {n: pa.from_numpy_dtype(d) for n, d in zip(names, stream.dtypes, strict=True)}
    left = None if rows.stop is None else rows.stop - rows.start
    opened = pa_csv.open_csv(
        path,
        pa_csv.ReadOptions(use_threads=False, block_size=_READ_BYTES, skip_rows_after_names=rows.start),
        convert_options=pa_csv.ConvertOptions(
            column_types=kinds, include_columns=list(kinds), null_values=[], check_utf8=False
        ),
    )
    with opened as reader:
        for batch in reader:
            found = batch if left is None else batch.slice(0, left)
            if not found.num_rows:
                continue
            columns = [unwrap(found.column(i + 1), dtype) for i, dtype in enumerate(stream.dtypes)]
            yield Rows(stream.name, _times(found.column(0)), columns)
            if left is not None and (left := left - len(columns[0])) <= 0:
                return


def _times(words: Any) -> Times:
    """Return a column of strings as times, all of one width."""
    _, ends, text = words.buffers()
    bounds = np.frombuffer(ends, np.int64)[words.offset : words.offset + len(words) + 1]
    step = width(9)
    if (np.diff(bounds) != step).any():
        raise ValueError("not a time with nine digits in UTC")
    letters = np.frombuffer(text, np.uint8)[bounds[0] : bounds[-1]]
    return from_text(letters.reshape(-1, step))
