"""Parquet: columns with units, for data frames and databases.

Every page carries a checksum, which stock writers leave out and stock readers do not verify unless asked;
without it a flipped bit is a wrong number. Specified in docs/format/parquet.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Final

import numpy as np

from kymograph.model.block import Block, Rows
from kymograph.model.channel import Stream
from kymograph.model.errors import Corrupt
from kymograph.model.limits import BLOCK_ROWS_MAX
from kymograph.store.formats.arrow import unwrap, wrap
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

TAKEN: Final = ("timestamp",)
_GROUP_BYTES: Final = 8 * 1024 * 1024
_GROUP_ROWS_MAX: Final = 2 * BLOCK_ROWS_MAX


@dataclass(frozen=True)
class Parquet(Format):
    """Parquet with page checksums; units and descriptions in field metadata."""

    name: ClassVar[str] = "parquet"
    suffix: ClassVar[str] = ".parquet"
    media_type: ClassVar[str] = "application/vnd.apache.parquet"
    streamable: ClassVar[bool] = True

    def write(self, file: BinaryIO, header: Header, blocks: Iterable[Block]) -> None:
        """Write one row group for every 8 MiB of rows, so that memory is bounded and ranges are cheap."""
        pa: Any = import_module("pyarrow")
        pq: Any = import_module("pyarrow.parquet")

        schema = _schema(header)
        floats = [f.name for f in schema if pa.types.is_floating(f.type)]
        encodings = dict.fromkeys(floats, "BYTE_STREAM_SPLIT") | {"timestamp": "DELTA_BINARY_PACKED"}
        rows = max(1024, min(_GROUP_BYTES // header.stream.row_nbytes, _GROUP_ROWS_MAX))
        with pq.ParquetWriter(
            file, schema, compression="zstd", compression_level=1, use_dictionary=False,
            column_encoding=encodings, write_page_checksum=True, data_page_version="1.0", version="2.6",
        ) as writer:  # fmt: skip
            for batch in gather(header.stream, blocks, rows):
                writer.write_table(_table(schema, batch), row_group_size=rows)

    def read(self, path: Path, stream: Stream, rows: RowRange = ALL_ROWS) -> Iterator[Rows]:
        """Read row group after row group, verifying each page's checksum."""
        pq: Any = import_module("pyarrow.parquet")

        try:
            with pq.ParquetFile(path, page_checksum_verification=True, memory_map=False) as file:
                yield from _read(file, stream, rows)
        except FileNotFoundError:
            raise
        except (OSError, ValueError, KeyError) as error:  # so are Arrow's errors of content
            raise Corrupt(f"{path.name} is damaged or not Parquet: {error}") from error


def _schema(header: Header) -> Any:
    """Return the Arrow schema: facts about the recording in its metadata, units in that of its fields."""
    pa: Any = import_module("pyarrow")
    stream = header.stream
    time = pa.field("timestamp", pa.timestamp("ns", "UTC"), nullable=False, metadata={"unit": "ns"})
    fields = [time]
    for name, channel, dtype in zip(column_names(stream, TAKEN), stream.channels, stream.dtypes, strict=True):
        facts = {k: v for k, v in channel.to_dict().items() if v is not None}
        known = {"unit": channel.unit, "description": channel.description, "channel": json.dumps(facts)}
        fields.append(pa.field(name, pa.from_numpy_dtype(dtype), nullable=False, metadata=known))
    facts = {
        "stream": stream.name, "rate_hz": repr(stream.rate_hz), "description": stream.description,
        "started_ns": str(header.started_ns),
    } | {key: _text(value) for key, value in header.attributes.items()}  # fmt: skip
    return pa.schema(fields, metadata=facts)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _table(schema: Any, batch: Batch) -> Any:
    pa: Any = import_module("pyarrow")
    columns = [batch.time_ns, *batch.columns]
    arrays = [wrap(column, field.type) for field, column in zip(schema, columns, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema)


def _read(file: Any, stream: Stream, rows: RowRange) -> Iterator[Rows]:
    names = column_names(stream, TAKEN)
    start, stop = rows.within(file.metadata.num_rows)
    first = 0
    for group in range(file.metadata.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        begin, end = max(start - first, 0), min(stop - first, count)
        first += count
        if begin < end:
            table = file.read_row_group(group, columns=["timestamp", *names], use_threads=False)
            yield from _pieces(table.slice(begin, end - begin), stream, names)


def _pieces(table: Any, stream: Stream, names: tuple[str, ...]) -> Iterator[Rows]:
    pa: Any = import_module("pyarrow")
    for name, dtype in zip(names, stream.dtypes, strict=True):
        if table.schema.field(name).type != pa.from_numpy_dtype(dtype):
            raise ValueError(f"column {name} is not of its channel's type {dtype}")
    for batch in table.to_batches(max_chunksize=piece_rows(stream, BLOCK_ROWS_MAX)):
        times = unwrap(batch.column("timestamp"), np.dtype("<i8"))
        columns = [unwrap(batch.column(n), d) for n, d in zip(names, stream.dtypes, strict=True)]
        yield Rows(stream.name, times, columns)
