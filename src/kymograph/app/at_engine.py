"""What retention asks of the engine, across the link: a connection for each thing that is asked."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kymograph.link.client import EngineClient
from kymograph.service.contract import Plain, RetentionService


class AtEngine:
    """A `RetentionService` in another process, which may be away: then `Unavailable` is raised."""

    def __init__(self, data: Path) -> None:
        """Name the data folder; nothing is asked."""
        self._data = data

    def thin(self, recording_id: str, filenames: Sequence[str], reason: str) -> Plain:
        """See `RetentionService.thin`."""
        with self._engine() as engine:
            return engine.thin(recording_id, filenames, reason)

    def pin(self, recording_id: str, pinned: bool, by: str = "") -> Plain:
        """See `RetentionService.pin`."""
        with self._engine() as engine:
            return engine.pin(recording_id, pinned, by)

    def lost(self, body: Mapping[str, Any]) -> None:
        """See `RetentionService.lost`."""
        with self._engine() as engine:
            engine.lost(body)

    @contextmanager
    def _engine(self) -> Generator[RetentionService]:
        client = EngineClient(self._data)
        try:
            yield client.retention
        finally:
            client.close()
