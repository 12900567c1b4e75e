"""The tables are made once, whole or not at all, and by whoever comes first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import inspect, text

from kymograph.model.errors import ConfigError, KymographError
from kymograph.store.sql import schema
from kymograph.store.sql.database import Database
from kymograph.store.sql.tables import tables


@pytest.fixture
def database(database_url: str) -> Database:
    return Database(database_url)


def test_all_tables_are_made_and_a_second_time_changes_nothing(database: Database) -> None:
    schema.upgrade(database)
    with database.read() as connection:
        epoch = connection.execute(text("SELECT value FROM facts WHERE name = 'epoch'")).scalar_one()

    schema.upgrade(database)

    with database.read() as connection:
        assert set(tables.tables) <= set(inspect(connection).get_table_names())
        assert connection.execute(text("SELECT value FROM facts")).scalars().all() == [epoch]
        for table in tables.sorted_tables:
            names = {column["name"] for column in inspect(connection).get_columns(table.name)}
            assert names == {column.name for column in table.columns}, table.name
    assert abs(int(epoch) - time.time_ns()) < 3600 * 10**9


def test_the_newest_step_is_the_one_that_is_asked_for() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD


def test_a_database_of_a_newer_program_is_refused_and_left_alone(database: Database) -> None:
    schema.upgrade(database)
    with database.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(ConfigError, match="newer version"):
        schema.upgrade(database)

    with database.read() as connection:
        assert schema.version(connection) == "9999"


def test_several_may_begin_at_once(database_url: str) -> None:
    failures: list[BaseException] = []

    def begin() -> None:
        database = Database(database_url)
        try:
            schema.upgrade(database)
        except KymographError as error:
            failures.append(error)
        finally:
            database.close()

    threads = [threading.Thread(target=begin) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert not failures
    database = Database(database_url)
    with database.read() as connection:
        assert len(connection.execute(text("SELECT 1 FROM alembic_version")).all()) == 1
        assert len(connection.execute(text("SELECT 1 FROM facts")).all()) == 1


_KILLED_AFTER = """
import os, signal, sys
from sqlalchemy import event
from kymograph.store.sql import schema
from kymograph.store.sql.database import Database

database, left = Database(sys.argv[1]), int(sys.argv[2])

@event.listens_for(database.engine, "after_cursor_execute")
def count(*rest):
    global left
    if rest[2].lstrip().upper().startswith(("CREATE", "INSERT", "UPDATE", "ALTER")):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

schema.upgrade(database)
"""


@pytest.mark.parametrize("statements", [1, 9, 22])
def test_killed_in_the_middle_nothing_is_half_made(database_url: str, statements: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _KILLED_AFTER, database_url, str(statements)],
        env=dict(os.environ), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr

    database = Database(database_url)
    with database.read() as connection:
        assert inspect(connection).get_table_names() == []
    schema.upgrade(database)
    with database.read() as connection:
        assert schema.version(connection) == schema.HEAD


def test_the_table_of_another_program_is_left_as_it_is(postgres_url: str) -> None:
    database = Database(postgres_url)
    with database.begin() as connection:
        connection.execute(text("CREATE SCHEMA sensor_project"))
        connection.execute(text("CREATE TABLE sensor_project.readings (id integer)"))

    with pytest.raises(ConfigError, match="another program"):
        schema.upgrade(database)

    with database.read() as connection:
        assert inspect(connection).get_table_names() == []
        assert inspect(connection).get_table_names("sensor_project") == ["readings"]


def test_where_hypertables_are_known_it_is_made_one(postgres_url: str) -> None:
    """A stand-in for the extension: it is told table, column and width."""
    database = Database(postgres_url)
    with database.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE asked (what text, by_column text, width bigint)")
        connection.exec_driver_sql(
            "CREATE FUNCTION create_hypertable(r regclass, c name, chunk_time_interval bigint) RETURNS void"
            " LANGUAGE sql AS 'INSERT INTO asked VALUES (r::text, c::text, chunk_time_interval)'"
        )
    schema.upgrade(database)
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT * FROM asked").all() == [
            ("readings", "time_ns", 30 * 86_400 * 10**9)
        ]
        kind = connection.exec_driver_sql("SELECT relkind FROM pg_class WHERE relname = 'readings' LIMIT 1")
        assert kind.scalar_one() == "r"
