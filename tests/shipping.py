"""An outbox in memory, and a pusher that a test moves by hand."""

from __future__ import annotations

import functools
import hashlib
import json
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kymograph.config.shipping import DestinationTable
from kymograph.model.ranges import Ranges
from kymograph.sync.pusher.pusher import Places, Pusher
from kymograph.sync.pusher.pushers import made_hub

EPOCH = 1_700_000_000_000_000_000
MINUTE_NS = 60_000_000_000
START_NS = 1_772_359_200_000_000_000


@dataclass(frozen=True, slots=True)
class Extent:
    stream: str
    epoch: int
    first: int
    next: int
    newest_ns: int | None
    rows: int


@dataclass(frozen=True, slots=True)
class Batch:
    stream: str
    epoch: int
    first: int
    last: int
    rows: int
    body: bytes
    sha256: str


def _alone(method: Any) -> Any:
    @functools.wraps(method)
    def locked(self: Any, *args: Any) -> Any:
        with self._guard:
            return method(self, *args)

    return locked


class MemoryOutbox:
    """What outlives a pusher: the rows, and what each destination has acknowledged."""

    def __init__(self, epoch: int = EPOCH) -> None:
        self._guard = threading.RLock()
        self.epoch = epoch
        self.rows: dict[str, dict[int, dict[str, Any]]] = {"readings": {}, "events": {}, "segments": {}}
        self.next = {"readings": 1, "events": 1, "segments": 1}
        self.shipped: dict[tuple[str, str], Ranges] = {}
        self.files: dict[str, Path] = {}

    @_alone
    def _add(self, stream: str, row: dict[str, Any]) -> int:
        seq = self.next[stream]
        self.next[stream] += 1
        self.rows[stream][seq] = {"seq": seq, **row}
        return seq

    def read(self, count: int = 1) -> None:
        """Make readings, a minute apart."""
        for _ in range(count):
            at = START_NS + self.next["readings"] * MINUTE_NS
            payload = {"bme280": {"temperature": {"c": 21.5, "f": 70.7}, "pressure": {"hpa": 1006.53}}}
            self._add(
                "readings",
                {"device_id": "pi-7", "time_ns": at, "local_ns": at + 60 * MINUTE_NS, "payload": payload},
            )

    def happen(self, count: int = 1) -> None:
        """Make events."""
        for _ in range(count):
            at = START_NS + self.next["events"] * MINUTE_NS
            event = {"id": f"e{self.next['events']}", "time_ns": at, "source": "recorder", "kind": "mark"}
            self._add("events", {**event, "body": {}, "revision": 0, "recording_id": None})

    def seal(self, path: Path, data: bytes) -> str:
        """Make a sealed file; return its hash."""
        path.write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        self.files[sha256] = path
        facts = {"recording_id": "r", "filename": path.name, "sha256": sha256, "size_bytes": len(data)}
        self._add("segments", {**facts, "first_ns": START_NS, "last_ns": START_NS + MINUTE_NS})
        return sha256

    def thin(self, stream: str, *seqs: int) -> None:
        """Delete rows."""
        for seq in seqs:
            self.rows[stream].pop(seq, None)

    @_alone
    def extents(self) -> list[Extent]:
        found: list[Extent] = []
        for stream, rows in self.rows.items():
            first = min(rows, default=self.next[stream])
            newest = rows[max(rows)].get("time_ns") if rows else None
            found.append(Extent(stream, self.epoch, first, self.next[stream], newest, len(rows)))
        return found

    @_alone
    def batch(self, stream: str, first: int, last: int, limit: int) -> Batch | None:
        seqs = [seq for seq in sorted(self.rows[stream]) if first <= seq <= last][:limit]
        if not seqs:
            return None
        body = b"".join(json.dumps(self.rows[stream][seq]).encode() + b"\n" for seq in seqs)
        return Batch(
            stream, self.epoch, first, seqs[-1], len(seqs), body, hashlib.sha256(body).hexdigest()
        )  # fmt: skip

    @_alone
    def unshipped(self, destination: str, stream: str) -> Ranges:
        there = Ranges([(min(self.rows[stream], default=1), self.next[stream] - 1)])
        return there - self.shipped.get((destination, stream), Ranges())

    @_alone
    def acknowledge(self, destination: str, stream: str, epoch: int, first: int, last: int) -> None:
        assert epoch == self.epoch
        known = self.shipped.get((destination, stream), Ranges())
        self.shipped[destination, stream] = known | Ranges([(first, last)])

    @_alone
    def forget_acknowledged(self, destination: str, stream: str, epoch: int, held: Ranges) -> None:
        assert epoch == self.epoch
        self.shipped[destination, stream] = self.shipped.get((destination, stream), Ranges()) & held

    def file(self, sha256: str) -> Path | None:
        return self.files.get(sha256)

    def owed(self, destination: str, stream: str) -> int:
        """Return how many rows a destination has not acknowledged."""
        return self.unshipped(destination, stream).count


class MemoryShelf:
    """Keeps what a hub will never take."""

    def __init__(self) -> None:
        self.kept: list[tuple[str, int, int, str, bytes]] = []

    def put(self, stream: str, epoch: int, first: int, last: int, reason: str, body: bytes) -> None:
        self.kept.append((stream, first, last, reason, body))

    def ranges(self, stream: str, epoch: int) -> Ranges:
        return Ranges((first, last) for name, first, last, _, _ in self.kept if name == stream)


def pusher(url: str, outbox: MemoryOutbox, shelf: MemoryShelf | None = None, **table: Any) -> Pusher:
    """Return a pusher to `hub`; another one of the same outbox is a restart."""
    made = DestinationTable(url=url, **table)
    hub, wire = made_hub(made, "pi-7", dict)
    one = Pusher("hub", made, hub, wire, Places(outbox, shelf or MemoryShelf()))
    one.look_s = 0.0
    return one


def drain(one: Pusher, turns: int = 10_000) -> None:
    """Connect, and go on until there is nothing left to do."""
    one.connect()
    for _ in range(turns):
        if one.turn() > 0:
            return
    raise AssertionError("there is always something to do")
