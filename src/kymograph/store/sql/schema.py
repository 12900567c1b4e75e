"""Making and changing the tables: the steps of `migrations`, one after the other, once a database.

All of them happen in one transaction, on SQLite as on PostgreSQL: a process that is killed on the way leaves
the tables as they were. Several processes may begin at one time; they wait for one another.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from kymograph.model.errors import ConfigError
from kymograph.store.sql.database import POSTGRESQL, Database

log = logging.getLogger(__name__)

HEAD: Final = "0001"
"""The newest step. A database that has it needs nothing."""
UPGRADE_LOCK: Final = 0x6B796D6F
"""Advisory lock of PostgreSQL under which tables are made."""
_VERSION_TABLE: Final = "alembic_version"


def upgrade(database: Database) -> None:
    """Bring the tables to what this program needs; quick where they are so already.

    Raises:
        ConfigError: the database is of a newer program, or holds tables of another one in our place.
        Unavailable: it does not answer; the tables are as they were.
        StorageError: it refuses; the tables are as they were.
    """
    with database.read() as connection:
        if version(connection) == HEAD:
            return
    with database.begin() as connection:
        if database.dialect == POSTGRESQL:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_LOCK})
        before = version(connection)
        if before == HEAD:
            return
        _run(connection, before)
    log.info("the tables of %s are at version %s", database, HEAD)


def version(connection: Connection) -> str | None:
    """Return the step that the tables have reached, None if there are none."""
    if not inspect(connection).has_table(_VERSION_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {_VERSION_TABLE}")).scalar()  # noqa: S608


def _run(connection: Connection, before: str | None) -> None:
    logging.getLogger("alembic").setLevel(logging.WARNING)
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if before is not None and before not in known:
        raise ConfigError(
            f"the database is of a newer version ({before}) than this program knows (up to {HEAD})",
            hint="install the newer program, or give another database",
        )
    command.upgrade(config, HEAD)
