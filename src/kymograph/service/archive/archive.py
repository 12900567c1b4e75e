"""The archive: everything that can be asked of a data folder without an engine.

It only reads (but for nameless temporary files in `.tmp`), so it works beside a running engine, beside a dead
one, and on a copy of the folder. What takes long is done in worker processes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from kymograph.model.errors import NotFound
from kymograph.model.limits import (
    EXPORT_WAIT_S_MAX,
    EXPORT_WORKERS_MAX,
    PAGE_ITEMS_MAX,
    POINTS_MAX,
    VIEW_WAIT_S_MAX,
)
from kymograph.model.names import safe_name
from kymograph.model.recording import Segment
from kymograph.service.archive.exporting import ExportRequest, plan, sealed_file
from kymograph.service.archive.files import StoredFile, find_file, list_files, sealed_segments
from kymograph.service.archive.shelf import Shelf, Shelved
from kymograph.service.archive.workers import PIECE_BYTES, Job, Workers
from kymograph.store import formats
from kymograph.store.reader import RecordingReader
from kymograph.store.recording_folder import RecordingFolder

Plain = dict[str, Any]
_LABELS: Final[Mapping[str, str]] = {
    "csv": "CSV",
    "hdf5": "HDF5",
    "jsonl": "JSON Lines",
    "parquet": "Parquet",
}


class Bytes(Protocol):
    """Where an export's bytes come from."""

    size_bytes: int | None

    def fileno(self) -> int:
        """Return the descriptor they can be read from."""
        ...

    def __next__(self) -> bytes: ...

    def close(self) -> None:
        """Give up what was not read."""
        ...


class Export:
    """An export under way: an iterator of its bytes, to be closed when done or given up.

    `size_bytes` is None while nobody can know. `fileno` may be polled or read from instead of iterating: a
    pipe, or a file if the size is known; who reads it so calls `next` once at its end, which raises what went
    wrong. Bytes that end in an error are not the whole.
    """

    def __init__(self, filename: str, media_type: str, source: Bytes) -> None:
        """Use `Archive.export`."""
        self.filename = filename
        self.media_type = media_type
        self.size_bytes = source.size_bytes
        self._source = source

    def fileno(self) -> int:
        """Return the descriptor the bytes can be read from."""
        return self._source.fileno()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._source)

    def __enter__(self) -> Export:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End it; what makes the bytes is stopped. May be called twice."""
        self._source.close()


class Archive:
    """Answers questions about the recordings of a data folder. Any thread may use it."""

    def __init__(self, data: Path, exports: Workers | None = None, views: Workers | None = None) -> None:
        """Name the data folder; nothing is read and no process started before it is needed.

        Worker processes that are given are shared with whoever gave them, and not ended by `close`.
        """
        self.folder = data.absolute()
        self._shelf = Shelf(self.folder)
        self._exports = exports or Workers(EXPORT_WORKERS_MAX, EXPORT_WAIT_S_MAX)
        # Of their own, so that slow downloads do not keep a plot waiting.
        self._views = views or Workers(1, VIEW_WAIT_S_MAX)
        self._own = [pool for pool in (self._exports, self._views) if pool not in (exports, views)]

    def warm(self) -> None:
        """Have worker processes ready, so that the first export begins at once; does not wait."""
        self._exports.warm()
        self._views.warm()

    def close(self) -> None:
        """End the worker processes."""
        for pool in self._own:
            pool.close()

    def formats(self) -> list[Plain]:
        """Return the formats of recordings and exports: `name label suffix media_type streamable`."""
        found = [formats.find(name) for name in formats.names()]
        return [
            {
                "name": form.name, "label": _LABELS.get(form.name, form.name), "suffix": form.suffix,
                "media_type": form.media_type, "streamable": form.streamable,
            }
            for form in found
        ]  # fmt: skip

    def list(
        self,
        name: str | None = None,
        instrument: str | None = None,
        running: bool | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Plain:
        """Return a page of recordings, newest first: `{"items": […], "next": cursor | null}`.

        `name` is a part of the name, in any case; `instrument` one whose streams it has.

        Raises:
            InvalidInput: the cursor is none that was given out.
        """
        before = safe_name(cursor, "cursor") if cursor is not None else None
        limit = max(1, min(limit, PAGE_ITEMS_MAX))
        page: list[Shelved] = []
        for shelved in self._shelf.all(before):
            if not _fits(shelved, name, instrument, running):
                continue
            if len(page) == limit:
                return {"items": [one.to_dict() for one in page], "next": page[-1].path.name}
            page.append(shelved)
        return {"items": [one.to_dict() for one in page], "next": None}

    def every(self) -> list[Plain]:
        """Return all recordings, newest first."""
        return [shelved.to_dict() for shelved in self._shelf.all()]

    def get(self, recording_id: str) -> Plain:
        """Return a recording: its `to_dict` with `started ended_at running rows size_bytes segments`.

        Raises:
            NotFound: there is none.
        """
        return self._shelf.get(recording_id).to_dict()

    def find(self, name: str) -> Plain:
        """Return the newest recording of that very name.

        Raises:
            NotFound: there is none.
        """
        for shelved in self._shelf.all():
            if shelved.recording.name == name:
                return shelved.to_dict()
        raise NotFound(f"there is no recording called {name}")

    def path(self, recording_id: str) -> Path:
        """Return the folder of a recording.

        Raises:
            NotFound: there is none.
        """
        return self._shelf.get(recording_id).path

    def manifest(self, recording_id: str) -> Plain:
        """Return `{"recording_id", "segments": […]}`: which sealed files there are now."""
        return {"recording_id": recording_id, "segments": self.segments(recording_id)}

    def segments(self, recording_id: str) -> list[Plain]:
        """Return the `to_dict` of every sealed segment."""
        listed, _ = RecordingFolder(self.path(recording_id)).manifest()
        return [segment.to_dict() for segment in listed]

    def files(self, recording_id: str, sealed: bool = True) -> list[Plain]:
        """Return `filename kind size_bytes sha256` of every file of a recording, sealed ones if wanted."""
        return list_files(self.path(recording_id), sealed)

    def sealed(self, recording_id: str) -> Sequence[Segment]:
        """Return the sealed segments of a recording, in order; cheap to ask for often."""
        return tuple(sealed_segments(self.path(recording_id)).values())

    def file(self, recording_id: str, filename: str) -> StoredFile:
        """Return where a file of a recording is, and its entity tag.

        Raises:
            NotFound: it has no such file.
        """
        return find_file(self.path(recording_id), filename)

    def events(self, recording_id: str) -> list[Plain]:
        """Return what happened during a recording, oldest first."""
        return [event.to_dict() for event in RecordingFolder(self.path(recording_id)).events.read()]

    def data(
        self,
        recording_id: str,
        stream: str,
        channels: Sequence[str] | None = None,
        start_ns: int | None = None,
        stop_ns: int | None = None,
        points_max: int = 2000,
    ) -> Plain:
        """Return `stream mode rows time_ns columns`: the rows, or at most `points_max` minima and maxima.

        Raises:
            NotFound, InvalidInput: no such recording, stream or channel.
            Corrupt: a sealed file is damaged.
        """
        answer = self._views.call(
            "view", folder=str(self.path(recording_id)), stream=stream, channels=list(channels or ()),
            start_ns=start_ns, stop_ns=stop_ns, points_max=max(1, min(points_max, POINTS_MAX)),
        )  # fmt: skip
        return msgspec.msgpack.decode(answer)

    def export(self, request: ExportRequest) -> Export:
        """Begin an export; formats that only append begin to flow at once, the others when they are made.

        Raises:
            NotFound, InvalidInput: no such recording, stream, channel, format or option.
            Unavailable: as many exports as allowed are being made.
            DiskFull: there is no room for the temporary file.
        """
        folder = self.path(request.recording_id)
        reader = RecordingReader(folder)
        planned = plan(reader, request)
        path = sealed_file(reader, planned)
        if path is not None:
            try:
                return Export(planned.filename, planned.media_type, _Whole(path))
            except FileNotFoundError:
                pass  # it was merged this very moment
        job: Job = self._exports.start(
            "export", data=str(self.folder), folder=str(folder), request=request.to_dict()
        )
        return Export(planned.filename, planned.media_type, job)

    def verify(self, recording_id: str) -> Plain:
        """Check a recording's hashes, frames and sequence, and say exactly what is missing."""
        return msgspec.json.decode(self._exports.call("verify", folder=str(self.path(recording_id))))

    def completeness(self, recording_id: str, verify: bool = False, files: bool = True) -> Plain:
        """Return a recording's completeness ledger, see `kymograph.store.ledger.Ledger.to_dict`.

        With `verify` every file is read that was not hashed since it last changed.
        """
        workers = self._exports if verify else self._views
        answer = workers.call(
            "ledger", folder=str(self.path(recording_id)), verify=verify, files=files, now_ns=time.time_ns()
        )
        return msgspec.json.decode(answer)


class _Whole:
    """A sealed file as it is."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size_bytes: int | None = os.fstat(self._fd).st_size

    def fileno(self) -> int:
        return self._fd

    def __next__(self) -> bytes:
        piece = os.read(self._fd, PIECE_BYTES) if self._fd >= 0 else b""
        if not piece:
            self.close()
            raise StopIteration
        return piece

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


def _fits(shelved: Shelved, name: str | None, instrument: str | None, running: bool | None) -> bool:
    recording = shelved.recording
    if name is not None and name.lower() not in recording.name.lower():
        return False
    if instrument is not None and instrument not in {s.name.partition(".")[0] for s in recording.streams}:
        return False
    return running is None or recording.running == running
