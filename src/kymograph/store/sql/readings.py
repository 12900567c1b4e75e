"""Readings in the database: adding them, each once; the newest; a stretch of time, page by page.

A payload is passed on as the JSON text it came as; PostgreSQL keeps its meaning, not its spelling.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

import msgspec
from sqlalchemy import (
    BigInteger,
    Connection,
    Text,
    cast,
    literal,
    literal_column,
    select,
    text,
    tuple_,
)
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.sql import ColumnElement

from kymograph.store.sql import months, rollups
from kymograph.store.sql.buckets import HOUR_NS
from kymograph.store.sql.database import POSTGRESQL
from kymograph.store.sql.migrations.readings_table import LOCAL_TIME
from kymograph.store.sql.tables import readings as table

COPY_ROWS_MIN: Final = 1000
"""From so many rows on PostgreSQL takes them faster by COPY."""
_ADD_ON_SQLITE: Final = (
    "INSERT INTO readings (device_id, time_ns, local_ns, payload) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"
)
_HOUR: Final = "time_ns - mod(mod(time_ns, 3600000000000) + 3600000000000, 3600000000000)"
_ADD: Final = """WITH new AS (
    INSERT INTO readings (device_id, time_ns, local_ns, payload)
    SELECT device_id, time_ns, local_ns, payload FROM {source} ORDER BY device_id, time_ns
    ON CONFLICT DO NOTHING RETURNING device_id, time_ns
), marks AS (
    INSERT INTO dirty (device_id, start_ns) SELECT DISTINCT device_id, {hour} FROM new
) SELECT count(*) FROM new"""
"""In the order of the key: two that add the same rows wait for one another, and never both. Hours with new
rows are marked as `rollups.mark_dirty` does it."""
_IN_COLUMNS: Final = """ROWS FROM (unnest(%s::text[]), unnest(%s::bigint[]), unnest(%s::bigint[]),
    jsonb_array_elements(%s::jsonb)) AS r(device_id, time_ns, local_ns, payload)"""
"""Columns as text of arrays, which is read three times as fast as records."""
_ADD_COLUMNS: Final = _ADD.format(source=_IN_COLUMNS, hour=_HOUR)
_ADD_ASIDE: Final = _ADD.format(source="readings_aside", hour=_HOUR)
_ASIDE: Final = """CREATE TEMP TABLE IF NOT EXISTS readings_aside
    (device_id text, time_ns bigint, local_ns bigint, payload jsonb) ON COMMIT DELETE ROWS"""
_COPY: Final = "COPY {table} (device_id, time_ns, local_ns, payload) FROM STDIN"
_SPACES: Final = bytes.maketrans(b"\t\n\r", b"   ")
"""Between the words of JSON these are all one; COPY's text format has its own use for them."""


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What one device showed at one time; known by the two."""

    device_id: str
    time_ns: int
    local_ns: int
    payload: msgspec.Raw
    """JSON, an object."""


class KeptReading(Reading, frozen=True):
    """A reading as it is in the database."""

    id: int = 0


@dataclass(frozen=True, slots=True)
class Added:
    """What became of rows that were to be added."""

    inserted: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time by one of the two clocks, its end not included; of one device, or of all."""

    clock: Literal["time_ns", "local_ns"] = "time_ns"
    start_ns: int | None = None
    stop_ns: int | None = None
    device_id: str | None = None


Place = tuple[int, str, int]
"""Where a page ended: time by the span's clock, device, `time_ns`."""


# -- adding ------------------------------------------------------------------------------------------------
def insert_readings(connection: Connection, rows: Sequence[Reading]) -> Added:
    """Add rows; those that are there already are left as they are and counted.

    Marks the hours that are to be rolled up. Part of the caller's transaction, best its beginning.

    Raises:
        StorageError: a payload is no JSON, or one that PostgreSQL does not keep (a text with a zero in it).
    """
    if not rows:
        return Added(0, 0)
    if connection.dialect.name != POSTGRESQL:
        values = [(r.device_id, r.time_ns, r.local_ns, bytes(r.payload).decode()) for r in rows]
        inserted = connection.exec_driver_sql(_ADD_ON_SQLITE, values).rowcount
        if inserted:
            _mark(connection, rows)
    else:
        months.ensure(connection, (row.time_ns for row in rows))
        add = _load if len(rows) >= COPY_ROWS_MIN else _add_columns
        inserted = add(connection, rows)
    return Added(inserted, len(rows) - inserted)


def _mark(connection: Connection, rows: Sequence[Reading]) -> None:
    hours = {(row.device_id, row.time_ns // HOUR_NS) for row in rows}
    for device_id, of_device in itertools.groupby(sorted(hours), key=lambda pair: pair[0]):
        rollups.mark_dirty(connection, device_id, [hour * HOUR_NS for _, hour in of_device])


def _add_columns(connection: Connection, rows: Sequence[Reading]) -> int:
    names = {name: _quoted(name) for name in {row.device_id for row in rows}}
    columns = (
        f"{{{','.join([names[row.device_id] for row in rows])}}}",
        f"{{{','.join([str(row.time_ns) for row in rows])}}}",
        f"{{{','.join([str(row.local_ns) for row in rows])}}}",
        f"[{b','.join([bytes(row.payload) for row in rows]).decode()}]",
    )
    return connection.exec_driver_sql(_ADD_COLUMNS, columns).scalar_one()


def _quoted(name: str) -> str:
    inner = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inner}"'


def _load(connection: Connection, rows: Sequence[Reading]) -> int:
    """Add many rows: at once into the table, as if all were new; if one is not, by way of a table aside."""
    rows = sorted(rows, key=_key)
    text = b"".join([_line(row) for row in rows])
    try:
        with connection.begin_nested():
            _copy(connection, "readings", text)
    except IntegrityError:
        connection.exec_driver_sql(_ASIDE)
        _copy(connection, "readings_aside", text)
        inserted = connection.exec_driver_sql(_ADD_ASIDE).scalar_one()
        connection.exec_driver_sql("TRUNCATE readings_aside")
        return inserted
    _mark(connection, rows)
    return len(rows)


def _key(row: Reading) -> tuple[str, int]:
    return row.device_id, row.time_ns


def _copy(connection: Connection, into: str, text: bytes) -> None:
    driver: Any = connection.connection.driver_connection
    wrong: type[Exception] = connection.dialect.loaded_dbapi.Error
    try:
        with driver.cursor() as cursor, cursor.copy(_COPY.format(table=into)) as copy:
            copy.write(text)
    except wrong as error:  # past SQLAlchemy, which would have given it its own name
        raise DBAPIError.instance(
            _COPY, None, error, wrong, dialect=connection.dialect, connection_invalidated=bool(driver.closed)
        ) from error


def _line(row: Reading) -> bytes:
    payload = bytes(row.payload).translate(_SPACES).replace(b"\\", b"\\\\")
    return b"%b\t%d\t%d\t%b\n" % (_escaped(row.device_id), row.time_ns, row.local_ns, payload)


def _escaped(text: str) -> bytes:
    plain = text.encode()
    if plain.isalnum():
        return plain
    for byte, said in ((b"\\", b"\\\\"), (b"\n", b"\\n"), (b"\t", b"\\t"), (b"\r", b"\\r")):
        plain = plain.replace(byte, said)
    return plain


# -- asking ------------------------------------------------------------------------------------------------
_COLUMNS: Final = (
    table.c.id, table.c.device_id, table.c.time_ns, table.c.local_ns,
    cast(table.c.payload, Text).label("payload"),
)  # fmt: skip
_EPOCH: Final = datetime(1970, 1, 1)
_DEVICES: Final = text("""WITH RECURSIVE devices(name) AS (
    SELECT min(device_id) FROM readings
    UNION ALL
    SELECT (SELECT min(device_id) FROM readings WHERE device_id > devices.name)
    FROM devices WHERE devices.name IS NOT NULL)
    SELECT name FROM devices WHERE name IS NOT NULL""")
"""Each name by one look into the index, however many readings there are."""


def devices(connection: Connection) -> list[str]:
    """Return the names of all devices that there are readings of."""
    return list(connection.execute(_DEVICES).scalars())


def latest(
    connection: Connection, device_id: str | None = None, stop_ns: int | None = None
) -> KeptReading | None:
    """Return the newest reading (before `stop_ns`) of a device, or of all; None if there is none."""
    names = devices(connection) if device_id is None else [device_id]
    found = latest_of(connection, names, stop_ns)
    return max(found, key=lambda row: (row.time_ns, row.device_id), default=None)


def latest_of(connection: Connection, names: Sequence[str], stop_ns: int | None = None) -> list[KeptReading]:
    """Return the newest reading (before `stop_ns`) of each of these devices that has any."""
    newest = select(*_COLUMNS).order_by(table.c.time_ns.desc()).limit(1)
    if stop_ns is not None:
        newest = newest.where(table.c.time_ns < stop_ns)
    rows = (connection.execute(newest.where(table.c.device_id == name)).first() for name in names)
    return [_kept(row) for row in rows if row is not None]


def at(connection: Connection, device_id: str, time_ns: int) -> KeptReading | None:
    """Return the reading of a device at a time, None if there is none."""
    which = (table.c.device_id == device_id, table.c.time_ns == time_ns)
    row = connection.execute(select(*_COLUMNS).where(*which)).first()
    return None if row is None else _kept(row)


def page(connection: Connection, span: Span, limit: int, after: Place | None = None) -> list[KeptReading]:
    """Return at most `limit` readings of a stretch of time in its order, from behind `after` on."""
    clock, given = _clock(connection, span)
    order = (clock, table.c.device_id, table.c.time_ns)
    query = select(*_COLUMNS).order_by(*order).limit(limit)
    if span.start_ns is not None:
        query = query.where(clock >= given(span.start_ns))
    if span.stop_ns is not None:
        query = query.where(clock < given(span.stop_ns))
    if span.device_id is not None:
        query = query.where(table.c.device_id == span.device_id)
    if after is not None:
        query = query.where(tuple_(*order) > tuple_(given(after[0]), after[1], after[2]))
    return [_kept(row) for row in connection.execute(query)]


def place(reading: KeptReading, span: Span) -> Place:
    """Return where a page ends with this reading: the `after` of the next one."""
    return getattr(reading, span.clock), reading.device_id, reading.time_ns


def _clock(
    connection: Connection, span: Span
) -> tuple[ColumnElement[Any], Callable[[int], ColumnElement[Any]]]:
    """Return what a span is measured by, as the index has it, and what makes a bound of the same kind."""
    if span.clock == "local_ns" and connection.dialect.name == POSTGRESQL:
        return literal_column(LOCAL_TIME), lambda ns: literal(_EPOCH + timedelta(microseconds=ns // 1000))
    return table.c[span.clock], lambda ns: literal(ns, BigInteger)


def _kept(row: Any) -> KeptReading:
    payload = msgspec.Raw(row.payload.encode())
    return KeptReading(row.device_id, row.time_ns, row.local_ns, payload, row.id)
