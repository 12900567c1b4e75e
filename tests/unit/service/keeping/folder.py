"""A data folder as the engine leaves it, made by hand: a spool, event logs, a recording with sealed files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from kymograph.model.channel import Channel, Stream
from kymograph.model.event import Event
from kymograph.model.recording import Recording, Run, Segment
from kymograph.store.event_log import EventLog
from kymograph.store.recording_folder import RecordingFolder
from kymograph.store.spool import SpoolWriter

BEGAN_NS = 1_780_000_000_000_000_000
MINUTE_NS = 60 * 10**9
STREAM = Stream("lidar", (Channel("distance", unit="mm"),))


class Data:
    """The folder, and what adds to it."""

    def __init__(self, path: Path, roll_bytes: int = 1000) -> None:
        self.path = path
        (path / "recordings").mkdir(parents=True)
        (path / "station.json").write_text(json.dumps({"id": "5", "name": "edge"}))
        self.spool = SpoolWriter(path / "readings", roll_bytes)

    def compose(self, first: int, count: int = 1, **payload: Any) -> None:
        lines = [reading(number, **payload) for number in range(first, first + count)]
        self.spool.append([json.dumps(line).encode() for line in lines])

    def event(self, number: int, kind: str = "mark", recording: RecordingFolder | None = None) -> None:
        log = recording.events if recording else EventLog(self.path / "events.jsonl")
        log.append(Event(f"e{number}", BEGAN_NS + number, "user/anna", kind, {"n": number}))

    def record(self, name: str, merge: bool = False) -> RecordingFolder:
        recording = Recording(f"id-{name}", name, (STREAM,), "parquet", 60.0, BEGAN_NS, merge=merge)
        return RecordingFolder.create(self.path / "recordings", recording)


def seal(folder: RecordingFolder, segments: int, replaced: tuple[str, ...] = ()) -> list[Segment]:
    """List so many sealed files, which are there."""
    made: list[Segment] = []
    for index in range(segments):
        name, data = f"lidar_{index:05d}.parquet", f"{folder.path.name} {index}".encode()
        (folder.path / name).write_bytes(data)
        times = BEGAN_NS + index * MINUTE_NS, BEGAN_NS + (index + 1) * MINUTE_NS
        sha256 = hashlib.sha256(data).hexdigest()
        run = (Run(0, BEGAN_NS, index * 10),)
        made.append(Segment("lidar", index, name, 10, len(data), sha256, *times, times[1], run))
    folder.write_manifest(folder.recording().id, made, replaced)
    return made


def reading(number: int, **payload: Any) -> dict[str, Any]:
    time_ns = BEGAN_NS + number * MINUTE_NS
    plain = {"cpu_temp": {"c": number / 10}} | payload
    return {
        "device_id": "weather-01",
        "time_ns": time_ns,
        "local_ns": time_ns + 3600 * 10**9,
        "payload": plain,
    }
