"""The recordings of a station, to be listed, found and begun."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, TypedDict

from kymograph.client.connection import Connection
from kymograph.client.recording import Recording
from kymograph.model.errors import NotFound

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class RecordingOptions(TypedDict, total=False):
    """How to record.

    - `streams` or `instruments`: what; neither is everything.
    - `metadata`: notes, as a mapping.
    - `format`: `hdf5`, `parquet`, `csv`, `jsonl`; left out: as the station file says, like the rest.
    - `segment_interval_s`: how often a file is closed and hashed.
    - `merge`: whether to make one file of all of them at the end.
    - `pre_s`: how many last seconds of what the station remembers come first; `metadata["pre_s_given"]` says
      how many there were.
    """

    streams: list[str] | tuple[str, ...]
    instruments: list[str] | tuple[str, ...]
    metadata: dict[str, Any]
    format: str
    segment_interval_s: float
    merge: bool
    pre_s: float


class PromoteOptions(TypedDict, total=False):
    """What of the past to keep: as of a recording."""

    streams: list[str] | tuple[str, ...]
    instruments: list[str] | tuple[str, ...]
    metadata: dict[str, Any]
    format: str


class Recordings:
    """All recordings of a station: `recordings()` lists them, `recordings["night"]` finds one."""

    def __init__(self, connection: Connection) -> None:
        """Use `Client.recordings`."""
        self._connection = connection

    def __call__(
        self, name: str | None = None, instrument: str | None = None, running: bool | None = None
    ) -> list[Recording]:
        """Return recordings, newest first: those with `name` in their name, with a stream of `instrument`,
        that are `running` or not."""
        found = self._connection.items("/recordings", name=name, instrument=instrument, running=running)
        return [Recording(self._connection, one) for one in found]

    def __iter__(self) -> Iterator[Recording]:
        for one in self._connection.items("/recordings"):
            yield Recording(self._connection, one)

    def __getitem__(self, which: str) -> Recording:
        """Return the recording of that id, or the newest of that very name.

        Raises:
            NotFound: there is none.
        """
        if _UUID.fullmatch(which):
            try:
                return Recording(self._connection, self._connection.get(f"/recordings/{which}"))
            except NotFound:
                pass  # a name may look like an id
        for one in self._connection.items("/recordings", name=which):
            if one["name"] == which:
                return Recording(self._connection, one)
        raise NotFound(f"there is no recording {which}", hint="client.recordings() lists them")
