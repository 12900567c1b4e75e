"""From the data folder into the database: readings, events, and what was sealed; each once.

How far it has got stands in the database and changes in the same transaction as the rows. So a keeper that
is killed, and a database that goes away, at any instant, cost nothing and double nothing; a database that is
made anew gets what the folder still holds.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from kymograph.model.errors import KymographError
from kymograph.model.limits import GATHER_BYTES_MAX
from kymograph.service.keeping.admitting import add_all, is_time, without_nul
from kymograph.service.keeping.gathered_recordings import RecordingsGatherer
from kymograph.service.keeping.keeping_state import write_keeping
from kymograph.store import spool
from kymograph.store.folder import folder_identity
from kymograph.store.spool import SpoolPlace
from kymograph.store.sql import readings, schema
from kymograph.store.sql.database import Database
from kymograph.store.sql.facts import DESTINATIONS, fact, set_fact
from kymograph.store.sql.readings import Reading

log = logging.getLogger(__name__)

LOOK_S: Final = 0.2
"""How often the spool is looked at: readings are to be in the database within a second."""
_FOLDER_S: Final = 1.0
"""How often events and recordings are."""
_TELL_S: Final = 1.0
AWAY_S: Final = (0.5, 1.0, 2.0, 5.0)
"""Waits while the database is away; the last repeats."""
_PLACE: Final = "gathered {id} readings"
_BEND_US_MAX: Final = 1000


class Gatherer:
    """One thread's: `run`. The database is its own to write into, beside others."""

    def __init__(self, data: Path, station: str, database: Database, takers: Sequence[str] = ()) -> None:
        """Gather what is in `data`; `takers` are the destinations that are to have all readings."""
        self._data = data
        self._takers = json.dumps(list(takers))
        self._folder = data / spool.FOLDER
        self._database = database
        station_id = folder_identity(data)
        self._fact = _PLACE.format(id=station_id)
        self._recordings = RecordingsGatherer(data, (station, station_id), database)
        self._decoder = msgspec.json.Decoder(Reading)
        self.prepared = threading.Event()
        """Set once the tables are what this program needs."""
        self._away = ""
        self._failures = 0
        self._place = SpoolPlace(0, 0)
        self._folder_at = self._told_at = 0.0
        self.kept = 0
        self.unreadable = 0

    def run(self, stop: threading.Event) -> None:
        """Gather until `stop` is set, and then once more."""
        wait_s = 0.0
        while not stop.wait(wait_s):
            wait_s = self.turn()
        if not self._away:
            self.turn(everything=True)

    def turn(self, everything: bool = False) -> float:
        """Gather what there is; return how long to wait before the next turn.

        Events and recordings are looked at in some turns only, unless `everything` is asked for.
        """
        try:
            if not self.prepared.is_set():
                self._prepare()
            while self._gather_readings():
                pass
            if everything or time.monotonic() - self._folder_at >= _FOLDER_S:
                self._recordings.gather()
                self._folder_at = time.monotonic()
            self._back()
            wait_s = LOOK_S
        except KymographError as error:
            wait_s = self._lost(error)
        if everything or time.monotonic() - self._told_at >= _TELL_S:
            self._told_at = time.monotonic()
            write_keeping(self._data, self.status())
        return wait_s

    def status(self) -> dict[str, Any]:
        """Return how it goes: whether the database answers, what was kept, what waits."""
        return {
            "database": "away" if self._away or not self.prepared.is_set() else "ok",
            "dialect": self._database.dialect,
            "error": self._away,
            "failures": self._failures,
            "kept": self.kept,
            "unreadable": self.unreadable,
            "spool_bytes": self._waiting_bytes(),
        }

    def _prepare(self) -> None:
        schema.upgrade(self._database)
        with self._database.begin() as connection:
            self._place = _parsed(fact(connection, self._fact))
            set_fact(connection, DESTINATIONS, self._takers)
        self.prepared.set()

    def _lost(self, error: KymographError) -> float:
        if not self._away:
            log.warning("readings wait in %s: %s", self._folder, error)
        self._away = error.message
        wait_s = AWAY_S[min(self._failures, len(AWAY_S) - 1)]
        self._failures += 1
        return wait_s

    def _back(self) -> None:
        if self._away:
            log.info("the database is back")
        self._away, self._failures = "", 0

    def _waiting_bytes(self) -> int:
        try:
            return spool.waiting_bytes(self._folder, self._place)
        except (KymographError, OSError):
            return 0

    # -- readings ------------------------------------------------------------------------------------------
    def _gather_readings(self) -> bool:
        """Take one helping; return whether there was any."""
        lines, place = spool.read_spool(self._folder, self._place, GATHER_BYTES_MAX)
        if place == self._place:
            return False
        rows = [row for line in lines if (row := self._row(line)) is not None]
        kept: list[int] = []

        def add(connection: Connection, some: Sequence[Reading]) -> None:
            added = readings.insert_readings(connection, some)
            kept.append(added.inserted + (_bend(connection, some) if added.duplicates else 0))

        def passed(connection: Connection) -> None:
            set_fact(connection, self._fact, json.dumps(place))

        self.unreadable += add_all(self._database, rows, add, passed)
        self.kept += sum(kept)
        self._place = place
        spool.drop_read(self._folder, place)
        return bool(lines)

    def _row(self, line: bytes) -> Reading | None:
        try:
            row = self._decoder.decode(without_nul(line))
            if is_time(row.time_ns) and is_time(row.local_ns):
                return row
            error: Exception = ValueError("its time is none")
        except (msgspec.MsgspecError, UnicodeError) as refusal:
            error = refusal
        self.unreadable += 1
        log.error("a line of %s is no reading and is left out: %s", self._folder, error)
        return None


def _bend(connection: Connection, rows: Sequence[Reading]) -> int:
    """Add readings whose place is taken by another one, a microsecond later; return how many.

    Places in the spool are passed once, so what is there already is, as a rule, another reading: the clock
    was set back and the same microsecond came again. One that says the same is the same.
    """
    added = 0
    for row in rows:
        for _ in range(_BEND_US_MAX):
            there = readings.at(connection, row.device_id, row.time_ns)
            if there is None or _says(there) == _says(row):
                break
            row = msgspec.structs.replace(row, time_ns=row.time_ns + 1000, local_ns=row.local_ns + 1000)
            added += readings.insert_readings(connection, [row]).inserted
    return added


def _says(reading: Reading) -> Any:
    return reading.local_ns, msgspec.json.decode(reading.payload)


def _parsed(text: str | None) -> SpoolPlace:
    return SpoolPlace(*json.loads(text)) if text else SpoolPlace(0, 0)
