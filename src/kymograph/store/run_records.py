"""What is kept of each run of a sequence: who, what, with which values, what was told, how it ended.

    <data>/runs/<YYYYmmddTHHMMSSZ>_<name>_<first 8 of the id>/run.json

Each write replaces the file as a whole and is durable when it returns. A record without `ended_ns` is of a
run that is going on, or of one whose engine was killed.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from kymograph.model.errors import NotFound, StorageError
from kymograph.model.limits import RUNS_LISTED_MAX
from kymograph.model.names import safe_name
from kymograph.store.durable import fsync_folder, storage_error, write_durably

log = logging.getLogger(__name__)

RUN_FILE: Final = "run.json"

Record = dict[str, Any]


class RunRecords:
    """The records of one data folder. Any thread may ask; a run is written by one thread at a time."""

    def __init__(self, data: Path) -> None:
        self._folder = data / "runs"
        self._ended: dict[Path, Record] = {}
        """Records that change no more, without what is left out of a listing."""

    def write(self, record: Mapping[str, Any]) -> None:
        """Write the record of a run, by its `id sequence started_ns`.

        Raises:
            StorageError: the disk does not take it; an earlier record is as it was.
        """
        path = self._path(record)
        try:
            if not path.is_dir():
                path.mkdir(parents=True)
                fsync_folder(self._folder)
        except OSError as error:
            raise storage_error(error, path) from error
        write_durably(path / RUN_FILE, json.dumps(record, indent=1, default=str).encode() + b"\n")

    def newest(self, without: frozenset[str] = frozenset()) -> Iterator[Record]:
        """Yield the records, newest first, without these keys; those that cannot be read are left out.

        With the same keys as before, what has ended is not read again.
        """
        if not self._folder.is_dir():
            return
        for path in sorted(self._folder.iterdir(), reverse=True):
            record = self._ended.get(path) if without else None
            record = record or _read(path / RUN_FILE)
            if record is None:
                continue
            record = {key: value for key, value in record.items() if key not in without}
            if without and record.get("ended_ns") is not None and len(self._ended) < RUNS_LISTED_MAX:
                self._ended[path] = record
            yield record

    def get(self, run_id: str) -> Record:
        """Return the record of a run.

        Raises:
            NotFound: there is none.
        """
        begin = safe_name(run_id, "id of a run")[:8]
        for path in self._folder.glob(f"*_{begin}") if self._folder.is_dir() else ():
            record = _read(path / RUN_FILE)
            if record is not None and record["id"] == run_id:
                return record
        raise NotFound(f"there is no run {run_id}")

    def close_open(self, reason: str) -> list[Record]:
        """Close what a killed engine left open as failed, ended when it was written last; return it."""
        closed: list[Record] = []
        for record in self.newest():
            if record.get("ended_ns") is not None:
                continue
            record |= {"state": "failed", "reason": reason, "ended_ns": record.get("written_ns")}
            try:
                self.write(record)
            except StorageError as error:
                log.warning("the record of the run %s is still open: %s", record["id"], error)
            closed.append(record)
        return closed

    def _path(self, record: Mapping[str, Any]) -> Path:
        began = datetime.fromtimestamp(record["started_ns"] / 1e9, UTC).strftime("%Y%m%dT%H%M%SZ")
        return self._folder / f"{began}_{record['sequence']}_{record['id'][:8]}"


def _read(path: Path) -> Record | None:
    try:
        record = json.loads(path.read_bytes())
        return record if isinstance(record["id"], str) and record["started_ns"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
