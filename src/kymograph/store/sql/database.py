"""One database: an address, its connections, and transactions that say what went wrong in our words.

SQLite is used by several processes of one station: WAL, every commit on the disk, and a lock file beside it
(`<name>-writer`) so that one process at a time writes or checkpoints. Versions before 3.51.3 may spoil a file
when two do.
"""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError, SQLAlchemyError

from kymograph.model.errors import ConfigError, Conflict, DiskFull, KymographError, StorageError, Unavailable

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"
CONNECT_TIMEOUT_S: Final = 5
SQLITE_CONNECTIONS_MAX: Final = 40
"""As many as there are threads that answer requests: a slow answer is no reason to refuse a quick one."""
_BUSY_MS: Final = 20_000
_WRITES: Final = "kymograph_writes"


class Database:
    """A database and its connections. Any thread may use it; it reconnects by itself."""

    def __init__(self, url: str) -> None:
        """Take an address as SQLAlchemy spells it; connects when it is first used.

        Raises:
            ConfigError: the address is none, or of a database that is not known here.
        """
        try:
            self._url = make_url(url)
            self.dialect = self._url.get_backend_name()
            """`sqlite` or `postgresql`."""
            if self.dialect not in (SQLITE, POSTGRESQL):
                raise ConfigError(f"no database of the kind {self.dialect}", hint="sqlite or postgresql")
            self.engine = self._made_engine()
        except (SQLAlchemyError, ImportError, ValueError) as error:
            raise ConfigError(
                f"not the address of a database: {_first_line(error)}",
                hint="for example postgresql://user:password@host/name",
            ) from None
        self._guard = threading.Lock()
        self._writer_fd = -1

    def __str__(self) -> str:
        return self._url.render_as_string(hide_password=True)

    @property
    def path(self) -> Path | None:
        """The file, if it is one."""
        name = self._url.database
        return Path(name) if self.dialect == SQLITE and name else None

    def _made_engine(self) -> Engine:
        if self.dialect == POSTGRESQL:
            options = {"connect_timeout": CONNECT_TIMEOUT_S, "application_name": "kymograph"}
            return create_engine(self._url, pool_pre_ping=True, pool_size=4, connect_args=options)
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        made = create_engine(
            self._url,
            max_overflow=SQLITE_CONNECTIONS_MAX,
            connect_args={"check_same_thread": False, "timeout": _BUSY_MS / 1000},
        )
        event.listen(made, "connect", _prepare_sqlite)
        event.listen(made, "begin", _begin_sqlite)
        return made

    @contextmanager
    def begin(self) -> Generator[Connection]:
        """Write in one transaction: all of it is durable at the end, or none of it happened.

        Raises:
            Unavailable: the database does not answer, or was lost on the way.
            DiskFull: it has no room.
            Conflict: something is there already that may be there once.
            StorageError: anything else that it says.
        """
        with self._translated(), self._sole_writer():
            with self.engine.connect().execution_options(**{_WRITES: True}) as connection, connection.begin():
                yield connection

    @contextmanager
    def read(self) -> Generator[Connection]:
        """Read in one transaction; see `begin` for what it raises."""
        with self._translated(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def alone(self) -> Generator[Any]:
        """Have a connection of the driver, outside of any transaction: to keep house.

        On SQLite nobody else writes meanwhile; be short. See `begin` for what it raises.
        """
        with self._translated(), self._sole_writer():
            lent = self.engine.raw_connection()
            driver: Any = lent.driver_connection
            try:
                if self.dialect == POSTGRESQL:
                    driver.autocommit = True
                yield driver
            except self._driver_error() as error:
                wrapped = DBAPIError.instance(None, None, error, self._driver_error())
                raise wrapped from error
            finally:
                if self.dialect == POSTGRESQL and not driver.closed:
                    driver.autocommit = False
                lent.close()

    def _driver_error(self) -> type[Exception]:
        return self.engine.dialect.loaded_dbapi.Error

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
        if self._writer_fd >= 0:
            os.close(self._writer_fd)
            self._writer_fd = -1

    @contextmanager
    def _sole_writer(self) -> Generator[None]:
        if self.path is None:
            yield
            return
        with self._guard:
            if self._writer_fd < 0:
                lock = self.path.with_name(f"{self.path.name}-writer")
                self._writer_fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            fcntl.flock(self._writer_fd, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._writer_fd, fcntl.LOCK_UN)

    @contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except KymographError:
            raise
        except IntegrityError as error:
            raise Conflict(f"the database refuses it: {_first_line(error)}") from error
        except (OperationalError, InterfaceError) as error:
            raise self._lost(error) from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise self._lost(error) from error
            raise StorageError(f"the database says: {_first_line(error)}") from error
        except SQLAlchemyError as error:  # no connection was free in time
            raise Unavailable(f"the database is busy: {_first_line(error)}") from error

    def _lost(self, error: DBAPIError) -> KymographError:
        said = _first_line(error)
        if "disk is full" in said or "No space left" in said:
            return DiskFull(f"the database has no room: {said}")
        return Unavailable(
            f"the database does not answer: {said}", hint="it is tried again", database=str(self)
        )


def _first_line(error: Exception) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    return (str(cause).strip().splitlines() or [type(cause).__name__])[0]


def _prepare_sqlite(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # transactions are begun by `_begin_sqlite`
    for pragma in (
        "auto_vacuum=INCREMENTAL",  # before the first table: what is deleted can be given back
        "journal_mode=WAL",
        "synchronous=FULL",
        f"busy_timeout={_BUSY_MS}",
        "foreign_keys=ON",
        "trusted_schema=OFF",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
