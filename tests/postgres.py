"""A PostgreSQL of the tests' own: made in a folder of its own, stopped, killed and started again by them.

def test_it(postgres_url): ...                     # an empty database
def test_it(postgres): postgres.kill(); ...        # the server itself; it runs again for the next test

One server a test process, started by the first test that asks. It writes to the disk as a real one does.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Generator
from pathlib import Path

import psutil
import psycopg
import pytest

START_TIMEOUT_S = 60.0
USER = "kymograph"
_SYSTEM_USER = "postgres"
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "logging_collector": "off",
    "timezone": "UTC",
}
_EMPTY = """DO $$ DECLARE one text; BEGIN
    FOR one IN SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema' LOOP
        EXECUTE format('DROP SCHEMA %I CASCADE', one);
    END LOOP;
    CREATE SCHEMA public;
END $$"""


def binaries() -> Path | None:
    """Return the folder of the newest server that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[-3]))
    if found:
        return found[-1].parent
    path = shutil.which("postgres")
    return Path(path).resolve().parent if path else None


class Server:
    """One server with its data in a folder that goes with it."""

    def __init__(self, programs: Path) -> None:
        """Make its files; it does not run yet."""
        self._programs = programs
        self._root = os.geteuid() == 0
        # not under pytest's folder: that one is closed to the user that the server runs as
        self._folder = Path(tempfile.mkdtemp(prefix="kymograph-pg-"))
        if self._root:
            shutil.chown(self._folder, _SYSTEM_USER, _SYSTEM_USER)
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._used: list[str] = []
        self._run("initdb", "-D", str(self._folder / "data"), "-U", USER, "--auth=trust", "-E", "UTF8",
                  "--locale=C", "--no-sync")  # fmt: skip

    def url(self, database: str = "postgres", user: str = USER) -> str:
        """Return the address of a database, as SQLAlchemy spells it."""
        return f"postgresql+psycopg://{user}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it and wait until it answers; nothing if it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        settings = [word for name, value in _SETTINGS.items() for word in ("-c", f"{name}={value}")]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self._as_its_user(), str(self._programs / "postgres"), "-D", str(self._folder / "data"),
                 "-p", str(self.port), "-k", str(self._folder), *settings],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        self._wait_ready()

    def stop(self) -> None:
        """End it in an orderly way: sessions are cut off, what was committed is on the disk."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # a fast shutdown, see postgres(1)
            self._process.wait(30)

    def kill(self) -> None:
        """SIGKILL it with all its sessions."""
        assert self._process is not None
        everyone = [psutil.Process(self._process.pid)]
        everyone += everyone[0].children(recursive=True)
        for one in everyone:
            try:
                one.kill()
            except psutil.NoSuchProcess:
                continue
        self._process.wait(30)
        psutil.wait_procs(everyone[1:], 30)

    def restart(self) -> None:
        """Stop and start it."""
        self.stop()
        self.start()

    def create_database(self, name: str | None = None) -> str:
        """Make an empty database and return its address."""
        name = name or f"t{uuid.uuid4().hex[:12]}"
        self.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def drop_database(self, url: str) -> None:
        """Remove a database, whoever uses it."""
        self.execute(f'DROP DATABASE IF EXISTS "{url.rpartition("/")[2]}" WITH (FORCE)')

    def lend(self) -> str:
        """Return the address of an empty database, a used one where there is one: see `take_back`."""
        return self._used.pop() if self._used else self.create_database()

    def take_back(self, url: str) -> None:
        """Empty a database, whoever uses it. To drop it would be a checkpoint: seconds, on a busy disk."""
        name = url.rpartition("/")[2]
        self.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        self.execute(_EMPTY, name)
        self._used.append(url)

    def execute(self, statement: str, database: str = "postgres") -> None:
        """Carry out a statement as the server's owner, outside of any transaction."""
        with psycopg.connect(self._dsn(database), autocommit=True) as connection:
            connection.execute(statement.encode())

    def close(self) -> None:
        """End it and remove its files."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def log(self) -> str:
        """Return what it wrote."""
        return (self._folder / "log").read_text(errors="replace")

    def _dsn(self, database: str = "postgres") -> str:
        return f"host=127.0.0.1 port={self.port} user={USER} dbname={database} connect_timeout=5"

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        assert self._process is not None
        while True:
            try:
                psycopg.connect(self._dsn()).close()
                return
            except psycopg.OperationalError:
                assert self._process.poll() is None, f"the server ended:\n{self.log()}"
                assert time.monotonic() < deadline, f"the server does not answer:\n{self.log()}"
                time.sleep(0.02)

    def _as_its_user(self) -> list[str]:
        """PostgreSQL refuses to run as root; and it ends when the tests do, however they do."""
        user = [f"--reuid={_SYSTEM_USER}", f"--regid={_SYSTEM_USER}", "--init-groups"] if self._root else []
        return ["setpriv", *user, "--pdeathsig", "INT"]

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._as_its_user(), str(self._programs / program), *arguments],
            cwd=self._folder, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@pytest.fixture(scope="session")
def postgres_server() -> Generator[Server]:
    programs = binaries()
    if programs is None:
        pytest.skip("no PostgreSQL is installed")
    server = Server(programs)
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def postgres(postgres_server: Server) -> Generator[Server]:
    """The server of this test process, running; a test may stop, kill and start it."""
    postgres_server.start()
    yield postgres_server
    postgres_server.start()


@pytest.fixture
def postgres_url(postgres: Server) -> Generator[str]:
    """The address of an empty database."""
    url = postgres.lend()
    yield url
    postgres.start()
    postgres.take_back(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database, of either kind: the test runs twice."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'kymograph.db'}"
    return request.getfixturevalue("postgres_url")
