"""Roll-ups of readings: n, smallest, mean, largest and spread of every number, a minute, an hour, a day.

A transaction that adds readings says which hours they fall into (`mark_dirty`); `settle` takes these hours
later. While all their readings are there, roll-ups are made anew from them. Once some were deleted (`seal`),
they are never made from what is left: only readings whose times were not taken yet are added.

Any number of processes may settle one database. One at a time has a device; who is late leaves it alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
from sqlalchemy import Connection, Table, bindparam, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite

from kymograph.store.sql import buckets, tables
from kymograph.store.sql.buckets import DAY_NS, HOUR_NS, MINUTE_NS, Buckets, Whole
from kymograph.store.sql.database import SQLITE, Database
from kymograph.store.sql.leaves import columns
from kymograph.store.sql.rolled import (
    DAY_S,
    HOUR_S,
    READINGS_AT_ONCE,
    field_names,
    minutes_of_hour,
    of_width,
    raw,
    thinned_times,
)

_MARKS: Final = 5_000
"""Marks that are looked at in one transaction."""
_LOCK: Final = "kymograph roll-ups of "

Rolled = dict[str, Buckets]
"""The minutes of each field."""


def mark_dirty(connection: Connection, device_id: str, times_ns: Iterable[int]) -> None:
    """Say, in the transaction that adds readings, at which times there are new ones.

    Times of readings that were there already do no harm.
    """
    hours = sorted({time_ns // HOUR_NS for time_ns in times_ns})
    if hours:
        rows = [{"device_id": device_id, "start_ns": hour * HOUR_NS} for hour in hours]
        connection.execute(insert(tables.dirty), rows)


# -- settling ----------------------------------------------------------------------------------------------
def settle(database: Database, rows_max: int | None = None) -> int:
    """Roll up what is marked, in short transactions; return how many readings were looked at.

    Stops when `rows_max` are reached; what is left stays marked.
    """
    with database.read() as connection:
        devices = connection.scalars(select(tables.dirty.c.device_id).distinct()).all()
    looked_at = 0
    for device_id in devices:
        more = True
        while more and (rows_max is None or looked_at < rows_max):
            with database.begin() as connection:
                rows, more = _settle_some(connection, device_id)
            looked_at += rows
    return looked_at


def _settle_some(connection: Connection, device_id: str) -> tuple[int, bool]:
    """Settle the oldest marked hours of a device; return how many readings, and whether more are marked."""
    if not claim(connection, device_id, wait=False):
        return 0, False
    # The marks first, the readings later: what a mark that is seen stands for is seen then, and a mark that
    # is not seen stays.
    t = tables.dirty
    marks = connection.execute(
        select(t.c.id, t.c.start_ns).where(t.c.device_id == device_id).order_by(t.c.start_ns).limit(_MARKS)
    ).all()
    done: list[int] = []
    hours: list[int] = []
    rows = 0
    for hour_ns, of_hour in itertools.groupby(marks, key=lambda mark: mark.start_ns):
        if rows >= READINGS_AT_ONCE:
            break
        rows += settle_hour(connection, device_id, hour_ns)
        hours.append(hour_ns)
        done += [mark.id for mark in of_hour]
    sum_up_days(connection, device_id, hours)
    if done:
        connection.execute(delete(t).where(t.c.id == bindparam("mark")), [{"mark": i} for i in done])
    return rows, len(done) < len(marks) or len(marks) == _MARKS


def settle_hour(connection: Connection, device_id: str, hour_ns: int) -> int:
    """Bring the minutes of one hour up to date; return how many readings there were.

    The caller has the device (`claim`) and goes on with `sum_up_days`.
    """
    known = thinned_times(connection, device_id, hour_ns)
    times: list[Whole] = []
    rolled: dict[str, list[Buckets]] = {}
    rows = 0
    for chunk in raw(connection, device_id, hour_ns, hour_ns + HOUR_NS):
        rows += len(chunk)
        here = np.array([time_ns for time_ns, _ in chunk], np.int64)
        if known is not None:
            fresh = ~np.isin(here, known)
            chunk = list(itertools.compress(chunk, fresh.tolist()))
            here = here[fresh]
        times.append(here)
        for field, (when, values) in columns(chunk).items():
            rolled.setdefault(field, []).append(buckets.of_values(when, values, MINUTE_NS))
    if known is not None:
        new = np.concatenate([known, *times])
        if len(new) == len(known):
            return rows
        _keep_times(connection, device_id, hour_ns, np.sort(new))
        for field, minutes in minutes_of_hour(connection, device_id, hour_ns, list(rolled)).items():
            rolled[field].append(minutes)
    made = {field: buckets.together(parts, MINUTE_NS) for field, parts in rolled.items()}
    _write_hour(connection, device_id, hour_ns, made)
    if known is None:
        _forget_others(connection, device_id, hour_ns, made)
    return rows


def _write_hour(connection: Connection, device_id: str, hour_ns: int, made: Rolled) -> None:
    if not made:
        return
    at = {"device_id": device_id, "start_ns": hour_ns}
    _put(connection, tables.fields, [{"device_id": device_id, "field": field} for field in made])
    _put(
        connection,
        tables.minutes,
        [{**at, "field": field, "buckets": buckets.pack(one, hour_ns)} for field, one in made.items()],
    )
    hours = {field: one.grouped(HOUR_NS) for field, one in made.items()}
    _put(connection, tables.rollups, list(_as_rows(device_id, HOUR_S, hours)))


def _forget_others(connection: Connection, device_id: str, hour_ns: int, made: Rolled) -> None:
    """Delete roll-ups of fields that an hour had when it was rolled up before, and has no more."""
    gone = [
        {"a_device": device_id, "a_field": field, "a_start": hour_ns}
        for field in field_names(connection, device_id)
        if field not in made
    ]
    if not gone:
        return
    for t in (tables.minutes, tables.rollups):
        where = [
            t.c.device_id == bindparam("a_device"),
            t.c.field == bindparam("a_field"),
            t.c.start_ns == bindparam("a_start"),
        ]
        if t is tables.rollups:
            where.append(t.c.width_s == HOUR_S)
        connection.execute(delete(t).where(*where), gone)


def sum_up_days(connection: Connection, device_id: str, hours: Iterable[int]) -> None:
    """Make the roll-ups of the days of these hours from those of their hours."""
    names = field_names(connection, device_id)
    for day_ns in sorted({hour_ns // DAY_NS * DAY_NS for hour_ns in hours}):
        rolled = {
            field: of_width(connection, device_id, field, HOUR_S, (day_ns, day_ns + DAY_NS)).grouped(DAY_NS)
            for field in names
        }
        _put(connection, tables.rollups, list(_as_rows(device_id, DAY_S, rolled)))


def _as_rows(device_id: str, width_s: int, rolled: Rolled) -> Iterator[dict[str, Any]]:
    for field, one in rolled.items():
        for i in range(len(one)):
            yield {
                "device_id": device_id, "field": field, "width_s": width_s, "start_ns": int(one.start_ns[i]),
                "n": int(one.n[i]), "minimum": float(one.minimum[i]), "mean": float(one.mean[i]),
                "maximum": float(one.maximum[i]), "m2": float(one.m2[i]),
            }  # fmt: skip


# -- deleting ----------------------------------------------------------------------------------------------
def seal(connection: Connection, device_id: str, hour_ns: int) -> Whole:
    """Settle an hour of which readings are to be deleted, in this transaction, and return their times.

    Only readings of these times may be deleted: they are in the roll-ups. Claims the device.
    """
    claim(connection, device_id, wait=True)
    settle_hour(connection, device_id, hour_ns)
    sum_up_days(connection, device_id, [hour_ns])
    known = thinned_times(connection, device_id, hour_ns)
    if known is None:
        chunks = list(raw(connection, device_id, hour_ns, hour_ns + HOUR_NS, payloads=False))
        known = np.array([time_ns for chunk in chunks for time_ns, _ in chunk], np.int64)
        _keep_times(connection, device_id, hour_ns, known)
    return known


def _keep_times(connection: Connection, device_id: str, hour_ns: int, times_ns: Whole) -> None:
    packed = buckets.pack_times(times_ns, hour_ns)
    _put(connection, tables.thinned, [{"device_id": device_id, "start_ns": hour_ns, "times": packed}])


def claim(connection: Connection, device_id: str, wait: bool) -> bool:
    """Have the roll-ups of a device to oneself until the transaction ends; False if another has them."""
    if connection.dialect.name == SQLITE:
        return True  # whoever writes is alone
    key = func.hashtextextended(_LOCK + device_id, 0)
    if wait:
        connection.execute(select(func.pg_advisory_xact_lock(key)))
        return True
    return bool(connection.scalar(select(func.pg_try_advisory_xact_lock(key))))


def _put(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    """Insert rows, in place of those with the same key."""
    if not rows:
        return
    dialect = sqlite if connection.dialect.name == SQLITE else postgresql
    statement = dialect.insert(table)
    keys = list(table.primary_key.columns)
    values = {c.name: statement.excluded[c.name] for c in table.columns if not c.primary_key}
    if values:
        statement = statement.on_conflict_do_update(index_elements=keys, set_=values)
    else:
        statement = statement.on_conflict_do_nothing()
    connection.execute(statement, rows)
