"""A database: whole transactions or none, errors in our words, and nobody refused because another is slow."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert, select, update

from kymograph.model.errors import ConfigError, Conflict, KymographError, Unavailable
from kymograph.store.sql.database import SQLITE_CONNECTIONS_MAX, Database
from kymograph.store.sql.schema import upgrade
from kymograph.store.sql.tables import facts


@pytest.fixture
def database(database_url):
    made = Database(database_url)
    upgrade(made)
    yield made
    made.close()


def value_of(database, name):
    with database.read() as connection:
        return connection.execute(select(facts.c.value).where(facts.c.name == name)).scalar()


@pytest.mark.parametrize(
    "url", ["", "mysql://localhost/weather", "weather.db", "postgresql+psycopg://a:b:c/d"]
)
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ConfigError):
        Database(url)


def test_who_does_not_answer_is_unavailable_and_its_password_is_not_told():
    database = Database("postgresql+psycopg://ana:secret@127.0.0.1:1/weather")
    with pytest.raises(Unavailable) as caught, database.read():
        pass
    assert "secret" not in str(caught.value.to_dict())


def test_a_transaction_happens_whole_or_not_at_all(database):
    with pytest.raises(ZeroDivisionError), database.begin() as connection:
        connection.execute(insert(facts).values(name="half", value="1"))
        raise ZeroDivisionError
    assert value_of(database, "half") is None


def test_what_may_be_there_once_is_a_conflict_the_second_time(database):
    for _ in range(2):
        try:
            with database.begin() as connection:
                connection.execute(insert(facts).values(name="once", value="1"))
        except KymographError as error:
            assert isinstance(error, Conflict)
            return
    pytest.fail("it was there twice")


def test_writers_wait_for_one_another(database):
    with database.begin() as connection:
        connection.execute(insert(facts).values(name="count", value="0"))

    def add(_):
        for _ in range(5):
            with database.begin() as connection:
                row = select(facts.c.value).where(facts.c.name == "count").with_for_update()
                count = int(connection.execute(row).scalar_one())
                connection.execute(update(facts).where(facts.c.name == "count").values(value=str(count + 1)))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, range(4)))
    assert value_of(database, "count") == "20"


def test_as_many_read_at_once_as_there_are_threads_that_answer(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'k.db'}")
    upgrade(database)
    together = threading.Barrier(SQLITE_CONNECTIONS_MAX)

    def read(_):
        with database.read() as connection:
            together.wait(20)
            return connection.execute(select(facts.c.value)).scalar()

    with ThreadPoolExecutor(SQLITE_CONNECTIONS_MAX) as threads:
        assert all(threads.map(read, range(SQLITE_CONNECTIONS_MAX)))
    database.close()
