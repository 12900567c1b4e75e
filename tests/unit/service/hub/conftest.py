"""A hub's services on a database of their own, and batches as stations make them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from kymograph.config import parse
from kymograph.service.hub.depot import Depot, open_database
from kymograph.service.hub.ingest import Incoming, Outcome
from kymograph.service.hub.ledger import Extent, Hello
from kymograph.service.hub.readings import Readings, Span

MINUTE_NS = 60_000_000_000
BEGIN_NS = 1_777_600_000_000_000_000
EPOCH = 7


def reading(seq: int, station: str = "roof", **more: Any) -> dict[str, Any]:
    at = BEGIN_NS + seq * MINUTE_NS
    payload = {"bme280": {"temperature": {"c": seq / 10}}}
    row = {"seq": seq, "device_id": station, "time_ns": at, "local_ns": at + 36_000_000_000_000}
    return {**row, "payload": payload, **more}


class RunningHub:
    """What a station does with a hub, without a network between."""

    def __init__(self, folder: Path, url: str, **hub: Any) -> None:
        config = parse(
            {"station": {"name": "hub", "data": str(folder)}, "hub": hub, "database": {"url": url}}
        )
        self.database = open_database(config)
        self.depot = Depot(config, self.database)
        self.readings = Readings(self.database)

    def put(
        self, rows: Sequence[dict[str, Any]], first: int, last: int, stream: Any = "readings", **more: Any
    ) -> Outcome:
        return self.put_body(
            b"".join(json.dumps(row).encode() + b"\n" for row in rows), first, last, stream, **more
        )

    def put_body(self, body: bytes, first: int, last: int, stream: Any = "readings", **more: Any) -> Outcome:
        told = {"station": "roof", "epoch": EPOCH, "sha256": hashlib.sha256(body).hexdigest(), **more}
        return self.depot.ingest.take(Incoming(stream=stream, first=first, last=last, body=body, **told))

    def ship(self, first: int, last: int, **more: Any) -> Outcome:
        return self.put([reading(seq) for seq in range(first, last + 1)], first, last, **more)

    def hello(self, next: int, first: int = 1, epoch: int = EPOCH, **facts: Any) -> list[list[int]]:
        told = Hello([Extent("readings", epoch, first, next, None)], facts)
        return self.depot.ledger.hello("roof", told)["streams"][0]["held"]

    def held(self) -> list[tuple[str, int]]:
        return [(one.device_id, one.time_ns) for items in self.readings.every(Span()) for one in items]

    def books(self, stream: str = "readings") -> list[dict[str, Any]]:
        return [one for one in self.depot.ledger.of("roof") if one["stream"] == stream]


@pytest.fixture
def hub(tmp_path: Path, database_url: str) -> Generator[RunningHub]:
    made = RunningHub(tmp_path / "data", database_url)
    yield made
    made.database.close()


@pytest.fixture
def small_hub(tmp_path: Path) -> Generator[RunningHub]:
    made = RunningHub(tmp_path / "data", f"sqlite:///{tmp_path / 'hub.db'}")
    yield made
    made.database.close()
