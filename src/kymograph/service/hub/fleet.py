"""The stations of a hub: who is late, what each showed last, what it owes and since when."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kymograph.config import HubTable
from kymograph.model.errors import NotFound
from kymograph.model.ranges import Ranges
from kymograph.service.hub import ledger
from kymograph.store.sql import arrivals, holdings, rejects, stations
from kymograph.store.sql.database import Database
from kymograph.store.sql.holdings import Place, Told
from kymograph.store.sql.rejects import Reject
from kymograph.store.sql.stations import Registered

OK: Final = "ok"
LATE: Final = "late"
SILENT: Final = "silent"
NEVER: Final = "never"
STATES: Final = (OK, LATE, SILENT, NEVER)
INTERVAL_S: Final = 60.0
"""Of a station that does not say how often it reads."""
_INTERVALS: Final = 3
"""So many of its own intervals a station may be behind whatever `late_s` says."""


class Fleet:
    """Any thread may use it."""

    def __init__(self, database: Database, table: HubTable, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._database = database
        self._table = table
        self._now_ns = now_ns

    def list(self) -> list[dict[str, Any]]:
        """Return every station by name; see `one`."""
        return self._items(None)

    def one(self, station: str) -> dict[str, Any]:
        """Return a station.

        `{station title place latitude longitude version interval_s first_seen_ns last_seen_ns
        last_reading{time_ns payload} state late_s owed{stream{rows since_ns}}
        ledger{expected held missing} rejects{dead quarantined} facts}`

        Raises:
            NotFound: the hub has never heard of it.
        """
        found = self._items(station)
        if not found:
            raise NotFound("there is no station of that name")
        return found[0]

    def _items(self, station: str | None) -> list[dict[str, Any]]:
        now_ns = self._now_ns()
        with self._database.read() as connection:
            if station is None:
                known = stations.every(connection)
            else:
                only = stations.find(connection, station)
                known = [] if only is None else [only]
            told = list(holdings.all_told(connection, station))
            held = holdings.all_held(connection, station)
            aside = rejects.counts(connection)
            dead = rejects.dead(connection, station)
        present = ledger.current(told)
        of: dict[str, list[_Book]] = {}
        for place, one in told:
            is_current = present[place.station, place.stream] == place.epoch
            book = _Book(place, one, held.get(place, Ranges()), dead.get(place, Ranges()), is_current)
            of.setdefault(place.station, []).append(book)
        return [
            {
                **self._said(one, now_ns),
                **_sums(of.get(one.name, []), one.first_seen_ns),
                "rejects": {kind: aside.get((one.name, kind), 0) for kind in rejects.KINDS},
            }
            for one in known
        ]  # fmt: skip

    def _said(self, one: Registered, now_ns: int) -> dict[str, Any]:
        state, late_s = self.state(one, now_ns)
        shown = None if one.newest_ns is None else {"time_ns": one.newest_ns, "payload": one.newest}
        return {
            "station": one.name, "title": one.title, "place": one.place,
            "latitude": one.latitude, "longitude": one.longitude, "version": one.version,
            "interval_s": one.interval_s, "first_seen_ns": one.first_seen_ns,
            "last_seen_ns": one.last_seen_ns, "last_reading": shown, "state": state, "late_s": late_s,
            "facts": dict(one.facts),
        }  # fmt: skip

    def state(self, one: Registered, now_ns: int) -> tuple[str, float]:
        """Return whether a station is ok, late, silent or never heard, and for how long a reading is due."""
        if one.newest_ns is None:
            return NEVER, 0.0
        interval_s = one.interval_s or INTERVAL_S
        age_s = (now_ns - one.newest_ns) / 1e9
        patience_s = max(self._table.late_s, _INTERVALS * interval_s)
        if age_s <= patience_s:
            return OK, 0.0
        state = SILENT if age_s > max(self._table.silent_s, patience_s) else LATE
        return state, age_s - interval_s

    def change(self, station: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change `title`, `place`, `latitude` or `longitude`; return the station.

        Raises:
            NotFound: the hub has never heard of it.
        """
        with self._database.begin() as connection:
            known = stations.change(connection, station, changes)
        if not known:
            raise NotFound("there is no station of that name")
        return self.one(station)

    # -- what was put aside ------------------------------------------------------------------------------
    def rejects(self, station: str | None, before: int | None, limit: int) -> list[dict[str, Any]]:
        """Return batches that were put aside, newest first, with ids below `before`."""
        with self._database.read() as connection:
            return [one.to_dict() for one in rejects.page(connection, station, before, limit)]

    def reject_body(self, id: int) -> tuple[Reject, bytes]:
        """Return such a batch and its bytes as they came.

        Raises:
            NotFound: there is none of that id.
        """
        with self._database.read() as connection:
            one, body = rejects.find(connection, id), rejects.body_of(connection, id)
        if one is None or body is None:
            raise NotFound("there is no batch of that id that was put aside")
        return one, body

    def drop_reject(self, id: int) -> None:
        """Throw such a batch away. If it was put aside as it came first, its rows are asked for once more.

        Raises:
            NotFound: there is none of that id.
        """
        with self._database.begin() as connection:
            one = rejects.find(connection, id)
            if one is None:
                raise NotFound("there is no batch of that id that was put aside")
            rejects.remove(connection, id)
            if one.kind == rejects.DEAD:
                holdings.lock(connection, one.station, one.stream)
                holdings.let_go(connection, one.place, Ranges([(one.first, one.last)]))

    # -- recordings --------------------------------------------------------------------------------------
    def recordings(self, station: str, before: int | None, limit: int) -> list[dict[str, Any]]:
        """Return a station's recordings, newest first: `recording_id recording segments size_bytes …`."""
        with self._database.read() as connection:
            return arrivals.recordings_of(connection, station, before, limit)

    def segments(self, station: str, recording_id: str) -> list[dict[str, Any]]:
        """Return the sealed files of a recording, as they were shipped.

        Raises:
            NotFound: none is here.
        """
        with self._database.read() as connection:
            found = arrivals.segments_of(connection, station, recording_id)
        if not found:
            raise NotFound("there is no recording of that id of this station")
        return found

    def segment(self, station: str, recording_id: str, filename: str) -> dict[str, Any]:
        """Return one of them.

        Raises:
            NotFound: it is not here.
        """
        with self._database.read() as connection:
            found = arrivals.segment(connection, station, recording_id, filename)
        if found is None:
            raise NotFound("there is no such file of this recording")
        return found

    def counts(self) -> dict[str, Any]:
        """Return numbers for those who watch: stations by state, and what was put aside, by kind."""
        items = self.list()
        return {
            "stations": {state: sum(one["state"] == state for one in items) for state in STATES},
            "owed": {one["station"]: {s: o["rows"] for s, o in one["owed"].items()} for one in items},
            "rejects": {
                kind: sum(one["rejects"][kind] for one in items) for kind in rejects.KINDS
            },
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Book:
    """What is known of one stream and epoch."""

    place: Place
    told: Told
    held: Ranges
    dead: Ranges
    is_current: bool


def _sums(books: Iterable[_Book], first_seen_ns: int | None) -> dict[str, Any]:
    """Return what a station owes, of its present epochs, and the sums of its ledger."""
    owed: dict[str, Any] = {}
    expected = have = 0
    for book in books:
        rows = ledger.all_rows(book.told)
        expected += rows.count
        have += (rows & (book.held - book.dead)).count
        if book.is_current:
            left = ledger.owed(book.told, book.held).count
            since_ns = book.told.complete_ns or first_seen_ns
            owed[book.place.stream] = {"rows": left, "since_ns": since_ns if left else None}
    return {"owed": owed, "ledger": {"expected": expected, "held": have, "missing": expected - have}}
