"""How fast ten million readings of thirty days become a chart of 2 000 points, from roll-ups."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import numpy as np

from kymograph.service.retention.series import Series, series
from kymograph.store.sql import rollups, schema
from kymograph.store.sql.database import Database
from kymograph.store.sql.readings import Reading, insert_readings
from tests.bench.table import Line
from tests.postgres import Server, binaries

DAYS = 30
ROWS = 10_000_000
POINTS = 2_000
BATCH = 20_000
GOAL_S = 0.2
START_NS = 1_790_000_000_000_000_000 // 86_400_000_000_000 * 86_400_000_000_000
SPAN_NS = DAYS * 86_400_000_000_000


def run(rows: int = ROWS) -> list[Line]:
    lines: list[Line] = []
    with tempfile.TemporaryDirectory(dir=".") as folder:
        lines += _lines("SQLite", f"sqlite:///{Path(folder).absolute() / 'k.db'}", rows)
    programs = binaries()
    if programs is not None:
        server = Server(programs)
        try:
            server.start()
            lines += _lines("PostgreSQL", server.create_database(), rows)
        finally:
            server.close()
    return lines


def _lines(name: str, url: str, rows: int) -> list[Line]:
    database = Database(url)
    schema.upgrade(database)
    _fill(database, rows)
    began = time.perf_counter()
    while rollups.settle(database, 500_000) >= 500_000:
        pass
    rolled_s = time.perf_counter() - began
    said: list[Series] = []
    seconds: list[float] = []
    for _ in range(7):
        began = time.perf_counter()
        said.append(series(database, "roof", "bme280.temperature.c", START_NS, START_NS + SPAN_NS, POINTS))
        seconds.append(time.perf_counter() - began)
    database.close()
    found = said[-1]
    assert sum(found.n) == rows and POINTS / 2 < len(found.n) <= POINTS, (sum(found.n), len(found.n))
    assert max(found.maximum) == 99.0, "the peak"
    took = statistics.median(seconds)
    what = f"{rows / 1e6:g} M readings of {DAYS} days to {POINTS} points, {name}"
    return [
        Line(what, took * 1000, "ms", goal=f"≤ {GOAL_S * 1000:g} ms", met=took <= GOAL_S),
        Line(f"rolling readings up, {name}", rows / rolled_s, "rows/s"),
    ]


def _fill(database: Database, rows: int) -> None:
    days = np.arange(rows) * (DAYS / rows)
    values = 15 + 8 * np.sin(2 * np.pi * days) + np.random.default_rng(1).standard_normal(rows)
    values[rows // 3] = 99.0
    times = START_NS + np.arange(rows, dtype=np.int64) * (SPAN_NS // rows)
    for first in range(0, rows, BATCH):
        part = slice(first, first + BATCH)
        some = [
            Reading("roof", t, t, msgspec.Raw(b'{"bme280":{"temperature":{"c":%.2f}}}' % v))
            for t, v in zip(times[part].tolist(), values[part].tolist(), strict=True)
        ]
        with database.begin() as connection:
            insert_readings(connection, some)
    print(f"  {rows} rows are there", file=sys.stderr)
