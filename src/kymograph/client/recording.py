"""One recording of a station: as tables, as a file, with its events, and what is known of its gaps."""

from __future__ import annotations

import os
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypedDict, Unpack

from kymograph.client import tables
from kymograph.client.completeness import Completeness, completeness_of
from kymograph.client.connection import Connection, Download, Plain, Request
from kymograph.client.frame import Frame
from kymograph.client.moments import Moment
from kymograph.client.stream import frame_of
from kymograph.model.channel import Stream, stream_from_dict
from kymograph.model.errors import (
    Conflict,
    DiskFailed,
    DiskFull,
    InvalidInput,
    KymographError,
    NotFound,
    StorageError,
    TimedOut,
    Unavailable,
)
from kymograph.model.event import Event, event_from_dict

if TYPE_CHECKING:
    import pandas
    import polars

_MEMORY_BYTES_MAX: Final = 32 * 1024 * 1024
"""Bytes of a download kept in memory before it becomes a temporary file."""
_STOP_PATIENCE_S: Final = 20.0
"""How long to try to end a recording at a station that does not answer: a front is back long before."""
_VERIFY_S: Final = 1800.0

Progress = Callable[[int, int | None], object]
"""Called with the bytes that have come, and how many there will be if anybody knows."""


class Part(TypedDict, total=False):
    """Which part of a recording: one stream, some channels, rows from `start` to `stop` (without it)."""

    stream: str
    channels: Sequence[str]
    start: Moment
    stop: Moment


class Recording:
    """A recording, running or ended, as it was when it was last asked; `refresh` asks again.

    As a context manager it is ended at the end of the `with`; an exception is marked in it first. If it
    ended before its time because the disk did, that is raised.
    """

    def __init__(self, connection: Connection, told: Plain) -> None:
        """Use `Client.recordings` or `Client.recording`."""
        self._connection = connection
        self._told = told

    def __repr__(self) -> str:
        return f"<Recording {self.name}: {self.rows} rows, {'running' if self.running else self.ended}>"

    # -- what it is ----------------------------------------------------------------------------------------
    @property
    def id(self) -> str:
        """Its id, the same for ever and everywhere."""
        return self._told["id"]

    @property
    def name(self) -> str:
        """Its name; several recordings may have one."""
        return self._told["name"]

    @property
    def format(self) -> str:
        """The format of its files."""
        return self._told["format"]

    @property
    def streams(self) -> tuple[Stream, ...]:
        """What is recorded, with channels and units."""
        return tuple(stream_from_dict(stream) for stream in self._told["streams"])

    @property
    def started_ns(self) -> int:
        """When it began."""
        return self._told["started_ns"]

    @property
    def ended_ns(self) -> int | None:
        """When it ended, None while it runs."""
        return self._told["ended_ns"]

    @property
    def running(self) -> bool:
        """Whether rows are still being added."""
        return self._told["running"]

    @property
    def ended(self) -> str:
        """`recording`, or how it ended: `stop`, `crash`, `disk full`, `disk failed`."""
        return self._told["ended"]

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return self._told["rows"]

    @property
    def size_bytes(self) -> int:
        """How large its files are."""
        return self._told["size_bytes"]

    @property
    def metadata(self) -> dict[str, Any]:
        """What people noted about it."""
        return self._told["metadata"]

    @property
    def origin(self) -> dict[str, Any]:
        """What made it: configuration, calibration and versions when it was recorded."""
        return self._told["origin"]

    def units(self, stream: str | None = None) -> dict[str, str]:
        """Return the unit of each channel of a stream, a UCUM code; "" is dimensionless."""
        return {channel.name: channel.unit for channel in self._stream(stream).channels}

    def _stream(self, name: str | None) -> Stream:
        streams = self.streams
        if name is None and len(streams) == 1:
            return streams[0]
        names = [stream.name for stream in streams]
        if name is None:
            raise InvalidInput(f"{self.name} has several streams", hint="give stream=…", streams=names)
        if name not in names:
            raise NotFound(f"{self.name} has no stream {name}", streams=names)
        return streams[names.index(name)]

    @property
    def _path(self) -> str:
        return f"/recordings/{self.id}"

    def refresh(self) -> Recording:
        """Ask the station how it is now."""
        self._told = self._connection.get(self._path)
        return self

    # -- as tables -----------------------------------------------------------------------------------------
    def to_arrow(
        self,
        stream: str | None = None,
        start: Moment | None = None,
        stop: Moment | None = None,
        channels: Sequence[str] | None = None,
    ) -> Any:
        """Return its rows as a `pyarrow.Table`: `timestamp`, then a column for each channel, with `unit`,
        `description` and `channel` in the metadata of each field. `stream` is needed if there are several."""
        name = self._stream(stream).name
        query = {"stream": name, "start": start, "stop": stop, "channels": channels}
        with (
            tempfile.SpooledTemporaryFile(_MEMORY_BYTES_MAX) as file,
            self._connection.download(f"{self._path}/export", format="parquet", **query) as download,
        ):
            for piece in download.pieces:
                file.write(piece)
            file.seek(0)
            return tables.read_parquet(file)

    def to_pandas(
        self,
        stream: str | None = None,
        start: Moment | None = None,
        stop: Moment | None = None,
        channels: Sequence[str] | None = None,
    ) -> pandas.DataFrame:
        """Return its rows as a data frame by time (UTC, nanoseconds); `attrs["units"]` has the units."""
        facts = {"recording": self.name, "recording_id": self.id, "stream": self._stream(stream).name}
        return tables.pandas_of(self.to_arrow(stream, start, stop, channels), facts)

    def to_polars(
        self,
        stream: str | None = None,
        start: Moment | None = None,
        stop: Moment | None = None,
        channels: Sequence[str] | None = None,
    ) -> polars.DataFrame:
        """Return its rows as a data frame whose first column is `timestamp`; for the units see `units()`."""
        return tables.polars_of(self.to_arrow(stream, start, stop, channels))

    def data(self, max_points: int = 2000, **part: Unpack[Part]) -> Frame:
        """Return its rows for a plot: more than `max_points` (2 to 20 000) become peaks, in mode `minmax`."""
        stream = self._stream(part.get("stream"))
        query: Plain = {**part, "stream": stream.name, "max_points": max_points}
        return frame_of(self._connection.get(f"{self._path}/data", **query), stream)

    # -- as a file -----------------------------------------------------------------------------------------
    def export(
        self,
        path: str | os.PathLike[str],
        format: str = "csv",
        *,
        progress: Progress | None = None,
        overwrite: bool = False,
        **part: Unpack[Part],
    ) -> Path:
        """Write it, or a part of it, to one file, and return where that is.

        In a folder it gets the name that the station suggests. It has its name only when it is whole. Several
        streams become a zip. `format` is `csv`, `hdf5`, `parquet`, `jsonl`, or another that the station has.

        Raises:
            Conflict: there is such a file, and it is not to be written over.
        """
        with self._connection.download(f"{self._path}/export", format=format, **part) as download:
            target = Path(path)
            if target.is_dir():
                target = target / (download.filename or f"{self.name}.{format}")
            if target.exists() and not overwrite:
                raise Conflict(f"{target} exists", hint="give overwrite=True, or another name")
            _save(download, target, progress or _no_progress)
        return target

    # -- what is known of it -------------------------------------------------------------------------------
    def events(self) -> list[Event]:
        """Return what happened during it, oldest first: gaps, marks, states, corrections of the clock."""
        return [event_from_dict(one) for one in self._connection.get(f"{self._path}/events")["items"]]

    def completeness(self, verify: bool = False) -> Completeness:
        """Return what it should have, what it has, and what is missing; `verify` reads and hashes every file,
        which may take minutes."""
        timeout_s = _VERIFY_S if verify else None
        query = {"verify": True} if verify else {}
        return completeness_of(self._connection.get(f"{self._path}/completeness", timeout_s, **query))

    def manifest(self) -> Plain:
        """Return its sealed files as its `manifest.json` lists them, with sizes and SHA-256."""
        return self._connection.get(f"{self._path}/manifest")

    # -- what can be done ----------------------------------------------------------------------------------
    def mark(self, text: str, **more: Any) -> Event:
        """Add a mark: what is to be remembered of this moment. `time_ns` in `more` is the moment meant."""
        body = {"text": text, **more}
        return event_from_dict(self._connection.ask(Request("POST", f"{self._path}/events", None, body)))

    def annotate(self, **metadata: Any) -> Recording:
        """Add notes; a key that is None is removed."""
        request = Request("PATCH", self._path, None, {"metadata": metadata}, again=True)
        self._told = self._connection.ask(request)
        return self

    def stop(self) -> Recording:
        """End it; returns when its files are sealed.

        Raises:
            Conflict: it has ended already.
        """
        self._told = self._connection.ask(Request("POST", f"{self._path}/stop"))
        return self

    def delete(self) -> None:
        """Delete it with all its files. There is no way back.

        Raises:
            Conflict: it is still running.
        """
        self._connection.ask(Request("DELETE", self._path))

    # -- with ----------------------------------------------------------------------------------------------
    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._end()
            self._check_end()
            return
        try:
            self.mark(f"{type(error).__name__}: {error}"[:1000], exception=type(error).__name__)
        except KymographError as other:
            error.add_note(f"the recording {self.name} could not be marked: {other}")
        try:
            self._end()
        except KymographError as other:
            error.add_note(f"the recording {self.name} could not be stopped: {other}")

    def _end(self) -> None:
        """End it if it has not ended; try for a while if the station is not there."""
        until_s = time.monotonic() + _STOP_PATIENCE_S
        while True:
            try:
                with suppress(Conflict):  # it has ended already
                    self.stop()
                self.refresh()
                return
            except (Unavailable, TimedOut):
                if time.monotonic() > until_s:
                    raise
                time.sleep(0.5)

    def _check_end(self) -> None:
        if self.ended in ("stop", "recording"):
            return
        kinds = {"disk full": DiskFull, "disk failed": DiskFailed}
        raise kinds.get(self.ended, StorageError)(
            f"the recording {self.name} ended before its time: {self.ended}",
            hint="it has the rows up to then; its completeness says which are missing",
            recording_id=self.id, ended=self.ended,
        )  # fmt: skip


def _no_progress(_done_bytes: int, _total_bytes: int | None) -> None:
    pass


def _save(download: Download, target: Path, progress: Progress) -> None:
    """Write a download beside its target and give it its name when it is whole and on the disk."""
    made = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with made.open("xb") as file:
            size_bytes = 0
            for piece in download.pieces:
                size_bytes += file.write(piece)
                progress(size_bytes, download.size_bytes)
            file.flush()
            os.fsync(file.fileno())
        made.replace(target)
    finally:
        made.unlink(missing_ok=True)
