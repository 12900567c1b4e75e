"""How alembic finds the database: it is handed a connection with a transaction under way."""

from __future__ import annotations

from typing import Any

from alembic import context

from kymograph.store.sql.tables import tables


def _run() -> None:
    connection: Any = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=tables, transaction_per_migration=False)
    with context.begin_transaction():
        context.run_migrations()


_run()
