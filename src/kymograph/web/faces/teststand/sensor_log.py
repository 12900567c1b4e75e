"""Sensor logs as Parquet, written and read in a process of its own: the front stays small and answers.

    python -m kymograph.web.faces.teststand.sensor_log save DATA STREAM
    python -m kymograph.web.faces.teststand.sensor_log show FILE OFFSET LIMIT

`save` writes what the ring of a running station holds, and says `{"filename": …, "rows": n}`; `show` says
some rows. What is wrong is said as `{"error": …}`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from kymograph.link.client import EngineClient
from kymograph.model.block import Block, Cursor
from kymograph.model.errors import KymographError, StorageError

FOLDER: Final = "exports"
COLUMNS: Final = (
    *(f"P{i}" for i in range(1, 9)), *(f"T{i}" for i in range(1, 7)), "Tbogaz1", "Tbogaz2", "Debi1", "Debi2",
    "thrust", "isp", "oxygen_consumption", "fuel_consumption", "total_impulse", "exhaust_velocity",
)  # fmt: skip
"""After `timestamp`, in this order."""
_ROWS: Final = 16_384
_NICE: Final = 10
_TRIES: Final = 100


def save(data: Path, stream: str) -> dict[str, Any]:
    """Write what the ring holds of a stream into a new log; whole or not at all.

    Raises:
        StorageError: there is nothing to write, or it cannot be written.
    """
    client = EngineClient(data)
    try:
        return _write(data / FOLDER, _blocks(client, stream))
    finally:
        client.close()


def _blocks(client: EngineClient, stream: str) -> Iterator[Block]:
    """Yield what is there at this moment, some rows at a time."""
    newest = client.latest(stream)
    view = client.ring_view(stream)
    oldest = view.blocks(view.extent[0], view.extent[0] + 1)
    if newest is None or not oldest:
        return
    end, at = Cursor(newest["epoch"], newest["seq"]), Cursor(oldest[0].epoch, oldest[0].seq)
    while some := client.history(stream, at, _ROWS):
        for block in some:
            yield block
            at = block.next
        if at > end:
            return


def _write(folder: Path, blocks: Iterator[Block]) -> dict[str, Any]:
    pa: Any = import_module("pyarrow")
    pq: Any = import_module("pyarrow.parquet")
    schema = pa.schema([("timestamp", pa.float64()), *((name, pa.float32()) for name in COLUMNS)])
    folder.mkdir(exist_ok=True)
    half = folder / f".sensor_log.{os.getpid()}.tmp"
    rows = 0
    try:
        with half.open("wb") as file, pq.ParquetWriter(file, schema, compression="snappy") as writer:
            for block in blocks:
                writer.write_table(pa.Table.from_arrays(_arrays(block), schema=schema))
                rows += block.rows
        if not rows:
            raise StorageError("there are no rows yet")
        with half.open("rb") as file:
            os.fsync(file.fileno())
        return {"filename": _placed(half, folder).name, "rows": rows}
    finally:
        half.unlink(missing_ok=True)


def _arrays(block: Block) -> list[Any]:
    pa: Any = import_module("pyarrow")
    have = dict(zip(block.stream.channel_names, block.columns(), strict=True))
    missing = np.full(block.rows, np.nan, np.float32)
    columns = [have.get(name, missing).astype(np.float32, copy=False) for name in COLUMNS]
    return [pa.array(block.time_ns / 1e9), *(pa.array(column) for column in columns)]


def _placed(half: Path, folder: Path) -> Path:
    """Give the file its name, that of the second; the next free one if there are two in one."""
    moment = datetime.now(UTC)
    for _ in range(_TRIES):
        target = folder / f"sensor_log_{moment:%Y%m%d_%H%M%S}.parquet"
        try:
            os.link(half, target)
            return target
        except FileExistsError:
            moment += timedelta(seconds=1)
    raise StorageError("there are too many logs of this second")


def show(path: Path, offset: int, limit: int) -> dict[str, Any]:
    """Return the columns of a log, its row count, and some rows; null for what is no number."""
    pq: Any = import_module("pyarrow.parquet")
    with pq.ParquetFile(path, memory_map=False) as file:
        names: list[str] = list(file.schema_arrow.names)
        total: int = file.metadata.num_rows
        data: dict[str, list[Any]] = {name: [] for name in names}
        for group, start, stop in _pieces(file.metadata, offset, limit):
            table = file.read_row_group(group).slice(start, stop - start)
            data = {name: data[name] + _plain(table.column(name)) for name in names}
    return {"columns": names, "rowCount": total, "data": data}


def _plain(column: Any) -> list[Any]:
    """Return a column's values; times, which recordings keep in ns, as seconds."""
    pa: Any = import_module("pyarrow")
    if pa.types.is_timestamp(column.type):
        return (column.cast(pa.int64()).to_numpy() / 1e9).tolist()
    return column.to_pylist()


def _pieces(metadata: Any, offset: int, limit: int) -> Iterator[tuple[int, int, int]]:
    """Yield each row group that has some of the rows, with their first and their end within it."""
    first = 0
    for group in range(metadata.num_row_groups):
        count: int = metadata.row_group(group).num_rows
        start, stop = max(offset - first, 0), min(offset + limit - first, count)
        first += count
        if start < stop:
            yield group, start, stop


def main(arguments: list[str]) -> dict[str, Any]:
    """Do one job and return what is to be said."""
    os.nice(_NICE)
    try:
        if arguments[0] == "save":
            return save(Path(arguments[1]), arguments[2])
        return show(Path(arguments[1]), int(arguments[2]), int(arguments[3]))
    except KymographError as error:
        return {"error": error.message}
    except (OSError, ValueError) as error:  # so are Arrow's errors of content
        return {"error": f"{type(error).__name__}: {error}"}


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(main(sys.argv[1:])))
