"""What a hub holds of each stream, as ranges of row numbers, and what its station says that there is.

`held` is what the hub has answered for: what was committed, and what was refused for good and is kept among
the rejects. A station need not send it again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, delete, func, insert, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from kymograph.model.ranges import Ranges
from kymograph.store.sql.database import POSTGRESQL
from kymograph.store.sql.tables import held, told

_UPSERTS: Final[Mapping[str, Any]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


class Place(NamedTuple):
    """One stream of one station, since its database was made (`epoch`)."""

    station: str
    stream: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Told:
    """What a station says of a stream: rows `first` to `next` (exclusive) are still there."""

    first: int
    next: int
    newest_ns: int | None
    told_ns: int
    said: int
    """`next` as the station said it last, before what came since."""
    base: int
    """The lowest row number that was ever told or came."""
    complete_ns: int | None
    """Time of the newest row when nothing was owed last."""


def upsert(connection: Connection, table: Any) -> Any:
    """Return an `insert` that knows `on_conflict_…`, as this database has it."""
    return _UPSERTS[connection.dialect.name](table)


def lock(connection: Connection, station: str, stream: str) -> None:
    """Have a station's stream alone, until the transaction ends, among all processes.

    Nothing to do on SQLite, where a transaction that writes is alone.
    """
    if connection.dialect.name == POSTGRESQL:
        digest = hashlib.sha256(f"{station}/{stream}".encode()).digest()
        key = int.from_bytes(digest[:8], "big", signed=True)
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})


def _at(table: Any, place: Place) -> list[Any]:
    return [getattr(table.c, name) == value for name, value in place._asdict().items()]


# -- held --------------------------------------------------------------------------------------------------
def held_of(connection: Connection, place: Place) -> Ranges:
    """Return what is held of a stream."""
    rows = connection.execute(select(held.c.first, held.c.last).where(*_at(held, place)))
    return Ranges((row.first, row.last) for row in rows)


def all_held(connection: Connection, station: str | None = None) -> dict[Place, Ranges]:
    """Return what is held of every stream, or of those of one station."""
    asked = select(held.c.station, held.c.stream, held.c.epoch, held.c.first, held.c.last)
    if station is not None:
        asked = asked.where(held.c.station == station)
    found: dict[Place, list[tuple[int, int]]] = {}
    for row in connection.execute(asked):
        found.setdefault(Place(row.station, row.stream, row.epoch), []).append((row.first, row.last))
    return {place: Ranges(pairs) for place, pairs in found.items()}


def hold(connection: Connection, place: Place, first: int, last: int) -> tuple[int, int]:
    """Add a range to what is held, under `lock`; return the range that it is part of now."""
    touching = delete(held).where(*_at(held, place), held.c.first <= last + 1, held.c.last >= first - 1)
    for row in connection.execute(touching.returning(held.c.first, held.c.last)):
        first, last = min(first, row.first), max(last, row.last)
    connection.execute(insert(held).values(**place._asdict(), first=first, last=last))
    return first, last


def let_go(connection: Connection, place: Place, gone: Ranges) -> None:
    """Take rows out of what is held, under `lock`: they are asked for again."""
    left = held_of(connection, place) - gone
    connection.execute(delete(held).where(*_at(held, place)))
    for first, last in left:
        connection.execute(insert(held).values(**place._asdict(), first=first, last=last))


# -- told --------------------------------------------------------------------------------------------------
def told_of(connection: Connection, place: Place) -> Told | None:
    """Return what a station says of a stream, None if it said nothing."""
    row = connection.execute(select(told).where(*_at(told, place))).first()
    return None if row is None else _told(row)


def all_told(connection: Connection, station: str | None = None) -> Iterator[tuple[Place, Told]]:
    """Yield what is told of every stream, or of those of one station."""
    asked = select(told)
    if station is not None:
        asked = asked.where(told.c.station == station)
    for row in connection.execute(asked):
        yield Place(row.station, row.stream, row.epoch), _told(row)


def _told(row: Any) -> Told:
    return Told(row.first, row.next, row.newest_ns, row.told_ns, row.said, row.base, row.complete_ns)


def say(connection: Connection, place: Place, told_now: Told) -> None:
    """Remember what a station says of a stream, as it says it."""
    first = told_now.first
    said = {name: getattr(told_now, name) for name in ("first", "next", "newest_ns", "told_ns", "said")}
    new = upsert(connection, told).values(**place._asdict(), **said, base=first)
    lower = func.min if connection.dialect.name != POSTGRESQL else func.least
    connection.execute(
        new.on_conflict_do_update(
            index_elements=["station", "stream", "epoch"],
            set_={**said, "base": lower(told.c.base, first)},
        )
    )


def came(
    connection: Connection, place: Place, first: int, last: int, newest_ns: int | None, now_ns: int
) -> Told:
    """Note that rows came, which says as well that there are such; return what is known then."""
    on_sqlite = connection.dialect.name != POSTGRESQL
    low, high = (func.min, func.max) if on_sqlite else (func.least, func.greatest)
    values = {"first": first, "next": last + 1, "newest_ns": newest_ns, "told_ns": now_ns}
    new = upsert(connection, told).values(**place._asdict(), **values, said=first, base=first)
    newest: Any = told.c.newest_ns
    if newest_ns is not None:
        newest = high(func.coalesce(told.c.newest_ns, newest_ns), newest_ns)
    done = new.on_conflict_do_update(
        index_elements=["station", "stream", "epoch"],
        set_={
            "next": high(told.c.next, last + 1), "base": low(told.c.base, first), "newest_ns": newest,
        },
    ).returning(told)  # fmt: skip
    return _told(connection.execute(done).one())


def complete(connection: Connection, place: Place, newest_ns: int | None) -> None:
    """Note that nothing is owed of a stream whose newest row has this time."""
    connection.execute(update(told).where(*_at(told, place)).values(complete_ns=newest_ns))
