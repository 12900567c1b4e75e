"""What a station has to ship: rows of three streams, numbered once by its database, and who has which.

A row is (stream, epoch, seq). The epoch is when the database was made, the seq its row's number there.
Numbers have holes: a row that was there twice took one, a row that was thinned left one. Only numbers below
the last `extents` are given out, when no transaction was under way that could still fill a hole below.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import Connection, Table, Text, cast, delete, func, insert, select, text
from sqlalchemy.sql import ColumnElement

from kymograph.model.errors import NotFound
from kymograph.model.ranges import Ranges
from kymograph.store.recording_folder import find_recording
from kymograph.store.sql import tables
from kymograph.store.sql.database import POSTGRESQL, Database
from kymograph.store.sql.facts import epoch

READINGS: Final = "readings"
EVENTS: Final = "events"
SEGMENTS: Final = "segments"
STREAMS: Final = (READINGS, EVENTS, SEGMENTS)

_TABLES: Final[Mapping[str, Table]] = {
    READINGS: tables.readings, EVENTS: tables.events, SEGMENTS: tables.segments,
}  # fmt: skip
_NUMBER: Final = {READINGS: "id", EVENTS: "seq", SEGMENTS: "seq"}
_SHIPPED_COLUMNS: Final[Mapping[str, tuple[Sequence[str], str]]] = {
    READINGS: (("device_id", "time_ns", "local_ns"), "payload"),
    EVENTS: (("id", "time_ns", "source", "kind", "revision", "recording_id"), "body"),
    SEGMENTS: ((), "facts"),
}
"""What a row has beside its `seq`, and which column is JSON."""
COUNT_S: Final = 60.0
_NEWEST: Final = {READINGS: "time_ns", EVENTS: "time_ns", SEGMENTS: "last_ns"}


@dataclass(frozen=True, slots=True)
class Extent:
    """What there is of a stream: rows with numbers from `first` up to `next` (exclusive), with holes."""

    stream: str
    epoch: int
    first: int
    next: int
    newest_ns: int | None
    rows: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows to be shipped. `first` and `last` (inclusive) are what is told by it, holes included."""

    stream: str
    epoch: int
    first: int
    last: int
    rows: int
    body: bytes
    """JSON lines, each with its `seq`."""
    sha256: str


class Outbox:
    """Any thread may use it. Every method may raise `Unavailable` or `StorageError`."""

    def __init__(self, database: Database, station: str, data: Path) -> None:
        """Ship what is this station's; `data` is where its sealed files are."""
        self._database = database
        self._station = station
        self._data = data
        self._settled: dict[str, int] = {}
        """By stream: below this number nothing will appear any more."""
        self._counted: dict[str, tuple[float, int, int]] = {}
        """By stream: when rows were counted, how many there were, and the next number then."""
        self._folders: dict[str, Path] = {}

    def extents(self) -> list[Extent]:
        """Return what there is of each stream now."""
        found: list[Extent] = []
        for stream in STREAMS:
            with self._database.read() as connection:
                if connection.dialect.name == POSTGRESQL:
                    # until those who write now have ended; a number that is not there then, never will be
                    connection.exec_driver_sql(f"LOCK TABLE {stream} IN SHARE MODE")
                found.append(self._extent(connection, stream, epoch(connection)))
            self._settled[stream] = found[-1].next
        return found

    def batch(self, stream: str, first: int, last: int, limit: int) -> Batch | None:
        """Return at most `limit` rows of `first` to `last`, both included; None if there is none of them.

        Where the limit cuts, `last` of the batch is the last row taken, else what was asked for: the same
        question gives the same bytes, as long as no row of it was thinned.
        """
        if last >= self._settled.get(stream, 0):
            self.extents()
        last = min(last, self._settled[stream] - 1)
        with self._database.read() as connection:
            at = epoch(connection)
            rows = self._rows(connection, stream, (first, last), limit)
        if not rows:
            return None
        body = b"".join(msgspec.json.encode(row) + b"\n" for row in rows)
        if len(rows) == limit:
            last = int(rows[-1]["seq"])
        return Batch(stream, at, first, last, len(rows), body, hashlib.sha256(body).hexdigest())

    def unshipped(self, destination: str, stream: str) -> Ranges:
        """Return the numbers that a destination has not acknowledged."""
        with self._database.read() as connection:
            extent = self._extent(connection, stream, epoch(connection))
            done = _shipped(connection, _Place(destination, stream, extent.epoch))
        following = min(extent.next, self._settled.get(stream, extent.next))
        return Ranges([(extent.first, following - 1)]) - done

    def acknowledge(self, destination: str, stream: str, epoch: int, first: int, last: int) -> None:
        """Remember, durably, that a destination has committed `first` to `last`."""
        place = _Place(destination, stream, epoch)
        with self._database.begin() as connection:
            near = _shipped(connection, place, first - 1, last + 1)
            _replace(connection, place, near, near | Ranges([(first, last)]))

    def forget_acknowledged(self, destination: str, stream: str, epoch: int, held: Ranges) -> None:
        """Believe the destination: of what it has acknowledged, only what it says it holds is remembered."""
        place = _Place(destination, stream, epoch)
        with self._database.begin() as connection:
            done = _shipped(connection, place)
            if (left := done & held) != done:
                _replace(connection, place, done, left)

    def file(self, sha256: str) -> Path | None:
        """Return where a sealed file is; None if it is there no more: deleted, or merged into another."""
        t = tables.segments.c
        which = select(t.recording_id, t.filename, t.size_bytes).where(
            t.station == self._station, t.sha256 == sha256
        )
        with self._database.read() as connection:
            rows = connection.execute(which).all()
        for row in rows:
            path = self._path(row.recording_id, row.filename)
            if path is not None and path.is_file() and path.stat().st_size == row.size_bytes:
                return path
        return None

    def _path(self, recording_id: str, filename: str) -> Path | None:
        known = self._folders.get(recording_id)
        if known is None or not known.is_dir():
            try:
                known = find_recording(self._data / "recordings", recording_id).path
            except NotFound:
                return None
            self._folders[recording_id] = known
        return known / filename

    # -- one stream ----------------------------------------------------------------------------------------
    def _extent(self, connection: Connection, stream: str, at: int) -> Extent:
        table, number, newest = _of(stream)
        own = self._own(table)
        first = connection.execute(select(func.min(number)).where(*own)).scalar()
        last_ns = connection.execute(select(newest).where(*own).order_by(number.desc()).limit(1)).scalar()
        following = _next_number(connection, stream, number)
        rows = self._count(connection, stream, following)
        return Extent(stream, at, following if first is None else first, following, last_ns, rows)

    def _count(self, connection: Connection, stream: str, following: int) -> int:
        """Return how many rows there are; counted once a minute, the newer ones by their numbers."""
        counted = self._counted.get(stream)
        if counted is None or time.monotonic() - counted[0] > COUNT_S:
            table, _, _ = _of(stream)
            rows = connection.execute(
                select(func.count()).select_from(table).where(*self._own(table))
            ).scalar_one()
            self._counted[stream] = counted = (time.monotonic(), rows, following)
        return counted[1] + following - counted[2]

    def _rows(
        self, connection: Connection, stream: str, span: tuple[int, int], limit: int
    ) -> list[dict[str, Any]]:
        table, number, _ = _of(stream)
        names, payload = _SHIPPED_COLUMNS[stream]
        columns = [table.c[name] for name in names]
        query = (
            select(number.label("seq"), *columns, cast(table.c[payload], Text).label("plain"))
            .where(number.between(*span), *self._own(table))
            .order_by(number)
            .limit(limit)
        )
        return [_row(payload, dict(found)) for found in connection.execute(query).mappings()]

    def _own(self, table: Table) -> list[ColumnElement[bool]]:
        return [table.c.station == self._station] if "station" in table.c else []


class _Place(NamedTuple):
    destination: str
    stream: str
    epoch: int


def _of(stream: str) -> tuple[Table, ColumnElement[int], ColumnElement[int]]:
    table = _TABLES[stream]
    return table, table.c[_NUMBER[stream]], table.c[_NEWEST[stream]]


def _next_number(connection: Connection, stream: str, number: ColumnElement[int]) -> int:
    """Return the number after the highest that a row has, or had when it was told of.

    Not what PostgreSQL would give next: one that was killed skips up to 32 numbers, which no row ever has.
    """
    if connection.dialect.name == POSTGRESQL:
        t = tables.shipped.c
        told = select(func.max(t.last)).where(t.stream == stream, t.epoch == epoch(connection))
        highest = connection.execute(select(func.max(number))).scalar() or 0
        return max(highest, connection.execute(told).scalar() or 0) + 1
    last = text("SELECT seq FROM sqlite_sequence WHERE name = :table")
    return (connection.execute(last, {"table": stream}).scalar() or 0) + 1


def _row(payload: str, plain: dict[str, Any]) -> dict[str, Any]:
    raw = msgspec.Raw(plain.pop("plain").encode())
    if payload == "facts":
        return {**plain, **msgspec.json.decode(raw)}
    return {**plain, payload: raw}


def _shipped(connection: Connection, place: _Place, low: int = 0, high: int = 2**63 - 1) -> Ranges:
    """Return what was acknowledged, as far as it overlaps `low` to `high`."""
    t = tables.shipped.c
    which = (t.destination == place.destination, t.stream == place.stream, t.epoch == place.epoch)
    found = connection.execute(select(t.first, t.last).where(*which, t.first <= high, t.last >= low))
    return Ranges((row.first, row.last) for row in found)


def _replace(connection: Connection, place: _Place, old: Ranges, new: Ranges) -> None:
    t = tables.shipped.c
    which = (t.destination == place.destination, t.stream == place.stream, t.epoch == place.epoch)
    gone = [first for first, _ in old]
    if gone:
        connection.execute(delete(tables.shipped).where(*which, t.first.in_(gone)))
    rows = [{**place._asdict(), "first": first, "last": last} for first, last in new]
    if rows:
        connection.execute(insert(tables.shipped), rows)
