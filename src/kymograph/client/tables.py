"""Columns as tables of pandas, polars and Arrow, with their units. Each library is imported when it is used.

An Arrow table of ours looks like a Parquet file of ours: `timestamp` first, and `unit`, `description` and
`channel` (JSON) in the metadata of each field.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

import numpy as np

from kymograph.model.block import Column, Times
from kymograph.model.channel import Channel
from kymograph.model.errors import Unavailable

TIME: Final = "timestamp"


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError:
        raise Unavailable(f"{name} is not installed here", hint=f"pip install {name}") from None


def _spelled(name: str) -> str:
    """Return a column's name in a table; `timestamp` is taken, and so with underscores after it."""
    return f"{name}_" if name.rstrip("_") == TIME else name


def arrow(
    time_ns: Times, columns: Mapping[str, Column], meaning: Mapping[str, Channel], facts: Mapping[str, Any]
) -> Any:
    """Return a `pyarrow.Table` that shares the columns' memory."""
    pa = _library("pyarrow")
    fields = [pa.field(TIME, pa.timestamp("ns", "UTC"), nullable=False, metadata={"unit": "ns"})]
    for name, column in columns.items():
        channel = meaning[name]
        told = {k: v for k, v in channel.to_dict().items() if v is not None}
        known = {"unit": channel.unit, "description": channel.description, "channel": json.dumps(told)}
        kind = pa.from_numpy_dtype(column.dtype)
        fields.append(pa.field(_spelled(name), kind, nullable=False, metadata=known))
    schema = pa.schema(fields, metadata={key: str(value) for key, value in facts.items()})
    arrays: list[Any] = []
    for field, column in zip(schema, (time_ns, *columns.values()), strict=True):
        buffers = [None, pa.py_buffer(np.ascontiguousarray(column))]
        arrays.append(pa.Array.from_buffers(field.type, len(column), buffers))
    return pa.Table.from_arrays(arrays, schema=schema)


def pandas(
    time_ns: Times, columns: Mapping[str, Column], meaning: Mapping[str, Channel], facts: Mapping[str, Any]
) -> Any:
    """Return a data frame by time, with `attrs["units"]` and what else is known."""
    pd = _library("pandas")
    index = pd.DatetimeIndex(np.asarray(time_ns).view("datetime64[ns]"), name=TIME).tz_localize("UTC")
    frame = pd.DataFrame({_spelled(name): column for name, column in columns.items()}, index=index)
    units = {_spelled(name): meaning[name].unit for name in columns}
    labels = {_spelled(name): list(meaning[name].labels) for name in columns if meaning[name].labels}
    frame.attrs.update(facts, units=units, **({"labels": labels} if labels else {}))
    return frame


def polars(time_ns: Times, columns: Mapping[str, Column]) -> Any:
    """Return a data frame whose first column is the time."""
    pl = _library("polars")
    times = pl.Series(TIME, time_ns).cast(pl.Datetime("ns")).dt.replace_time_zone("UTC")
    return pl.DataFrame([times, *(pl.Series(_spelled(name), column) for name, column in columns.items())])


def read_parquet(file: Any) -> Any:
    """Return a Parquet file of ours as a `pyarrow.Table`, each page's checksum verified."""
    pq = _library("pyarrow.parquet")
    return pq.ParquetFile(file, page_checksum_verification=True).read()


def pandas_of(table: Any, facts: Mapping[str, Any]) -> Any:
    """Return an Arrow table of ours as a data frame by time, with `attrs["units"]`."""
    _library("pandas")
    frame = table.to_pandas().set_index(TIME)
    units: dict[str, str] = {}
    labels: dict[str, list[str]] = {}
    for field in table.schema:
        if field.name != TIME:
            known: dict[bytes, bytes] = field.metadata or {}
            units[field.name] = known.get(b"unit", b"").decode()
            found = json.loads(known.get(b"channel", b"{}")).get("labels")
            labels.update({field.name: found} if found else {})
    frame.attrs.update(facts, units=units, **({"labels": labels} if labels else {}))
    return frame


def polars_of(table: Any) -> Any:
    """Return an Arrow table as a polars data frame."""
    return _library("polars").from_arrow(table)
