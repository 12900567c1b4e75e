"""Taking what stations ship: one transaction a batch, so that all of it happened or none.

    rows · what is held now · the batch's hash · hours to be rolled up · what the station showed last

A row is known by what it is (a reading by device and time, an event by id and revision, a file by its
recording and name), so whatever comes twice, late, in another order or cut otherwise is there once. What
cannot be taken is put aside as it came, with the reason, and counts as told: it holds up nothing behind it.
Any number of processes may do this on one database; nothing that decides is kept in any of them.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from sqlalchemy import Connection
from sqlalchemy.exc import DataError

from kymograph.model.errors import Conflict, Forbidden, InvalidInput, StorageError, TooMany, Unavailable
from kymograph.model.limits import FUTURE_S_MAX, REJECTS_MAX
from kymograph.service.hub import rows as bodies
from kymograph.service.hub.rows import ReadingRow, Stream
from kymograph.store.objects import ObjectStore
from kymograph.store.sql import arrivals, batches, holdings, rejects, stations
from kymograph.store.sql.database import Database
from kymograph.store.sql.holdings import Place
from kymograph.store.sql.readings import Reading, insert_readings

log = logging.getLogger(__name__)

What = Literal["taken", "known", "contradicts", "refused", "incomplete"]
WHATS: Final[tuple[What, ...]] = ("taken", "known", "contradicts", "refused", "incomplete")


@dataclass(frozen=True, slots=True)
class Incoming:
    """One batch as it came. `first` and `last` are the range that it tells of; its rows may have holes."""

    station: str
    stream: Stream
    epoch: int
    first: int
    last: int
    sha256: str
    body: bytes
    any_device: bool = False
    """Whether the sender may bring readings of other devices than its own."""

    @property
    def place(self) -> Place:
        """Whose rows these are."""
        return Place(self.station, self.stream, self.epoch)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch."""

    what: What
    committed: int = 0
    duplicates: int = 0
    reason: str = ""
    missing: tuple[str, ...] = ()
    """Hashes of files that have to come first."""


@dataclass(frozen=True, slots=True)
class _Counted:
    rows: int
    committed: int
    newest_ns: int | None


class Ingest:
    """Takes batches into a database. Any thread may call it."""

    def __init__(
        self, database: Database, objects: ObjectStore, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._database = database
        self._objects = objects
        self._now_ns = now_ns
        self._guard = threading.Lock()
        self._counts = {**dict.fromkeys(WHATS, 0), "rows": 0, "duplicates": 0}

    def counts(self) -> dict[str, int]:
        """Return how many batches came since this process began, by what became of them, and their rows."""
        with self._guard:
            return dict(self._counts)

    def take(self, batch: Incoming) -> Outcome:
        """Take a batch, whole or not at all. When this returns, it is durable.

        Raises:
            InvalidInput: its hash is not that of its bytes: it was damaged on the way.
            Forbidden: readings of a device that the sender does not speak for.
            TooMany: too many of the station's batches are put aside.
            Unavailable: the database is away; nothing, or all of it, has happened.
        """
        outcome = self._take(batch)
        with self._guard:
            self._counts[outcome.what] += 1
            self._counts["rows"] += outcome.committed
            self._counts["duplicates"] += outcome.duplicates
        return outcome

    def _take(self, batch: Incoming) -> Outcome:
        if hashlib.sha256(batch.body).hexdigest() != batch.sha256:
            raise InvalidInput("the bytes are not those of the hash", hint="send them again")
        try:
            found = _parsed(batch)
            missing = self._missing(found) if batch.stream == bodies.SEGMENTS else ()
            if missing:
                return Outcome("incomplete", missing=missing)
            return self._commit(batch, found)
        except InvalidInput as error:
            return self._refuse(batch, str(error))
        except StorageError as error:
            if not isinstance(error.__cause__, DataError):
                raise
            return self._refuse(batch, error.message)
        except Conflict as error:  # of a kind that a batch cannot be to blame for
            raise Unavailable(error.message, hint="send it again") from error

    def _missing(self, found: Sequence[Any]) -> tuple[str, ...]:
        wanted = dict.fromkeys(row[0].sha256 for row in found)
        return tuple(sha256 for sha256 in wanted if not self._objects.has(sha256))

    def _commit(self, batch: Incoming, found: Sequence[Any]) -> Outcome:
        now_ns = self._now_ns()
        with self._database.begin() as connection:
            holdings.lock(connection, batch.station, batch.stream)
            known = batches.known(connection, batch.place, batch.first, batch.last)
            if known is not None and known[0] == batch.sha256:
                return Outcome("known", duplicates=known[1])
            if known is not None:
                return self._quarantine(connection, batch)
            counted = _INSERTS[batch.stream](connection, batch, found, now_ns)
            self._hold(connection, batch, counted, now_ns)
        return Outcome("taken", counted.committed, counted.rows - counted.committed)

    def _hold(self, connection: Connection, batch: Incoming, counted: _Counted, now_ns: int) -> None:
        place, first, last = batch.place, batch.first, batch.last
        batches.remember(
            connection, place, first, last, sha256=batch.sha256, rows=counted.rows, received_ns=now_ns
        )
        held = holdings.hold(connection, place, first, last)
        told = holdings.came(connection, place, first, last, counted.newest_ns, now_ns)
        if held[0] <= told.base and held[1] >= told.next - 1:
            holdings.complete(connection, place, told.newest_ns)

    # -- what cannot be taken ----------------------------------------------------------------------------
    def _refuse(self, batch: Incoming, why: str) -> Outcome:
        reason = why[:1000]
        now_ns = self._now_ns()
        with self._database.begin() as connection:
            holdings.lock(connection, batch.station, batch.stream)
            new = self._put_aside(connection, batch, rejects.DEAD, reason)
            stations.seen(connection, batch.station, now_ns)
            held = holdings.hold(connection, batch.place, batch.first, batch.last)
            told = holdings.came(connection, batch.place, batch.first, batch.last, None, now_ns)
            if held[0] <= told.base and held[1] >= told.next - 1:
                holdings.complete(connection, batch.place, told.newest_ns)
        if new:
            log.warning("a batch of %s was put aside: %s", batch.station, reason)
        return Outcome("refused", reason=reason)

    def _quarantine(self, connection: Connection, batch: Incoming) -> Outcome:
        reason = "rows of exactly this range came before, with other bytes"
        if self._put_aside(connection, batch, rejects.QUARANTINED, reason):
            log.warning("a batch of %s contradicts what is held, and was put aside", batch.station)
        stations.seen(connection, batch.station, self._now_ns())
        return Outcome("contradicts", reason=reason)

    def _put_aside(self, connection: Connection, batch: Incoming, kind: str, reason: str) -> bool:
        if rejects.count_of(connection, batch.station) >= REJECTS_MAX:
            raise TooMany(
                f"{REJECTS_MAX} batches of this station are put aside", hint="look at them on the hub",
                retry_after_s=600,
            )  # fmt: skip
        now_ns = self._now_ns()
        new = rejects.put_aside(
            connection, batch.place, batch.first, batch.last, batch.body,
            sha256=batch.sha256, kind=kind, reason=reason, received_ns=now_ns,
        )  # fmt: skip
        if new:
            raise_alarm(connection, batch, kind, reason, now_ns)
        return new


def raise_alarm(connection: Connection, batch: Incoming, kind: str, reason: str, now_ns: int) -> None:
    """Note, among the station's events, that a batch was put aside."""
    body = {
        "what": kind, "reason": reason, "stream": batch.stream, "epoch": batch.epoch,
        "first": batch.first, "last": batch.last, "sha256": batch.sha256,
    }  # fmt: skip
    event = {
        "station": batch.station, "id": str(uuid.uuid4()), "revision": 0, "time_ns": now_ns,
        "source": "hub", "kind": "alarm", "recording_id": None, "body": body,
    }  # fmt: skip
    arrivals.add_events(connection, [event])


def _parsed(batch: Incoming) -> Sequence[Any]:
    if batch.stream == bodies.READINGS:
        found = bodies.readings_of(batch.body, batch.first, batch.last)
        others = {row.device_id for row in found} - {batch.station}
        if others and not batch.any_device:
            raise Forbidden(
                f"readings of {sorted(others)[0]} came as those of the station {batch.station}",
                hint="the name under which a station ships is its `device_id`",
            )
        return found
    if batch.stream == bodies.EVENTS:
        return bodies.events_of(batch.body, batch.first, batch.last)
    return bodies.segments_of(batch.body, batch.first, batch.last)


def _insert_readings(
    connection: Connection, batch: Incoming, found: Sequence[ReadingRow], now_ns: int
) -> _Counted:
    added = insert_readings(connection, cast("Sequence[Reading]", found))  # they have all that one has
    stations.seen(connection, batch.station, now_ns)
    note_newest(connection, found, now_ns)
    return _Counted(len(found), added.inserted, max((row.time_ns for row in found), default=None))


def _time(row: Any) -> int:
    return row.time_ns


def note_newest(connection: Connection, found: Sequence[Any], now_ns: int) -> None:
    """Note what each device showed last; what is dated into the future does not count."""
    newest: dict[str, Any] = {}
    latest_ns = now_ns + int(FUTURE_S_MAX * 1e9)
    for row in sorted(found, key=_time):
        if row.time_ns <= latest_ns:
            newest[row.device_id] = row
    for name in sorted(newest):
        stations.showed(connection, name, newest[name].time_ns, bytes(newest[name].payload), now_ns)


def _insert_events(
    connection: Connection, batch: Incoming, found: Sequence[bodies.EventRow], now_ns: int
) -> _Counted:
    new = arrivals.add_events(
        connection,
        [
            {
                "station": batch.station, "id": row.id, "revision": row.revision, "time_ns": row.time_ns,
                "source": row.source, "kind": row.kind, "recording_id": row.recording_id, "body": row.body,
            }
            for row in found
        ],
    )  # fmt: skip
    stations.seen(connection, batch.station, now_ns)
    return _Counted(len(found), new, max((row.time_ns for row in found), default=None))


def _insert_segments(
    connection: Connection, batch: Incoming, found: Sequence[tuple[bodies.SegmentRow, Any]], now_ns: int
) -> _Counted:
    rows = [
        {
            "station": batch.station, "recording_id": row.recording_id, "filename": row.filename,
            "sha256": row.sha256, "size_bytes": row.size_bytes, "first_ns": row.first_ns,
            "last_ns": row.last_ns, "facts": facts,
        }
        for row, facts in found
    ]  # fmt: skip
    changed = arrivals.other_hashes(connection, rows)
    if changed:
        raise InvalidInput(f"a sealed file came before with other bytes: {', '.join(changed[:5])}")
    new = arrivals.add_segments(connection, rows)
    stations.seen(connection, batch.station, now_ns)
    return _Counted(len(found), new, max((row.last_ns or 0 for row, _ in found), default=0) or None)


_INSERTS: dict[str, Callable[[Connection, Incoming, Any, int], _Counted]] = {
    bodies.READINGS: _insert_readings,
    bodies.EVENTS: _insert_events,
    bodies.SEGMENTS: _insert_segments,
}
