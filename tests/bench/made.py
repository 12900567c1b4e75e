"""Ended recordings of any size, written as files, for measurements that read them."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from kymograph.model.channel import Channel, Stream
from kymograph.model.recording import Recording, Run, Segment
from kymograph.store.recording_folder import RecordingFolder

STREAM = Stream("sensor", (Channel("value", "float64"),))
START_NS = 1_790_000_000_000_000_000
LINE = b'{"timestamp":"2026-09-21T14:13:20.000000+00:00","value":0.12345}\n'


def write_recording(data: Path, id: str, files: int, file_bytes: int, random: bool = False) -> list[str]:
    """Write a recording of so many chunks of so many bytes, and return their names.

    Its chunks are lines of a light sensor, or bytes that cannot be compressed.
    """
    path = data / "recordings" / f"20260921T141320Z_{id}"
    path.mkdir(parents=True)
    metadata = {"radiometer": {"style": "chunks", "sensor_id": "Q12345", "listed": False}}
    folder = RecordingFolder(path)
    folder.write_recording(
        Recording(
            id, id, (STREAM,), "jsonl", 60.0, START_NS, START_NS + files * 60_000_000_000, "stop",
            metadata=metadata, file_stem="chunk",
        )
    )  # fmt: skip
    folder.write_manifest(id, [_write(path, index, file_bytes, random) for index in range(files)])
    return [f"chunk_{index:05d}.jsonl" for index in range(files)]


def _write(path: Path, index: int, file_bytes: int, random: bool) -> Segment:
    rows = max(1, file_bytes // len(LINE))
    data = os.urandom(file_bytes) if random else LINE * rows
    name = f"chunk_{index:05d}.jsonl"
    (path / name).write_bytes(data)
    at_ns = START_NS + index * 60_000_000_000
    return Segment(
        STREAM.name, index, name, rows, len(data), hashlib.sha256(data).hexdigest(), at_ns, at_ns, at_ns,
        (Run(0, 1, index * rows),),
    )  # fmt: skip
