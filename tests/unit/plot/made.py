"""Recordings and files made by hand, with a gap and a single high peak in them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from kymograph.model.block import Block, Rows
from kymograph.model.channel import Channel, Stream
from kymograph.model.event import Event
from kymograph.model.recording import Recording, Run, Segment
from kymograph.store import formats
from kymograph.store.formats.base import Header
from kymograph.store.preview import preview_path, write_preview
from kymograph.store.recording_folder import RecordingFolder, stem

T0 = 1_770_000_000_000_000_000
ROWS = 40_000
STEP_NS = 1_000_000
GAP_AT = 25_123
GAP_NS = 5_000_000_000
PEAK_AT = 30_001
STREAM = Stream(
    "stand",
    (
        Channel("P1", unit="bar"), Channel("T1", "float64", "Cel"),
        Channel("valve", "uint8", labels=("shut", "open")),
    ),
    1000.0,
)  # fmt: skip
LIDAR = Stream(
    "lidar", (Channel("distance", unit="m"), Channel("angle", unit="deg"), Channel("scan", "uint32"))
)


def rows() -> tuple[np.ndarray, list[np.ndarray]]:
    """Times and columns: P1 rises to the gap, falls by 100 over it, and has one peak of 999."""
    times = T0 + np.arange(ROWS) * STEP_NS
    times[GAP_AT:] += GAP_NS
    pressure = np.arange(ROWS, dtype="f4") / 1000
    pressure[GAP_AT:] -= 100
    pressure[PEAK_AT] = 999
    return times, [pressure, np.full(ROWS, np.nan), (np.arange(ROWS) // 10_000 % 2).astype("u1")]


def blocks(stream: Stream, times: np.ndarray, columns: list[np.ndarray], step: int = 1000) -> list[Block]:
    made = []
    for at in range(0, len(times), step):
        cut = slice(at, at + step)
        made.append(Block.pack(stream, 7, at, Rows(stream.name, times[cut], [c[cut] for c in columns])))
    return made


def file(path: Path, stream: Stream = STREAM) -> Path:
    """Write the rows into a file of the format that its suffix says."""
    name = {".h5": "hdf5"}.get(path.suffix, path.suffix[1:])
    with path.open("w+b") as out:
        formats.find(name).write(out, Header(stream, T0), blocks(stream, *rows()))
    return path


def recording(data: Path, name: str = "firing", stream: Stream = STREAM, content=None) -> Path:
    """Make a recording of two segments with previews; return its folder."""
    (data / "recordings").mkdir(exist_ok=True, parents=True)
    told = Recording(f"id-{name}", name, (stream,), "parquet", 60.0, T0).end("stop", T0 + 60_000_000_000)
    folder = RecordingFolder.create(data / "recordings", told)
    all_blocks = blocks(stream, *(content or rows()))
    half = len(all_blocks) // 2
    segments = [
        _seal(folder, i, part) for i, part in enumerate((all_blocks[:half], all_blocks[half:])) if part
    ]
    folder.write_manifest(told.id, segments)
    return folder.path


def _seal(folder: RecordingFolder, index: int, part: list[Block]) -> Segment:
    stream = part[0].stream
    path = folder.path / (stem(stream.name, index) + ".parquet")
    with path.open("w+b") as out:
        formats.find("parquet").write(out, Header(stream, T0), part)
    write_preview(preview_path(path), stream, part)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Segment(
        stream.name, index, path.name, sum(b.rows for b in part), path.stat().st_size, digest,
        part[0].first_ns, part[-1].last_ns, 0, (Run(0, part[0].epoch, part[0].seq),),
    )  # fmt: skip


def tell(folder: Path, *events: Event) -> None:
    """Add events to a recording."""
    log = RecordingFolder(folder).events
    log.append(*events)
    log.close()
