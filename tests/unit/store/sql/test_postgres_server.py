"""The server that the tests bring along: it survives what is done to it."""

from __future__ import annotations

from sqlalchemy import text

from kymograph.store.sql.database import Database
from tests.postgres import Server


def test_what_was_committed_outlives_a_kill_and_a_restart(postgres: Server, postgres_url: str) -> None:
    database = Database(postgres_url)
    with database.begin() as connection:
        connection.execute(text("CREATE TABLE t (n integer)"))
        connection.execute(text("INSERT INTO t VALUES (7)"))

    postgres.kill()
    postgres.start()
    postgres.restart()

    with database.read() as connection:
        assert connection.execute(text("SELECT n FROM t")).scalar_one() == 7
    database.close()
