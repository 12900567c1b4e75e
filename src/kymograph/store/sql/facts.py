"""What the database says of itself, by name: its epoch, and how far something has got."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, delete, select

from kymograph.store.sql.tables import facts
from kymograph.store.sql.upsert import upsert

EPOCH: Final = "epoch"
DESTINATIONS: Final = "destinations"
"""JSON list of those who are to have all readings: the older system's `is_synced` asks for it."""


def fact(connection: Connection, name: str) -> str | None:
    """Return a fact, None if it was never set."""
    return connection.execute(select(facts.c.value).where(facts.c.name == name)).scalar()


def facts_like(connection: Connection, prefix: str) -> dict[str, str]:
    """Return all facts whose name begins so, by the rest of their name."""
    c = facts.c
    found = connection.execute(select(c.name, c.value).where(c.name.startswith(prefix, autoescape=True)))
    return {row.name[len(prefix) :]: row.value for row in found}


def set_fact(connection: Connection, name: str, value: str) -> None:
    """Set a fact, in the caller's transaction."""
    new = upsert(connection, facts).values(name=name, value=value)
    connection.execute(new.on_conflict_do_update(index_elements=["name"], set_={"value": value}))


def forget_fact(connection: Connection, name: str) -> None:
    """Remove a fact."""
    connection.execute(delete(facts).where(facts.c.name == name))


def epoch(connection: Connection) -> int:
    """Return when this database was made, in ns: its row numbers are of this epoch."""
    return int(connection.execute(select(facts.c.value).where(facts.c.name == EPOCH)).scalar_one())
