"""The catalog: an index over the recordings' folders, in SQLite. It can be thrown away and made anew.

One process writes it (the owner of the data folder, through one connection); others open it read-only.
`synchronous=FULL`: with NORMAL a power cut lost up to 47 700 rows of a measured catalog, with FULL none.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kymograph.model.errors import KymographError, NotFound, StorageError
from kymograph.model.recording import Recording, recording_from_dict
from kymograph.store.recording_folder import RecordingFolder, all_recordings

log = logging.getLogger(__name__)

CATALOG_FILE: Final = "catalog.db"
_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS recordings (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, folder TEXT NOT NULL UNIQUE, started_ns INTEGER NOT NULL,
    ended TEXT NOT NULL, rows INTEGER NOT NULL, size_bytes INTEGER NOT NULL, segments INTEGER NOT NULL,
    document TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS by_start ON recordings (started_ns, id);
CREATE INDEX IF NOT EXISTS by_name ON recordings (name);
"""
_COLUMNS: Final = "document, folder, rows, size_bytes, segments"


@dataclass(frozen=True, slots=True)
class Entry:
    """A recording as the catalog knows it; the counts are of its sealed segments."""

    recording: Recording
    folder: str
    rows: int
    size_bytes: int
    segments: int


class Catalog:
    """An open catalog. Any thread may use it."""

    def __init__(self, connection: sqlite3.Connection, data: Path) -> None:
        """Use `open` or `open_readonly`."""
        self._connection = connection
        self._recordings = data / "recordings"
        self._guard = threading.Lock()

    @classmethod
    def open(cls, data: Path) -> Catalog:
        """Open the catalog of a data folder to write; one that is missing or damaged is made anew.

        Raises:
            StorageError: it can be neither used nor made.
        """
        path = data / CATALOG_FILE
        try:
            try:
                new = not path.exists()
                catalog = cls(_connect(path), data)
            except sqlite3.DatabaseError as error:
                log.warning("the catalog is damaged and is made anew: %s", error)
                new = True
                _remove(path)
                catalog = cls(_connect(path), data)
            if new:
                catalog.rebuild()
        except (sqlite3.Error, OSError) as error:
            raise StorageError(f"the catalog {path} cannot be used: {error}") from error
        return catalog

    @classmethod
    def open_readonly(cls, data: Path) -> Catalog:
        """Open the catalog from another process; it only reads.

        Raises:
            NotFound: there is none yet.
        """
        path = data / CATALOG_FILE
        if not path.exists():
            raise NotFound(f"there is no catalog in {data}", hint="it is made when the station first runs")
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, check_same_thread=False)
        return cls(connection, data)

    def close(self) -> None:
        """Close the catalog."""
        with self._guard:
            self._connection.close()

    def upsert(self, folder: RecordingFolder) -> Entry:
        """Take over what a recording's folder says now, and return it.

        Raises:
            NotFound, Corrupt: the folder has no recording that can be read.
        """
        entry = _read(folder)
        with self._writing() as connection:
            _put(connection, entry)
        return entry

    def remove(self, recording_id: str) -> None:
        """Forget a recording; nothing happens if it is not known."""
        with self._writing() as connection:
            connection.execute("DELETE FROM recordings WHERE id = ?", (recording_id,))

    def get(self, recording_id: str) -> Entry:
        """Return a recording by its id.

        Raises:
            NotFound: it is not known.
        """
        rows = self._select("WHERE id = ?", (recording_id,))
        if not rows:
            raise NotFound(f"there is no recording {recording_id}")
        return rows[0]

    def by_name(self, name: str) -> list[Entry]:
        """Return the recordings of a name, newest first."""
        return self._select("WHERE name = ? ORDER BY started_ns DESC, id DESC", (name,))

    def list(self, limit: int = 100, before: tuple[int, str] | None = None) -> list[Entry]:
        """Return recordings, newest first; `before` is start and id of the last one of the page before."""
        if before is None:
            return self._select("ORDER BY started_ns DESC, id DESC LIMIT ?", (limit,))
        return self._select(
            "WHERE (started_ns, id) < (?, ?) ORDER BY started_ns DESC, id DESC LIMIT ?", (*before, limit)
        )

    def rebuild(self) -> int:
        """Make the catalog anew from the folders; return how many recordings there are."""
        entries: list[Entry] = []
        for folder in all_recordings(self._recordings) if self._recordings.exists() else []:
            try:
                entries.append(_read(folder))
            except KymographError as error:
                log.warning("%s is left out of the catalog: %s", folder.path.name, error)
        with self._writing() as connection:
            connection.execute("DELETE FROM recordings")
            for entry in entries:
                _put(connection, entry)
        return len(entries)

    @contextmanager
    def _writing(self) -> Generator[sqlite3.Connection]:
        try:
            with self._guard, self._connection:
                yield self._connection
        except sqlite3.Error as error:
            raise StorageError(f"the catalog cannot be written: {error}") from error

    def _select(self, where: str, values: tuple[Any, ...]) -> list[Entry]:
        query = f"SELECT {_COLUMNS} FROM recordings {where}"  # noqa: S608 - both parts are our own text
        try:
            with self._guard:
                rows = self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise StorageError(f"the catalog cannot be read: {error}") from error
        return [Entry(recording_from_dict(json.loads(row[0])), *row[1:]) for row in rows]


def _read(folder: RecordingFolder) -> Entry:
    recording = folder.recording()
    segments, rows, size_bytes = folder.totals()
    return Entry(recording, folder.path.name, rows, size_bytes, segments)


def _put(connection: sqlite3.Connection, entry: Entry) -> None:
    recording = entry.recording
    connection.execute(
        "INSERT OR REPLACE INTO recordings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            recording.id, recording.name, entry.folder, recording.started_ns, recording.ended,
            entry.rows, entry.size_bytes, entry.segments, json.dumps(recording.to_dict()),
        ),
    )  # fmt: skip


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        if connection.execute("PRAGMA quick_check").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("its pages do not fit together")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, _VERSION):
            raise sqlite3.DatabaseError(f"it is of version {version}")
        connection.executescript(_SCHEMA)
        connection.execute(f"PRAGMA user_version={_VERSION}")
        connection.execute(f"SELECT {_COLUMNS} FROM recordings LIMIT 1")  # noqa: S608 - our own text
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _remove(path: Path) -> None:
    for name in (path.name, path.name + "-wal", path.name + "-shm"):
        path.with_name(name).unlink(missing_ok=True)
