"""Who mirrors whom: what is mirrored into this data folder, and who said that they mirror one of ours."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from kymograph.model.errors import Corrupt, NotFound
from kymograph.store.completeness import read_source
from kymograph.store.recording_folder import RecordingFolder, all_recordings

SILENT_NS: Final = 600 * 1_000_000_000
"""A mirror that was not heard of for so long is no longer told of."""
MIRRORS_MAX: Final = 256
"""Remembered: some hundred bytes each."""

Plain = dict[str, Any]


def held_mirrors(data: Path) -> list[Plain]:
    """Return the recordings of other stations that are mirrored into a data folder, newest first."""
    found: list[Plain] = []
    if not (data / "recordings").is_dir():
        return found
    for folder in all_recordings(data / "recordings"):
        source = read_source(folder.path)
        if source is None:
            continue
        try:
            found.append(_held(folder, source))
        except (NotFound, Corrupt, OSError):
            continue
    return found[::-1]


def _held(folder: RecordingFolder, source: Plain) -> Plain:
    there = set(os.listdir(folder.path))  # noqa: PTH208 - names only
    held = sum(segment.filename in there for segment in folder.manifest()[0])
    expected = len(source["segments"])
    state = str(source.get("state"))
    return {
        **{key: str(source.get(key) or "") for key in ("recording_id", "station", "url", "error")},
        "name": folder.recording().name, "held": held, "expected": expected,
        "state": "partial" if state == "whole" and held < expected else state,
        "last_contact_ns": source.get("last_contact_ns") or 0,
    }  # fmt: skip


class MirrorRegister:
    """What mirrors said of themselves, not kept over a restart: they say it again. Any thread may use it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._heard: dict[tuple[str, str], Plain] = {}

    def hear(self, recording_id: str, name: str, told: Mapping[str, Any], now_ns: int) -> None:
        """Remember how far a mirror is; the one silent for longest makes room."""
        with self._guard:
            self._heard.pop((recording_id, name), None)
            self._heard[recording_id, name] = {**told, "name": name, "heard_ns": now_ns}
            if len(self._heard) > MIRRORS_MAX:
                del self._heard[next(iter(self._heard))]

    def of(self, recording_id: str, now_ns: int) -> list[Plain]:
        """Return who mirrors a recording, last heard first."""
        with self._guard:
            return [
                told
                for (id, _), told in reversed(self._heard.items())
                if id == recording_id and told["heard_ns"] > now_ns - SILENT_NS
            ]
