"""Sealed segments of recordings: which may go, and which are chosen, evenly over time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from kymograph.model.errors import KymographError
from kymograph.model.ranges import Ranges
from kymograph.model.recording import Recording
from kymograph.model.strata import surplus
from kymograph.service.retention.readings import Wish
from kymograph.store.recording_folder import RecordingFolder, all_recordings
from kymograph.store.sql.rolled import Span

FREE: Final = "free"
PINNED: Final = "pinned"
RUNNING: Final = "running"
YOUNG: Final = "young"
UNSHIPPED: Final = "unshipped"
"""Why a segment stays, but for `free`; the first that applies."""


@dataclass(frozen=True, slots=True)
class Item:
    """A sealed segment."""

    recording_id: str
    name: str
    """Of its recording."""
    stream: str
    filename: str
    first_ns: int
    size_bytes: int
    rows: int
    state: str
    last_ns: int = 0
    sha256: str = ""
    seq: int = 0
    """Its number in the database, 0 if it has none."""


@dataclass(frozen=True, slots=True)
class SegmentTerms:
    """Of segments: their numbers in the database, the last one that is old, and what was shipped."""

    seqs: Mapping[tuple[str, str], int]
    newest_seq: int
    shipped: Ranges | None

    def state(self, recording: Recording, filename: str) -> str:
        """Return whether a segment may go, or why not."""
        seq = self.seqs.get((recording.id, filename))
        if recording.pinned:
            return PINNED
        if recording.running:
            return RUNNING
        if seq is None or seq > self.newest_seq:
            return YOUNG
        if self.shipped is not None and seq not in self.shipped:
            return UNSHIPPED
        return FREE


@dataclass(slots=True)
class Found:
    """What is in the data folder."""

    items: list[Item] = field(default_factory=list[Item])
    """All sealed segments that were recorded here."""
    pinned: list[Span] = field(default_factory=list[Span])
    """The times of what is pinned."""
    left: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    """Files that are deleted by the word of their manifest, and are there: a crash left them."""


def look(data: Path, terms: SegmentTerms) -> Found:
    """Look at all recordings."""
    found = Found()
    there = data / "recordings"
    for folder in all_recordings(there) if there.is_dir() else ():
        try:
            recording = folder.recording()
            if recording.pinned:
                found.pinned.append((recording.started_ns, recording.ended_ns or 1 << 62))
            if folder.mirrored:
                continue
            found.items += _items(folder, recording, terms)
            names = [one.segment.filename for one in folder.deleted()]
            if left := [name for name in names if (folder.path / name).exists()]:
                found.left[recording.id] = left
        except KymographError:
            continue  # `verify` tells of it
    return found


def _items(folder: RecordingFolder, recording: Recording, terms: SegmentTerms) -> Iterator[Item]:
    for segment in folder.manifest()[0]:
        yield Item(
            recording.id, recording.name, segment.stream, segment.filename, segment.first_ns,
            segment.size_bytes, segment.rows, terms.state(recording, segment.filename), segment.last_ns,
            segment.sha256, terms.seqs.get((recording.id, segment.filename), 0),
        )  # fmt: skip


def choose(items: Sequence[Item], wish: Wish, before_ns: int | None = None) -> list[Item]:
    """Return which free segments are to go: of the most crowded times, the oldest first."""
    wanted = [item for item in items if before_ns is None or item.first_ns < before_ns]
    chosen: dict[tuple[str, str], Item] = {}
    gone = 0
    if not wish.everything and wish.size_bytes <= 0:
        return []
    for width_ns in wish.ladder:
        left = [item for item in wanted if (item.recording_id, item.filename) not in chosen]
        for item in sorted(_surplus(left, width_ns), key=lambda item: item.first_ns):
            if not wish.everything and gone >= wish.size_bytes:
                return list(chosen.values())
            chosen[item.recording_id, item.filename] = item
            gone += item.size_bytes
    return list(chosen.values())


def _surplus(items: Iterable[Item], width_ns: int) -> Iterator[Item]:
    of_stream: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        of_stream[item.stream].append(item)
    for some in of_stream.values():
        free = np.array([item.state == FREE for item in some])
        times = np.array([item.first_ns for item in some], np.int64)
        gone = surplus(times, free, width_ns) if width_ns else free
        yield from (item for item, goes in zip(some, gone.tolist(), strict=True) if goes)


def as_shipped(item: Item) -> Item:
    """Return a segment as if it had arrived."""
    return replace(item, state=FREE) if item.state == UNSHIPPED else item


def tombstone(item: Item, why: str, now_ns: int) -> dict[str, Any]:
    """Return what is written down of a segment that was deleted."""
    return {
        "time_ns": now_ns, "device_id": item.recording_id, "stream": "segments", "what": item.filename,
        "first": item.seq, "last": item.seq, "first_ns": item.first_ns, "last_ns": item.last_ns,
        "rows": item.rows, "size_bytes": item.size_bytes, "reason": why, "sha256": item.sha256,
    }  # fmt: skip


def by_recording(items: Iterable[Item]) -> dict[str, list[Item]]:
    """Return segments by the recording that they are of."""
    found: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        found[item.recording_id].append(item)
    return dict(found)
