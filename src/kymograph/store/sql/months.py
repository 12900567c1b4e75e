"""The parts of PostgreSQL's table of readings: one a month of UTC, made before a row asks for it.

There is no part for "all else": a row whose month has no part is an error and not a row in the wrong place.
What a computer without a clock dates before `FIRST_YEAR` has one part of its own, and so has what is dated
after `LAST_YEAR`; so their number is bounded, whatever clocks say. Elsewhere than in natively partitioned
tables there is nothing to do here.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import Connection, text

from kymograph.store.sql.database import POSTGRESQL

FIRST_YEAR: Final = 2020
LAST_YEAR: Final = 2099
EARLY: Final = "readings_early"
LATE: Final = "readings_late"
MONTH_NS: Final = 30 * 86_400 * 1_000_000_000
"""Width of a hypertable's chunk."""
_DAY_NS: Final = 86_400 * 1_000_000_000
_LOCK: Final = 0x6B796D70

Month = tuple[int, int]
"""Year and month."""


def start_ns(month: Month) -> int:
    """Return when a month begins."""
    return calendar.timegm((*month, 1, 0, 0, 0)) * 1_000_000_000


def following(month: Month) -> Month:
    """Return the next month."""
    year, number = month
    return (year + 1, 1) if number == 12 else (year, number + 1)


def month_of(time_ns: int) -> Month | None:
    """Return the month that a time is in, None if it is in one of the two parts at the ends."""
    if not start_ns((FIRST_YEAR, 1)) <= time_ns < start_ns((LAST_YEAR + 1, 1)):
        return None
    moment = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC)
    return moment.year, moment.month


def make_ends(connection: Connection) -> None:
    """Make the two parts at the ends."""
    for name, low, high in (
        (EARLY, "MINVALUE", str(start_ns((FIRST_YEAR, 1)))),
        (LATE, str(start_ns((LAST_YEAR + 1, 1))), "MAXVALUE"),
    ):
        connection.exec_driver_sql(
            f"CREATE TABLE {name} PARTITION OF readings FOR VALUES FROM ({low}) TO ({high})"
        )


def ensure(connection: Connection, times_ns: Iterable[int]) -> None:
    """Make the parts that rows of these times need, and of each month the one after it.

    Call it at the beginning of a transaction that writes. Others may write meanwhile.
    """
    if connection.dialect.name != POSTGRESQL:
        return
    days = {time_ns // _DAY_NS for time_ns in times_ns}
    months = {month for day in days if (month := month_of(day * _DAY_NS)) is not None}
    names = {_name(month): month for m in months for month in (m, following(m)) if month[0] <= LAST_YEAR}
    missing = sorted(_missing(connection, list(names)))
    if missing and _is_partitioned(connection):
        for name in missing:
            _make(connection, names[name])


def _make(connection: Connection, month: Month) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    name = _name(month)
    if not _missing(connection, [name]):
        return  # made by somebody else, while this one waited
    # a table that is attached, not made in place: those who write to other months need not wait
    connection.exec_driver_sql(
        f"CREATE TABLE {name} (LIKE readings INCLUDING DEFAULTS INCLUDING CONSTRAINTS)"
    )
    low, high = start_ns(month), start_ns(following(month))
    connection.exec_driver_sql(
        f"ALTER TABLE readings ATTACH PARTITION {name} FOR VALUES FROM ({low}) TO ({high})"
    )


def _missing(connection: Connection, names: list[str]) -> set[str]:
    # Not by `to_regclass`: a session remembers that there was no such table, and asks no more while it waits.
    there = text(
        "SELECT c.relname FROM pg_class c JOIN pg_class r ON r.relnamespace = c.relnamespace"
        " WHERE r.oid = 'readings'::regclass AND c.relname = ANY(CAST(:names AS text[]))"
    )
    return set(names) - set(connection.execute(there, {"names": names}).scalars()) if names else set()


def _is_partitioned(connection: Connection) -> bool:
    kind = text("SELECT relkind = 'p' FROM pg_class WHERE oid = 'readings'::regclass")
    return bool(connection.execute(kind).scalar())


def _name(month: Month) -> str:
    return f"readings_{month[0]:04d}_{month[1]:02d}"
