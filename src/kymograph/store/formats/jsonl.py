"""JSON Lines: one object a row, for whoever reads with nothing but a JSON parser.

    {"timestamp":"2024-01-01T00:00:00.000000000Z","time_ns":1704067200000000000,"distance":1.25,"angle":90.0}

Specified in docs/format/jsonl.md. A `spelling` makes lines that somebody else's readers expect.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Final

import numpy as np

from kymograph.model.block import Block, Column, Rows, Times
from kymograph.model.channel import Stream
from kymograph.model.errors import Corrupt
from kymograph.store.formats.base import ALL_ROWS, Format, Header, RowRange, column_names, gather
from kymograph.store.formats.instants import to_words
from kymograph.store.formats.spelling import (
    Spelling,
    read_column,
    read_times,
    spell_column,
    spell_times,
    spelling_from_dict,
)

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
    spelling: Mapping[str, Any] | None = None
    """Keys and words of a line, as `kymograph.store.formats.spelling` says; None is our own."""

    def __post_init__(self) -> None:
        if self.spelling is not None:
            spelling_from_dict(self.spelling)

    def write(self, file: BinaryIO, header: Header, blocks: Iterable[Block]) -> None:
        """Write one line a row; what the header says has no place in this format."""
        import msgspec

        lines = _lines(header.stream, self.spelling)
        rows = max(64, min(_BATCH_ROWS, _BATCH_VALUES // len(header.stream.channels)))
        encoder = msgspec.json.Encoder()
        for batch in gather(header.stream, blocks, rows):
            file.write(encoder.encode_lines(lines.spell(batch.time_ns, batch.columns)))

    def read(self, path: Path, stream: Stream, rows: RowRange = ALL_ROWS) -> Iterator[Rows]:
        """Read lines, skipping those before the range without parsing them."""
        import msgspec

        written = _lines(stream, self.spelling)
        decoder = msgspec.json.Decoder(written.row)
        seen = 0
        for lines in _whole_lines(path):
            count = lines.count(b"\n")
            start, stop = rows.within(seen + count)
            if start < stop and stop > seen:
                try:
                    found = decoder.decode_lines(lines)[max(start - seen, 0) : stop - seen]
                    yield written.read(found)
                except (msgspec.DecodeError, ValueError, TypeError, AttributeError, OverflowError) as error:
                    raise Corrupt(f"{path.name} is not the JSON Lines it should be: {error}") from error
            seen += count
            if rows.stop is not None and seen >= rows.stop:
                return


class _Own:
    """Lines of our own: the time twice, once to read and once exact, then the channels."""

    def __init__(self, stream: Stream) -> None:
        import msgspec

        self._stream = stream
        floats = float | str
        kinds = [floats if dtype.kind == "f" else int for dtype in stream.dtypes]
        fields = [("timestamp", str), ("time_ns", int)]
        fields += [(f"f{i}", kind) for i, kind in enumerate(kinds)]
        spelled = {f"f{i}": name for i, name in enumerate(column_names(stream, TAKEN))}
        # A struct of fields encodes twice as fast as a dict.
        self.row: Any = msgspec.defstruct("Row", fields, rename=spelled, gc=False)

    def spell(self, time_ns: Times, columns: Sequence[Column]) -> list[Any]:
        """Return rows as lines."""
        values = [_numbers(column) for column in columns]
        return list(map(self.row, to_words(time_ns), time_ns.tolist(), *values))

    def read(self, found: list[Any]) -> Rows:
        """Return lines as rows."""
        import msgspec

        _, times, *values = zip(*map(msgspec.structs.astuple, found), strict=True)
        columns = [_column(column, dtype) for column, dtype in zip(values, self._stream.dtypes, strict=True)]
        return Rows(self._stream.name, np.array(times, "<i8"), columns)


class _Spelled:
    """Lines as a spelling wants them."""

    def __init__(self, stream: Stream, spelling: Spelling) -> None:
        import msgspec

        self._stream, self._spelling = stream, spelling
        self._keys = spelling.keys(stream)
        self._channel_keys = spelling.channel_keys(stream)
        fields: list[Any] = [(f"f{i}", Any, None) for i in range(len(self._keys))]
        spelled = {f"f{i}": key for i, key in enumerate(self._keys)}
        self.row: Any = msgspec.defstruct("Row", fields, rename=spelled, gc=False)

    def spell(self, time_ns: Times, columns: Sequence[Column]) -> list[Any]:
        """Return rows as lines."""
        spelling = self._spelling
        made: dict[str, Any] = {key: [text] * len(time_ns) for key, text in spelling.constants.items()}
        made[spelling.time] = spell_times(time_ns)
        for key, channel, column in zip(self._channel_keys, self._stream.channels, columns, strict=True):
            made[key] = spell_column(channel, spelling.labelled(channel), column)
        return list(map(self.row, *(made[key] for key in self._keys)))

    def read(self, found: list[Any]) -> Rows:
        """Return lines as rows."""
        import msgspec

        spelling, stream = self._spelling, self._stream
        parts = zip(*map(msgspec.structs.astuple, found), strict=True)
        read = {key: list(values) for key, values in zip(self._keys, parts, strict=True)}
        columns = [
            read_column(channel, spelling.labelled(channel), read[key], dtype)
            for key, channel, dtype in zip(self._channel_keys, stream.channels, stream.dtypes, strict=True)
        ]
        return Rows(stream.name, read_times(read[spelling.time]), columns)


def _lines(stream: Stream, spelling: Mapping[str, Any] | None) -> _Own | _Spelled:
    return _Own(stream) if spelling is None else _Spelled(stream, spelling_from_dict(spelling))


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


def _column(values: tuple[Any, ...], dtype: np.dtype[Any]) -> Column:
    # A number outside an integer's range is an error to NumPy; the texts of `_numbers` are floats to it.
    return np.array(values, np.float64 if dtype.kind == "f" else dtype).astype(dtype)
