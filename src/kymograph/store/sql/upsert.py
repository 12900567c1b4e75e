"""An `insert` that knows what to do about a row that is there already, in the words of either database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

_INSERTS: Final[Mapping[str, Any]] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def upsert(connection: Connection, table: Table) -> Any:
    """Return an insert with `on_conflict_do_nothing` and `on_conflict_do_update`."""
    return _INSERTS[connection.dialect.name](table)


def add_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Add rows; those that are there already stay as they are."""
    if rows:
        connection.execute(upsert(connection, table).on_conflict_do_nothing(), list(rows))
