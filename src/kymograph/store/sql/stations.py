"""Who ships to a hub, under which name and from where, and what each showed last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, func, select, text, update

from kymograph.store.sql.database import POSTGRESQL, SQLITE
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


_SHOWED: Final = """INSERT INTO stations AS s
    (name, facts, first_seen_ns, last_seen_ns, newest_ns, newest)
    VALUES (:name, '{{}}', :now_ns, :now_ns, :time_ns, CAST(:payload AS {json}))
    ON CONFLICT (name) DO UPDATE SET
        last_seen_ns = :now_ns,
        first_seen_ns = coalesce(s.first_seen_ns, :now_ns),
        newest = CASE WHEN coalesce(s.newest_ns <= :time_ns, TRUE) THEN excluded.newest ELSE s.newest END,
        newest_ns = CASE WHEN coalesce(s.newest_ns <= :time_ns, TRUE) THEN :time_ns ELSE s.newest_ns END"""
_SHOWED_IN: Final = {
    POSTGRESQL: text(_SHOWED.format(json="jsonb")),
    SQLITE: text(_SHOWED.format(json="text")),
}
"""As text, for each batch says it: to build it anew takes longer than to carry it out."""


def showed(connection: Connection, name: str, time_ns: int, payload: bytes, now_ns: int) -> None:
    """Note that a station was heard, and the reading that is its newest if it has no newer one."""
    values = {"name": name, "time_ns": time_ns, "payload": payload.decode(), "now_ns": now_ns}
    connection.execute(_SHOWED_IN[connection.dialect.name], values)
