"""How fast a day's backlog drains into a hub, over a poor line and a good one; how old live rows become."""

from __future__ import annotations

import json
import math
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from kymograph.config import parse
from kymograph.model.ranges import Ranges
from kymograph.service.keeping.outbox import Outbox
from kymograph.store.sql import schema
from kymograph.store.sql.database import Database
from kymograph.store.sql.readings import Reading, insert_readings
from kymograph.sync.pusher.pushers import Pushers
from tests.bench.table import Line, at_least, below
from tests.running import RunningStation

DAY = 1440
LIVE_RATE = 1 / 60
LIVE_S = 2.0
"""Between two live rows while the backlog drains: thirty times as often as usual, to see more of them."""
POOR_BYTES_PER_S = 2000
PATIENCE_S = 600.0
HUB = '[web]\nfaces = ["readings"]\n[hub]\nopen = true\n'


def run() -> list[Line]:
    return [
        *drained("over 2 kB/s", POOR_BYTES_PER_S),
        *drained("as fast as it goes", None),
    ]


class Edge:
    """A station's database, and what ships from it, in this process."""

    def __init__(self, folder: Path, url: str, limit: int | None) -> None:
        folder.mkdir()
        destination = {"url": url} | ({} if limit is None else {"limit_bytes_per_s": limit})
        self._config = parse(
            {"station": {"name": "edge", "data": str(folder)}, "destinations": {"hub": destination}}
        )
        self._database = Database(self._config.database_url)
        schema.upgrade(self._database)
        self.outbox = Outbox(self._database, "edge", folder)
        self._made = 0

    def read(self, count: int = 1) -> None:
        """Make readings; the oldest are a day old."""
        begin = time.time_ns() - DAY * 60 * 10**9
        rows = [self._reading(begin, self._made + i) for i in range(count)]
        with self._database.begin() as connection:
            insert_readings(connection, rows)
        self._made += count

    def _reading(self, begin_ns: int, i: int) -> Reading:
        celsius = round(18 + 6 * math.sin(i / 229) + (i * 7919 % 13) / 100, 2)
        payload = {
            "bme280": {
                "temperature": {"c": celsius, "f": round(celsius * 1.8 + 32, 2)},
                "pressure": {"hpa": round(1006 + math.cos(i / 311) * 4 + (i * 104729 % 17) / 100, 2)},
                "humidity": {"rh": round(55 - celsius / 2 + (i * 15485863 % 11) / 100, 2)},
            },
            "cpu_temp": {"c": round(celsius + 20, 1), "f": round((celsius + 20) * 1.8 + 32, 1)},
            "disk_space": {"total_mb": 29524.0, "used_mb": 8120.5 + i / 8, "free_mb": 21403.5 - i / 8},
        }
        at = begin_ns + i * 60 * 10**9
        return Reading("edge", at, at, msgspec.Raw(json.dumps(payload).encode()))

    @contextmanager
    def shipping(self) -> Iterator[Pushers]:
        """Ship, in threads."""
        pushers, stop = Pushers(self._config, self.outbox), threading.Event()
        thread = threading.Thread(target=pushers.run, args=(stop,))
        thread.start()
        try:
            yield pushers
        finally:
            stop.set()
            thread.join()
            self._database.close()


def drained(how: str, limit: int | None) -> list[Line]:
    """A day's rows are owed when the hub is reached; live ones are made meanwhile."""
    with tempfile.TemporaryDirectory(dir=".", prefix="bench-") as folder:
        here = Path(folder)
        with RunningStation(here, "", HUB) as hub:
            edge = Edge(here / "edge", hub.url, limit)
            edge.read(DAY)
            with edge.shipping() as pushers:
                took_s, ages = watched(edge)
                sent = pushers.status()[0]["bytes_sent"]
    rate = DAY / took_s
    return [
        at_least(f"a day's backlog, {how}", rate, "rows/s", "a reading a minute", LIVE_RATE, 10),
        below(f"live row acknowledged, {how}, slowest of {len(ages)}", max(ages), "s", 5.0),
        Line(f"on the line for each row, {how}", sent / (DAY + len(ages)), "B"),
    ]


def watched(edge: Edge) -> tuple[float, list[float]]:
    """Make a row now and then until the backlog is gone; return how long it took, and each row its while."""
    backlog = Ranges([(1, DAY)])
    began = time.monotonic()
    took_s, ages, made_at, number = 0.0, list[float](), 0.0, 0
    while not took_s or number:
        assert time.monotonic() - began < PATIENCE_S
        if not number and time.monotonic() - made_at > LIVE_S:
            number, made_at = edge.outbox.extents()[0].next, time.monotonic()
            edge.read()
        owed = edge.outbox.unshipped("hub", "readings")
        if number and number not in owed:
            ages.append(time.monotonic() - made_at)
            number = 0
        if not took_s and not owed & backlog:
            took_s = time.monotonic() - began
        time.sleep(0.01)
    return took_s, ages
