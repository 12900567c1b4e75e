"""Who ships to a hub, under which name and from where, and what each showed last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Connection, case, func, or_, select, update

from kymograph.store.sql.holdings import upsert
from kymograph.store.sql.tables import stations


@dataclass(frozen=True, slots=True)
class Registered:
    """One station as the hub knows it."""

    name: str
    title: str
    place: str
    latitude: float | None
    longitude: float | None
    interval_s: float | None
    version: str
    first_seen_ns: int | None
    last_seen_ns: int | None
    newest_ns: int | None
    newest: Any
    """Payload of the reading at `newest_ns`."""
    facts: Mapping[str, Any]


def _registered(row: Any) -> Registered:
    return Registered(**{name: getattr(row, name) for name in Registered.__dataclass_fields__})


def every(connection: Connection) -> list[Registered]:
    """Return all stations by name."""
    return [_registered(row) for row in connection.execute(select(stations).order_by(stations.c.name))]


def find(connection: Connection, name: str) -> Registered | None:
    """Return a station, None if the hub has never heard of it."""
    row = connection.execute(select(stations).where(stations.c.name == name)).first()
    return None if row is None else _registered(row)


def seen(connection: Connection, name: str, now_ns: int, **told: Any) -> None:
    """Note that a station was heard, and what it told of itself."""
    known = {key: value for key, value in told.items() if value is not None}
    new = upsert(connection, stations).values(
        name=name, first_seen_ns=now_ns, last_seen_ns=now_ns, **{"facts": {}, **known}
    )
    connection.execute(
        new.on_conflict_do_update(
            index_elements=["name"],
            set_={
                "last_seen_ns": now_ns,
                "first_seen_ns": func.coalesce(stations.c.first_seen_ns, now_ns),
                **known,
            },
        )
    )


def register(connection: Connection, name: str) -> None:
    """Know a station that has not been heard yet."""
    connection.execute(upsert(connection, stations).values(name=name, facts={}).on_conflict_do_nothing())


def change(connection: Connection, name: str, changes: Mapping[str, Any]) -> bool:
    """Change what is said of a station; return False if there is none of that name."""
    if not changes:
        return find(connection, name) is not None
    return connection.execute(update(stations).where(stations.c.name == name).values(**changes)).rowcount > 0


def showed(connection: Connection, name: str, time_ns: int, payload: bytes, now_ns: int) -> None:
    """Note that a station was heard, and the reading that is its newest if it has no newer one."""
    shown = {"newest_ns": time_ns, "newest": msgspec.json.decode(payload)}
    new = upsert(connection, stations).values(
        name=name, facts={}, first_seen_ns=now_ns, last_seen_ns=now_ns, **shown
    )
    c, said = stations.c, new.excluded
    newer = or_(c.newest_ns.is_(None), said.newest_ns >= c.newest_ns)
    connection.execute(
        new.on_conflict_do_update(
            index_elements=["name"],
            set_={
                "last_seen_ns": now_ns,
                "first_seen_ns": func.coalesce(c.first_seen_ns, now_ns),
                "newest": case((newer, said.newest), else_=c.newest),
                "newest_ns": case((newer, said.newest_ns), else_=c.newest_ns),
            },
        )
    )
