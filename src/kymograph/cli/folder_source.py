"""The recordings of a data folder, whether a station runs on it or not."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

from kymograph.cli.sources import Export, Plain, Wanted
from kymograph.model.clock import Clock
from kymograph.model.errors import Conflict, FolderLocked
from kymograph.service.archive.archive import Archive
from kymograph.service.archive.exporting import ExportRequest
from kymograph.store.catalog import Catalog
from kymograph.store.folder import DataFolder
from kymograph.store.recording_folder import find_recording
from kymograph.web.times import parse_optional


class Folder:
    """See `Source`. Only `remove` writes, and only where no station owns the folder."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._archive = Archive(data)

    def list(self) -> list[Plain]:
        """Return every recording, newest first."""
        return self._archive.every()

    def events(self, recording_id: str) -> list[Plain]:
        """Return what happened during a recording, oldest first."""
        return self._archive.events(recording_id)

    def segments(self, recording_id: str) -> list[Plain]:
        """Return the sealed files of a recording."""
        return self._archive.segments(recording_id)

    @contextmanager
    def export(self, recording_id: str, wanted: Wanted) -> Generator[Export]:
        """Begin an export."""
        request = ExportRequest(
            recording_id,
            wanted.format,
            streams=(wanted.stream,) if wanted.stream else (),
            channels=wanted.channels,
            start_ns=parse_optional(wanted.start, "--from"),
            stop_ns=parse_optional(wanted.stop, "--to"),
        )
        with closing(self._archive), self._archive.export(request) as made:
            yield Export(made.filename, made, made.size_bytes)

    def remove(self, recording_id: str) -> None:
        """Delete an ended recording with all its files.

        Raises:
            Conflict: a station owns the folder; it is the one to be asked.
        """
        try:
            owned = DataFolder.open(self._data, Clock(time.monotonic_ns, time.time_ns))
        except FolderLocked as error:
            raise Conflict(
                f"a station is running on {self._data}", hint="ask it: --url instead of --data", **error.facts
            ) from None
        with owned, closing(Catalog.open(self._data)) as catalog:
            find_recording(self._data / "recordings", recording_id).delete()
            catalog.remove(recording_id)
