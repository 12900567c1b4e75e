"""Which batches a hub has taken, by range and hash: the same one is known when it comes again."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, select

from kymograph.store.sql.holdings import Place, upsert
from kymograph.store.sql.tables import batches


def _at(place: Place) -> list[Any]:
    return [getattr(batches.c, name) == value for name, value in place._asdict().items()]


def known(connection: Connection, place: Place, first: int, last: int) -> tuple[str, int] | None:
    """Return hash and number of rows of the batch that was taken for exactly this range."""
    asked = select(batches.c.sha256, batches.c.rows)
    row = connection.execute(
        asked.where(*_at(place), batches.c.first == first, batches.c.last == last)
    ).first()
    return None if row is None else (row.sha256, row.rows)


def remember(connection: Connection, place: Place, first: int, last: int, **facts: Any) -> None:
    """Remember a batch: `sha256`, `rows`, `received_ns`."""
    connection.execute(upsert(connection, batches).values(**place._asdict(), first=first, last=last, **facts))


def forget_from(connection: Connection, place: Place, first: int) -> None:
    """Forget batches that reach up to this row number or beyond it."""
    connection.execute(delete(batches).where(*_at(place), batches.c.last >= first))


def forget_before(connection: Connection, received_ns: int) -> int:
    """Forget batches that came before a time, and return how many: each row is still known by what it is."""
    return connection.execute(delete(batches).where(batches.c.received_ns < received_ns)).rowcount
