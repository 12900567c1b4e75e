"""How fast a recording becomes CSV, beside pandas and a bare polars stream of the same table."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kymograph.model.block import Block, Rows
from kymograph.model.channel import Channel, Stream
from kymograph.store.formats import find
from kymograph.store.formats.base import Header
from tests.bench.table import Line, at_least, rate

ROWS = 2_000_000
BLOCK = 10_000
STREAM = Stream("bench", tuple(Channel(f"c{i}") for i in range(8)), 10_000.0)
ONE_THREAD = """
import statistics, sys, time, polars as pl
table, seconds = pl.read_parquet(sys.argv[1]), []
for _ in range(3):
    began = time.perf_counter()
    table.lazy().sink_csv(sys.argv[2], datetime_format="%Y-%m-%dT%H:%M:%S%.9fZ")
    seconds.append(time.perf_counter() - began)
print(statistics.median(seconds))
"""
START_NS = 1_790_000_000_000_000_000


def run() -> list[Line]:
    import pandas as pd
    import polars as pl

    values = np.random.default_rng(1).standard_normal((8, ROWS)).astype(np.float32)
    times = START_NS + np.arange(ROWS, dtype=np.int64) * 100_000

    def blocks() -> Iterator[Block]:
        for i in range(0, ROWS, BLOCK):
            part = slice(i, i + BLOCK)
            yield Block.pack(STREAM, 1, i, Rows("bench", times[part], list(values[:, part])))

    columns = {f"c{i}": values[i] for i in range(8)}
    frame = pd.DataFrame({"timestamp": pd.to_datetime(times, utc=True), **columns})
    table = pl.DataFrame({"timestamp": times, **columns}).with_columns(
        pl.col("timestamp").cast(pl.Datetime("ns", "UTC"))
    )
    with tempfile.TemporaryDirectory(dir=".") as folder:
        path = Path(folder) / "out.csv"

        def ours() -> None:
            with path.open("wb") as file:
                find("csv").write(file, Header(STREAM, START_NS), blocks())

        def polars_stream() -> None:
            table.lazy().sink_csv(path, datetime_format="%Y-%m-%dT%H:%M:%S%.9fZ")

        few = frame.head(ROWS // 10)
        mine = rate(ROWS, ours)
        every_core = rate(ROWS, polars_stream)
        table.write_parquet(Path(folder) / "table")
        out = subprocess.run(
            [sys.executable, "-c", ONE_THREAD, str(Path(folder) / "table"), str(path)],
            env={**os.environ, "POLARS_MAX_THREADS": "1"}, capture_output=True, text=True, check=True,
        )  # fmt: skip
        one_thread = ROWS / float(out.stdout)
        what = "CSV with ISO 8601 times"
        pandas = rate(len(few), lambda: few.to_csv(path, index=False))
        return [
            at_least(what, mine, "rows/s", "pandas to_csv", pandas, 6.0),
            at_least(what, mine, "rows/s", "polars sink_csv, one thread as ours", one_thread, 0.7),
            Line(what, mine, "rows/s", "polars sink_csv, all cores", every_core),
        ]
