"""Batches that a hub could not take, as they came: nothing that was sent is thrown away."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from sqlalchemy import Connection, delete, func, select

from kymograph.model.ranges import Ranges
from kymograph.store.sql.holdings import Place, upsert
from kymograph.store.sql.tables import rejects

DEAD: Final = "dead"
"""What can never be taken as it is."""
QUARANTINED: Final = "quarantined"
"""What contradicts what was taken before."""
KINDS: Final = (DEAD, QUARANTINED)
_COLUMNS: Final = [column for column in rejects.c if column.name != "body"]


@dataclass(frozen=True, slots=True)
class Reject:
    """One batch that was put aside."""

    id: int
    station: str
    stream: str
    epoch: int
    first: int
    last: int
    sha256: str
    kind: str
    reason: str
    received_ns: int

    @property
    def place(self) -> Place:
        """Whose it is."""
        return Place(self.station, self.stream, self.epoch)

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def _reject(row: Any) -> Reject:
    return Reject(**{column.name: getattr(row, column.name) for column in _COLUMNS})


def put_aside(connection: Connection, place: Place, first: int, last: int, body: bytes, **facts: Any) -> bool:
    """Keep a batch: `sha256`, `kind`, `reason`, `received_ns`; return False if it is there already."""
    packed = zlib.compress(body, 1)
    new = upsert(connection, rejects).values(**place._asdict(), first=first, last=last, body=packed, **facts)
    return connection.execute(new.on_conflict_do_nothing().returning(rejects.c.id)).first() is not None


def count_of(connection: Connection, station: str) -> int:
    """Return how many batches of a station were put aside."""
    return connection.execute(
        select(func.count()).select_from(rejects).where(rejects.c.station == station)
    ).scalar_one()


def counts(connection: Connection) -> dict[tuple[str, str], int]:
    """Return how many batches were put aside, by station and kind."""
    asked = select(rejects.c.station, rejects.c.kind, func.count().label("n"))
    rows = connection.execute(asked.group_by(rejects.c.station, rejects.c.kind))
    return {(row.station, row.kind): row.n for row in rows}


def dead(connection: Connection, station: str | None = None) -> dict[Place, Ranges]:
    """Return which rows of each stream are in batches that can never be taken."""
    c = rejects.c
    asked = select(c.station, c.stream, c.epoch, c.first, c.last).where(c.kind == DEAD)
    if station is not None:
        asked = asked.where(c.station == station)
    found: dict[Place, list[tuple[int, int]]] = {}
    for row in connection.execute(asked):
        found.setdefault(Place(row.station, row.stream, row.epoch), []).append((row.first, row.last))
    return {place: Ranges(pairs) for place, pairs in found.items()}


def page(connection: Connection, station: str | None, before: int | None, limit: int) -> Sequence[Reject]:
    """Return what was put aside, newest first, from below an id on."""
    asked = select(*_COLUMNS).order_by(rejects.c.id.desc()).limit(limit)
    if station is not None:
        asked = asked.where(rejects.c.station == station)
    if before is not None:
        asked = asked.where(rejects.c.id < before)
    return [_reject(row) for row in connection.execute(asked)]


def body_of(connection: Connection, id: int) -> bytes | None:
    """Return a batch as it came."""
    packed = connection.execute(select(rejects.c.body).where(rejects.c.id == id)).scalar()
    return None if packed is None else zlib.decompress(packed)


def find(connection: Connection, id: int) -> Reject | None:
    """Return what was put aside under an id."""
    row = connection.execute(select(*_COLUMNS).where(rejects.c.id == id)).first()
    return None if row is None else _reject(row)


def remove(connection: Connection, id: int) -> None:
    """Throw it away."""
    connection.execute(delete(rejects).where(rejects.c.id == id))
