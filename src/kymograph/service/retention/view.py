"""What retention did, would do next and holds back, for people. Reads; a pass is asked for by a file."""

from __future__ import annotations

import time
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Connection, func, select

from kymograph.config import Config
from kymograph.service.retention.outlook import READINGS, RECORDINGS, Looker, Outlook, held_back
from kymograph.service.retention.passing import Passing
from kymograph.service.retention.retention import PASSING_FILE, REQUEST_FILE, last_passes
from kymograph.store.durable import write_durably
from kymograph.store.sql import tables, thinning
from kymograph.store.sql.database import Database

TOMBSTONES_SHOWN: Final = 50
_RANGES_MAX: Final = 200
"""Ranges that are asked for one by one."""


@contextmanager
def viewing(config: Config, database: Database | None = None) -> Generator[RetentionView]:
    """Give a view of a station's retention; of a database of its own, if none is open."""
    if database is not None:
        yield RetentionView(config, database)
        return
    own = Database(config.database_url)
    try:
        yield RetentionView(config, own)
    finally:
        own.close()


class RetentionView:
    """What is told of one station's retention. Any thread, any process."""

    def __init__(self, config: Config, database: Database) -> None:
        """Take the station file and its database; nothing is read yet."""
        self._config = config
        self._database = database
        self._data = config.station.data
        self._looker = Looker(config, database)

    def look(self) -> dict[str, Any]:
        """Return disk and thresholds, what the next pass would delete, what stays and why, and what went.

        Raises:
            Unavailable: the database does not answer.
        """
        table = self._config.retention
        passing = Passing.load(self._data / PASSING_FILE)
        outlook = self._looker.look(passing)
        with self._database.read() as connection:
            tombstones = thinning.last_tombstones(connection, TOMBSTONES_SHOWN)
            readings = _held_readings(connection, outlook)
        return {
            "enabled": table.enabled,
            "paused": outlook.paused,
            "disk": {**outlook.disk.to_dict(), "excess_bytes": outlook.excess_bytes},
            "database": {
                "kind": self._database.dialect, "readings": outlook.readings,
                "size_bytes": outlook.readings_bytes,
            },
            "recordings": {
                "segments": len(outlook.items), "size_bytes": sum(item.size_bytes for item in outlook.items),
            },
            "thresholds": table.model_dump(exclude={"enabled"}),
            "next": self._looker.foresee(outlook),
            "held_back": {READINGS: readings, RECORDINGS: held_back(outlook)},
            "passes": last_passes(self._data),
            "tombstones": tombstones,
        }  # fmt: skip

    def ask(self) -> str:
        """Ask the keeper for a pass, and return by what it is known.

        Raises:
            StorageError: the data folder cannot be written to.
        """
        name = uuid.uuid4().hex
        write_durably(self._data / REQUEST_FILE, name.encode())
        return name

    def answer(self, name: str, timeout_s: float) -> dict[str, Any] | None:
        """Return the pass that was asked for, None if it is not done by then: it will be."""
        deadline = time.monotonic() + timeout_s
        while True:
            for one in last_passes(self._data):
                if one["request"] == name:
                    return one
            if time.monotonic() >= deadline:
                return None
            time.sleep(0.1)


def _held_readings(connection: Connection, outlook: Outlook) -> dict[str, int]:
    """Return how many readings stay, and why; the first reason that applies."""
    t = tables.readings.c
    count = select(func.count()).select_from(tables.readings)
    young = connection.scalar(count.where(t.id > outlook.old.readings)) or 0
    found = {"young": young}
    if outlook.owed is not None:
        ranges = list(outlook.owed)[:_RANGES_MAX]
        arrived = sum(
            connection.scalar(count.where(t.id.between(first, min(last, outlook.old.readings)))) or 0
            for first, last in ranges
        )
        found["unshipped"] = max(outlook.readings - young - arrived, 0)
    if outlook.found.pinned:
        found["pinned"] = sum(
            connection.scalar(count.where(t.time_ns >= first, t.time_ns < stop)) or 0
            for first, stop in outlook.found.pinned[:_RANGES_MAX]
        )
    return {why: rows for why, rows in found.items() if rows}
