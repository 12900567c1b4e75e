"""Rows as tables of three libraries: same values, same times, same units."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from kymograph.client import Batch, Channel, Frame, Gap, RowsMissing, Stream, errors
from kymograph.client.stream import frame_of

CHANNELS = (
    Channel("depth", "float32", "m", "below the surface", 0.0, 100.0),
    Channel("count", "int64"),
    Channel("timestamp", "uint8", "s", labels=("no", "yes")),
)
TIMES = np.array([1_769_860_800_123_456_789, 1_769_860_800_123_456_790])


@pytest.fixture
def batch() -> Batch:
    columns = {
        "depth": np.array([1.5, np.nan], np.float32),
        "count": np.array([2**62, -1]),
        "timestamp": np.array([1, 2], np.uint8),
    }
    return Batch("s", "raw", 2, CHANNELS, TIMES, columns, 7, 10, 12)


def test_arrow_is_as_our_parquet_is(batch: Batch) -> None:
    table = batch.to_arrow()
    assert table.schema.names == ["timestamp", "depth", "count", "timestamp_"]
    assert table.schema.field("timestamp").type == pa.timestamp("ns", "UTC")
    known = table.schema.field("depth").metadata
    assert known[b"unit"] == b"m" and known[b"description"] == b"below the surface"
    assert json.loads(known[b"channel"]) == {
        "name": "depth", "dtype": "float32", "unit": "m", "description": "below the surface", "low": 0.0,
        "high": 100.0, "labels": [],
    }  # fmt: skip
    assert table.schema.metadata[b"epoch"] == b"7" and table.schema.metadata[b"seq"] == b"10"
    assert table.column("timestamp").cast(pa.int64()).to_pylist() == TIMES.tolist()
    assert table.column("count").to_pylist() == [2**62, -1] and table.column("depth").null_count == 0


def test_pandas_is_by_time_and_has_units(batch: Batch) -> None:
    frame = batch.to_pandas()
    assert str(frame.index.dtype) == "datetime64[ns, UTC]" and frame.index.name == "timestamp"
    assert frame.index.asi8.tolist() == TIMES.tolist()
    assert frame["depth"].dtype == np.float32 and frame["count"].tolist() == [2**62, -1]
    assert frame.attrs["units"] == {"depth": "m", "count": "", "timestamp_": "s"}
    assert frame.attrs["labels"] == {"timestamp_": ["no", "yes"]}
    assert frame.attrs["stream"] == "s" and frame.attrs["seq"] == 10


def test_polars(batch: Batch) -> None:
    frame = batch.to_polars()
    assert str(frame.schema["timestamp"]) == "Datetime(time_unit='ns', time_zone='UTC')"
    assert frame["timestamp"].to_physical().to_list() == TIMES.tolist()
    assert frame["count"].to_list() == [2**62, -1] and batch.units["depth"] == "m"


def test_the_times_as_numpy_has_them(batch: Batch) -> None:
    assert batch.time.astype(np.int64).tolist() == TIMES.tolist() and len(batch) == 2


def test_no_rows_are_a_table_too() -> None:
    empty = Frame("s", "raw", 0, CHANNELS[:1], TIMES[:0], {"depth": np.empty(0, np.float32)})
    assert len(empty.to_pandas()) == len(empty.to_polars()) == empty.to_arrow().num_rows == 0


STREAM = Stream("s", CHANNELS)


def test_an_answer_in_json_has_its_dtypes_again() -> None:
    told: dict[str, Any] = {
        "stream": "s", "mode": "raw", "rows": 2, "time_ns": TIMES.tolist(),
        "columns": {"count": [2**62 + 1, -1], "depth": [None, 2.5]},
    }  # fmt: skip
    frame = frame_of(told, STREAM)
    assert frame["count"].tolist() == [2**62 + 1, -1] and frame["depth"].dtype == np.float32
    assert np.isnan(frame["depth"][0]) and [c.name for c in frame.channels] == ["count", "depth"]


def test_peaks_in_json_are_two_columns() -> None:
    told: dict[str, Any] = {
        "stream": "s", "mode": "minmax", "rows": 900, "time_ns": [1],
        "columns": {"depth": {"min": [0.5], "max": [9.5]}},
    }  # fmt: skip
    frame = frame_of(told, STREAM)
    assert frame.rows == 900 and frame["depth:max"].tolist() == [9.5]
    assert frame.units == {"depth:min": "m", "depth:max": "m"}
    assert frame.to_pandas().attrs["units"] == frame.units


def test_missing_rows_as_an_error_say_which() -> None:
    gap = Gap("s", 7, 5, 9, "slow client")
    error = RowsMissing(gap)
    assert error.gap == gap and "4 rows of s" in str(error) and error.facts["to_seq"] == 9
    assert isinstance(error, errors.KymographError) and "rows of s" in str(
        RowsMissing(Gap("s", 7, 5, None, "x"))
    )


def test_importing_it_imports_nothing_heavy() -> None:
    heavy = "fastapi starlette uvicorn pydantic h5py pandas polars pyarrow httpx websockets asyncio serial"
    code = f"import sys, kymograph.client; print(*(m for m in {heavy.split()!r} if m in sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == []
