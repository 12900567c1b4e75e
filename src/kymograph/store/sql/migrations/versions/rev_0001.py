"""Everything, made from nothing."""

from __future__ import annotations

import time

from alembic import op
from sqlalchemy import Connection

from kymograph.store.sql.database import POSTGRESQL
from kymograph.store.sql.migrations.readings_table import make_on_postgresql, make_on_sqlite
from kymograph.store.sql.tables import facts, readings, tables

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make all tables, their indexes, and the views with the older system's names."""
    connection: Connection = op.get_bind()
    tables.create_all(connection, tables=[table for table in tables.sorted_tables if table is not readings])
    if connection.dialect.name == POSTGRESQL:
        make_on_postgresql(connection)
    else:
        make_on_sqlite(connection)
    connection.execute(facts.insert().values(name="epoch", value=str(time.time_ns())))
