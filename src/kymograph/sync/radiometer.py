"""A server of the Q_Sensor_API as the source of a mirror: ours, or an original one.

It has no list of its sessions: the one that is recording is known, those that are held in part, and those
that are asked for. Chunks have no row numbers; rows are numbered from 0 in the order of the chunks.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Final, cast
from urllib.parse import quote, urlsplit

from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import KymographError, NotFound
from kymograph.model.names import safe_name
from kymograph.model.recording import RECORDING, Recording, Run, Segment
from kymograph.sync.source import Offer, OpenFile, readable
from kymograph.sync.transfer import Away, Pieces, Transfer

MODES: Final = ("freerun", "polled")
STREAM: Final = Stream(
    "sensor",
    (
        Channel("value", "float64"),
        Channel("temperature", "float64", "Cel"),
        Channel("voltage", "float64", "V"),
        Channel("mode", "uint8", labels=MODES),
    ),
)
SPELLING: Final[Mapping[str, Any]] = {
    "spelling": {
        "time": "timestamp",
        "channels": {"temperature": "TempC", "voltage": "Vin"},
        "labels": ["mode"],
    }
}


class Radiometer:
    """Asks `/record` and `/files`."""

    kind = "radiometer"

    def __init__(self, transfer: Transfer) -> None:
        self.url = transfer.url
        self.station = safe_name("".join(c if c.isalnum() else "-" for c in urlsplit(self.url).netloc))
        self.station_id = self.station
        self._transfer = transfer

    def ids(self, wanted: Collection[str], known: Collection[str]) -> list[str]:
        """See `Source.ids`."""
        current = self._status().get("session_id")
        ids = [*wanted] if wanted else [*known, *([str(current)] if current else [])]
        return list(dict.fromkeys(ids))

    def _status(self, id: str = "") -> dict[str, Any]:
        query = {"session_id": id} if id else {}
        try:
            told: Any = self._transfer.get("/record/status", **query).json()
        except Away:
            raise
        except KymographError:
            return {}
        return cast("dict[str, Any]", told) if isinstance(told, dict) else {}

    def offer(self, id: str) -> Offer:
        """See `Source.offer`."""
        with readable(self.url):
            return self._offer(id, self._status(id))

    def _offer(self, id: str, status: Mapping[str, Any]) -> Offer:
        running = bool(status.get("is_recording")) or status.get("state") == RECORDING
        told: Any = self._transfer.get("/record/snapshots", session_id=id).json()
        chunks = cast("Sequence[Mapping[str, Any]]", told["chunks"] if isinstance(told, dict) else told)
        started = _started(chunks)
        recording = Recording(
            id, f"session-{id[:8]}", (STREAM,), _format(chunks), 60.0, started,
            None if running else max(_times(chunks), default=started), RECORDING if running else "stop",
            file_stem="chunk", format_options=SPELLING if _format(chunks) == "jsonl" else {},
            origin={"url": self.url},
        )  # fmt: skip
        return Offer(recording, running, tuple(_segments(chunks, started)))

    def open_files(self, id: str) -> list[OpenFile]:
        """See `Source.open_files`: it has none that could be asked for."""
        del id
        return []

    def small(self, id: str, filename: str) -> bytes:
        """See `Source.small`."""
        raise NotFound(f"{id} has no {filename}")

    def fetch(self, id: str, filename: str, offset: int, tag: str) -> AbstractContextManager[Pieces | None]:
        """See `Source.fetch`."""
        return self._transfer.open(f"/files/{quote(id, safe='')}/{quote(filename, safe='')}", offset, tag)

    def report(self, id: str, told: Mapping[str, Any]) -> None:
        """See `Source.report`: it does not want to know."""
        del id, told


def _format(chunks: Sequence[Mapping[str, Any]]) -> str:
    return "csv" if chunks and _name(chunks[0]).endswith(".csv") else "jsonl"


def _name(chunk: Mapping[str, Any]) -> str:
    return str(chunk.get("filename") or chunk["name"])


def _started(chunks: Sequence[Mapping[str, Any]]) -> int:
    return min(_times(chunks), default=time.time_ns())


def _times(chunks: Sequence[Mapping[str, Any]]) -> list[int]:
    return [_time_ns(chunk.get("created_at")) for chunk in chunks]


def _time_ns(created: object) -> int:
    """Return when a chunk was made: ISO 8601, or seconds since 1970 as one version has it."""
    if isinstance(created, int | float):
        return int(created * 1e9)
    try:
        moment = datetime.fromisoformat(str(created).replace("Z", "+00:00"))
    except ValueError:
        return time.time_ns()
    return int(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1e9)


def _segments(chunks: Sequence[Mapping[str, Any]], epoch_ns: int) -> list[Segment]:
    found: list[Segment] = []
    seq, epoch = 0, epoch_ns // 1_000_000
    for chunk in sorted(chunks, key=lambda one: int(one["index"])):
        rows = int(chunk.get("row_count") or chunk.get("rows") or 0)
        at_ns = _time_ns(chunk.get("created_at"))
        found.append(
            Segment(
                STREAM.name, int(chunk["index"]), safe_name(_name(chunk), "chunk's name"), rows,
                int(chunk["size_bytes"]), str(chunk["sha256"]), at_ns, at_ns, at_ns, (Run(0, epoch, seq),),
            )
        )  # fmt: skip
        seq += rows
    return found
