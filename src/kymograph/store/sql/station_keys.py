"""The keys with which stations ship, by the hash of their tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from kymograph.store.sql.tables import keys


@dataclass(frozen=True, slots=True)
class StationKey:
    """One key as it is kept; `sha256` is that of the whole token."""

    id: str
    station: str
    label: str
    sha256: str
    created_ns: int
    used_ns: int | None
    revoked_ns: int | None


def _key(row: Any) -> StationKey:
    return StationKey(**{name: getattr(row, name) for name in StationKey.__dataclass_fields__})


def add(connection: Connection, key: StationKey) -> None:
    """Keep a key."""
    values = {name: getattr(key, name) for name in StationKey.__dataclass_fields__}
    connection.execute(insert(keys).values(**values))


def find(connection: Connection, sha256: str) -> StationKey | None:
    """Return the key with this hash, unless it was revoked."""
    row = connection.execute(select(keys).where(keys.c.sha256 == sha256, keys.c.revoked_ns.is_(None))).first()
    return None if row is None else _key(row)


def of(connection: Connection, station: str | None = None) -> Sequence[StationKey]:
    """Return all keys, or those of one station, oldest first; also revoked ones."""
    asked = select(keys).order_by(keys.c.created_ns, keys.c.id)
    if station is not None:
        asked = asked.where(keys.c.station == station)
    return [_key(row) for row in connection.execute(asked)]


def used(connection: Connection, id: str, now_ns: int) -> None:
    """Note when a key was shown last."""
    connection.execute(update(keys).where(keys.c.id == id).values(used_ns=now_ns))


def revoke(connection: Connection, id: str, station: str | None, now_ns: int) -> StationKey | None:
    """Make a key worthless from now on; return it, None if there is none of that id (of that station)."""
    which = [keys.c.id == id, keys.c.revoked_ns.is_(None)]
    if station is not None:
        which.append(keys.c.station == station)
    row = connection.execute(update(keys).where(*which).values(revoked_ns=now_ns).returning(keys)).first()
    return None if row is None else _key(row)
