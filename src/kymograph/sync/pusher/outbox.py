"""What a pusher needs of the place where things wait to be shipped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from kymograph.model.ranges import Ranges

READINGS: Final = "readings"
EVENTS: Final = "events"
SEGMENTS: Final = "segments"
STREAMS: Final = (READINGS, EVENTS, SEGMENTS)


class Extent(Protocol):
    """What there is of a stream: numbers from `first` up to `next` (exclusive), with holes."""

    @property
    def stream(self) -> str: ...
    @property
    def epoch(self) -> int: ...
    @property
    def first(self) -> int: ...
    @property
    def next(self) -> int: ...
    @property
    def newest_ns(self) -> int | None: ...
    @property
    def rows(self) -> int: ...


class Batch(Protocol):
    """Rows to be sent: one JSON object a line, each with its `seq`; `last` is included."""

    @property
    def stream(self) -> str: ...
    @property
    def epoch(self) -> int: ...
    @property
    def first(self) -> int: ...
    @property
    def last(self) -> int: ...
    @property
    def rows(self) -> int: ...
    @property
    def body(self) -> bytes: ...
    @property
    def sha256(self) -> str: ...


class Outbox(Protocol):
    """Any thread may use it. Every method may raise `Unavailable` or `StorageError`."""

    def extents(self) -> Sequence[Extent]:
        """Return what there is of each stream."""
        ...

    def batch(self, stream: str, first: int, last: int, limit: int) -> Batch | None:
        """Return at most `limit` rows of a range, as many as are still there; None if none is."""
        ...

    def unshipped(self, destination: str, stream: str) -> Ranges:
        """Return what a destination has not acknowledged."""
        ...

    def acknowledge(self, destination: str, stream: str, epoch: int, first: int, last: int) -> None:
        """Remember, durably, that a destination has a range."""
        ...

    def forget_acknowledged(self, destination: str, stream: str, epoch: int, held: Ranges) -> None:
        """Remember only those acknowledged rows that the destination says it holds."""
        ...

    def file(self, sha256: str) -> Path | None:
        """Return where a sealed file is; None if it is there no more."""
        ...
