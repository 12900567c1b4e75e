"""A recording, and the sealed files it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from kymograph.model.block import Cursor
from kymograph.model.channel import Stream, stream_from_dict

RECORDING: Final = "recording"
"""`Recording.ended` of a recording that is still running."""
ENDINGS: Final = ("stop", "crash", "disk full", "disk failed")
"""How a recording can have ended."""


class Run(NamedTuple):
    """Rows with consecutive seq: from `row` of the segment on they are `seq`, `seq + 1`, … of `epoch`."""

    row: int
    epoch: int
    seq: int


@dataclass(frozen=True, slots=True)
class Segment:
    """An immutable sealed file of a recording.

    `runs` gives each row its identity whatever the format of the file can say: the first run starts at row
    0, and each further one is a gap or a new epoch.
    """

    stream: str
    index: int
    filename: str
    rows: int
    size_bytes: int
    sha256: str
    first_ns: int
    last_ns: int
    sealed_ns: int
    runs: tuple[Run, ...]

    @property
    def first(self) -> Cursor:
        """The place of the first row."""
        return Cursor(self.runs[0].epoch, self.runs[0].seq)

    @property
    def next(self) -> Cursor:
        """The place after the last row."""
        last = self.runs[-1]
        return Cursor(last.epoch, last.seq + self.rows - last.row)

    def to_dict(self) -> dict[str, Any]:
        """Return the segment as plain data, the inverse of `segment_from_dict`."""
        plain = {key: getattr(self, key) for key in Segment.__dataclass_fields__}
        return {**plain, "runs": [list(run) for run in self.runs]}


def segment_from_dict(data: Mapping[str, Any]) -> Segment:
    """Make the segment again that `Segment.to_dict` took apart; unknown keys are left aside."""
    known: dict[str, Any] = {key: data[key] for key in Segment.__dataclass_fields__ if key in data}
    known["runs"] = tuple(Run(*run) for run in data["runs"])
    return Segment(**known)


@dataclass(frozen=True, slots=True)
class DeletedSegment:
    """A sealed file that is not there any more, on purpose."""

    segment: Segment
    deleted_ns: int
    reason: str

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data, the inverse of `deleted_from_dict`."""
        return {**self.segment.to_dict(), "deleted_ns": self.deleted_ns, "reason": self.reason}


def deleted_from_dict(data: Mapping[str, Any]) -> DeletedSegment:
    """Make it again of what `DeletedSegment.to_dict` took apart."""
    return DeletedSegment(segment_from_dict(data), int(data["deleted_ns"]), str(data["reason"]))


@dataclass(frozen=True, slots=True)
class Recording:
    """What `recording.json` holds: written before the first row, and once more at the end.

    `origin` freezes what made the data: configuration, calibration, driver and program versions.
    `merge` asks for one file named after the recording once it has ended. `file_stem` begins the names of
    sealed files in place of the stream's, where there is one stream only; `format_options` are how its format
    spells what it writes.
    """

    id: str
    name: str
    streams: tuple[Stream, ...]
    format: str
    segment_interval_s: float
    started_ns: int
    ended_ns: int | None = None
    ended: str = RECORDING
    merge: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])
    origin: Mapping[str, Any] = field(default_factory=dict[str, Any])
    file_stem: str = ""
    format_options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    pinned: bool = False
    """Whether retention leaves it alone, and the readings of its time."""

    @property
    def running(self) -> bool:
        """Whether rows are still being added."""
        return self.ended == RECORDING

    def stem_of(self, stream: str) -> str:
        """Return what the names of a stream's sealed files begin with."""
        return self.file_stem or stream

    def stream_of(self, stem: str) -> Stream | None:
        """Return the stream whose sealed files begin so, None if there is none."""
        return next((stream for stream in self.streams if self.stem_of(stream.name) == stem), None)

    def end(self, how: str, at_ns: int) -> Recording:
        """Return this recording as ended in that way at that time."""
        return replace(self, ended=how, ended_ns=at_ns)

    def to_dict(self) -> dict[str, Any]:
        """Return the recording as plain data, the inverse of `recording_from_dict`."""
        plain = {key: getattr(self, key) for key in Recording.__dataclass_fields__}
        return {
            **plain,
            "streams": [stream.to_dict() for stream in self.streams],
            "metadata": dict(self.metadata),
            "origin": dict(self.origin),
            "format_options": dict(self.format_options),
        }


def recording_from_dict(data: Mapping[str, Any]) -> Recording:
    """Make the recording again that `Recording.to_dict` took apart; unknown keys are left aside."""
    known: dict[str, Any] = {key: data[key] for key in Recording.__dataclass_fields__ if key in data}
    known["streams"] = tuple(stream_from_dict(s) for s in data["streams"])
    return Recording(**known)
