"""What there is of a device's readings, as rows and rolled up: statements that read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final, cast

import numpy as np
from sqlalchemy import Connection, Text, func, select
from sqlalchemy import cast as sql_cast

from kymograph.store.sql import buckets, tables
from kymograph.store.sql.buckets import EMPTY, HOUR_NS, MINUTE_NS, Buckets, Whole
from kymograph.store.sql.database import POSTGRESQL

MINUTE_S: Final = 60
HOUR_S: Final = 3600
DAY_S: Final = 86_400

READINGS_AT_ONCE: Final = 20_000
"""Readings that are in memory at one time."""

_PAGES: Final = (
    "SELECT start_ns, buckets FROM minutes WHERE device_id = {0} AND field = {0}"
    " AND start_ns > {0} AND start_ns < {0} ORDER BY start_ns"
)

Span = tuple[int, int]
"""Two times; the second is not in it."""


def raw(
    connection: Connection, device_id: str, start_ns: int, stop_ns: int, payloads: bool = True
) -> Iterator[list[tuple[int, str]]]:
    """Yield times and payloads (as JSON; empty without `payloads`) in order, some thousand at a time."""
    t = tables.readings.c
    payload = sql_cast(t.payload, Text) if payloads else func.substr("", 1)
    wanted = select(t.time_ns, payload).where(t.device_id == device_id, t.time_ns < stop_ns)
    wanted = wanted.order_by(t.time_ns).limit(READINGS_AT_ONCE)
    while True:
        rows = connection.execute(wanted.where(t.time_ns >= start_ns)).all()
        if rows:
            yield [(row[0], row[1]) for row in rows]
        if len(rows) < READINGS_AT_ONCE:
            return
        start_ns = rows[-1][0] + 1


def count_up_to(connection: Connection, device_id: str, span: Span, most: int) -> int:
    """Return how many readings a span has, `most` if it has more."""
    t = tables.readings.c
    some = select(t.time_ns).where(t.device_id == device_id, t.time_ns >= span[0], t.time_ns < span[1])
    few = some.order_by(t.time_ns).limit(most)  # in order: along the key, and no further
    return connection.scalar(select(func.count()).select_from(few.subquery())) or 0


def field_names(connection: Connection, device_id: str) -> list[str]:
    """Return the paths of all numbers that a device's readings have had, in order."""
    t = tables.fields.c
    return list(connection.scalars(select(t.field).where(t.device_id == device_id).order_by(t.field)))


def thinned_times(connection: Connection, device_id: str, hour_ns: int) -> Whole | None:
    """Return the times of all readings in the roll-ups of an hour of which some were deleted, else None."""
    t = tables.thinned.c
    packed = connection.scalar(select(t.times).where(t.device_id == device_id, t.start_ns == hour_ns))
    return None if packed is None else buckets.unpack_times(packed, hour_ns)


def is_thinned(connection: Connection, device_id: str, span: Span) -> bool:
    """Return whether readings of an hour that a span touches were deleted."""
    t = tables.thinned.c
    some = select(t.start_ns).where(
        t.device_id == device_id, t.start_ns > span[0] - HOUR_NS, t.start_ns < span[1]
    )
    return connection.scalar(some.limit(1)) is not None


def marked_hours(connection: Connection, device_id: str, span: Span) -> list[int]:
    """Return the hours that a span touches and that are not settled yet, newest first."""
    t = tables.dirty.c
    some = select(t.start_ns).distinct().where(t.device_id == device_id)
    some = some.where(t.start_ns > span[0] - HOUR_NS, t.start_ns < span[1])
    return list(connection.scalars(some.order_by(t.start_ns.desc())))


def minutes_of_hour(
    connection: Connection, device_id: str, hour_ns: int, fields: Sequence[str]
) -> dict[str, Buckets]:
    """Return the minutes of one hour, of those of these fields that have some."""
    t = tables.minutes.c
    pages = select(t.field, t.buckets).where(
        t.device_id == device_id, t.field.in_(fields), t.start_ns == hour_ns
    )
    return {field: buckets.unpack(page, hour_ns) for field, page in connection.execute(pages)}


def of_width(connection: Connection, device_id: str, field: str, width_s: int, span: Span) -> Buckets:
    """Return the roll-ups of one width that begin in a span."""
    if width_s == MINUTE_S:
        return _minutes(connection, device_id, field, span)
    t = tables.rollups.c
    wanted = (
        select(t.start_ns, t.n, t.minimum, t.mean, t.maximum, t.m2)
        .where(t.device_id == device_id, t.field == field, t.width_s == width_s)
        .where(t.start_ns >= span[0], t.start_ns < span[1])
        .order_by(t.start_ns)
    )
    rows: list[Any] = list(zip(*connection.execute(wanted).all(), strict=True))
    if not rows:
        return EMPTY
    numbers = [np.array(column, np.float64) for column in rows[2:]]
    return Buckets(np.array(rows[0], np.int64), np.array(rows[1], np.int64), *numbers)


def _minutes(connection: Connection, device_id: str, field: str, span: Span) -> Buckets:
    asked = (device_id, field, span[0] - HOUR_NS, span[1])
    driver: Any = connection.connection.driver_connection
    if (
        connection.dialect.name == POSTGRESQL
    ):  # as text a page is twice as long, and to be read digit by digit
        pages = driver.execute(_PAGES.format("%s"), asked, binary=True).fetchall()
    else:
        pages = connection.exec_driver_sql(_PAGES.format("?"), asked)
    parts = [buckets.unpack(page, hour_ns) for hour_ns, page in pages]
    return buckets.together(parts, MINUTE_NS).between(*span)


def extent(connection: Connection, device_id: str, field: str) -> Span | None:
    """Return between which times a field has roll-ups, to the hour."""
    t = tables.minutes.c
    ends = select(func.min(t.start_ns), func.max(t.start_ns))
    first, last = cast(
        "tuple[int | None, int | None]",
        tuple(connection.execute(ends.where(t.device_id == device_id, t.field == field)).one()),
    )
    return None if first is None or last is None else (first, last + HOUR_NS)
