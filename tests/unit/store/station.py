"""A data folder with a sealer, from which recorders are made, and everything that was told."""

from __future__ import annotations

from dataclasses import dataclass, field

from kymograph.model.channel import Stream
from kymograph.model.clock import Clock
from kymograph.model.event import Event
from kymograph.model.recording import Recording, Segment
from kymograph.store.folder import DataFolder
from kymograph.store.formats import find
from kymograph.store.recorder import Recorder, RecorderOptions
from kymograph.store.sealer import Sealer
from kymograph.store.segments import Told
from tests.unit.store.made import EPOCH, STREAM


@dataclass
class Station:
    """What a test of the recorder has."""

    data: DataFolder
    sealer: Sealer
    clock: Clock
    events: list[Event] = field(default_factory=list)
    segments: list[Segment] = field(default_factory=list)
    ended: list[Recording] = field(default_factory=list)

    def recorder(self, recording: Recording | None = None, **options: object) -> Recorder:
        told = Told(self.events.append, lambda _, segment: self.segments.append(segment), self.ended.append)
        recording = recording or self.recording()
        return Recorder(self.data, recording, self.sealer, self.clock, RecorderOptions(told=told, **options))  # type: ignore[arg-type]

    def recording(self, **changes: object) -> Recording:
        plain = {
            "id": "rec-1", "name": "night", "streams": (STREAM,), "format": "jsonl",
            "segment_interval_s": 60.0, "started_ns": self.clock.now_ns(), **changes,
        }  # fmt: skip
        return Recording(**plain)  # type: ignore[arg-type]

    def gaps(self) -> list[dict[str, object]]:
        return [dict(event.body) for event in self.events if event.kind == "gap"]


def rows_of(recorder: Recorder, stream: Stream = STREAM) -> list[int]:
    """Return the channel `t` or `distance` of everything sealed, in order."""
    segments, _ = recorder.folder.manifest()
    form = find(recorder.recording.format)
    values: list[int] = []
    for segment in segments:
        if segment.stream == stream.name:
            for rows in form.read(recorder.folder.path / segment.filename, stream):
                values.extend((int(t) - EPOCH * 1_000_000) // 1_000_000 for t in rows.time_ns)
    return values
