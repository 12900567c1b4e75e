"""Two hubs on one database: the database is killed, a hub's front is killed, and each row is there once."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest

from tests.postgres import Server
from tests.running import RunningStation, until

ROWS = 1200
SIZE = 40
STATIONS = ("roof", "cellar")
PATIENCE_S = 90.0

Hubs = tuple[RunningStation, RunningStation]


@pytest.fixture
def hubs(tmp_path: Path, postgres_url: str) -> Generator[Hubs]:
    tables = f'[hub]\nopen = true\n[database]\nurl = "{postgres_url}"\n'
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    with RunningStation(folders[0], "", tables) as a, RunningStation(folders[1], "", tables) as b:
        yield a, b


def batch(name: str, first: int) -> bytes:
    rows = [
        {
            "seq": seq, "device_id": name, "time_ns": 1_777_600_000_000_000_000 + seq * 1_000_000_000,
            "local_ns": 1_777_600_000_000_000_000, "payload": {"n": seq},
        }
        for seq in range(first, first + SIZE)
    ]  # fmt: skip
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


class Shipper(threading.Thread):
    """A station: ships batch after batch, by turns to either hub, each until it is answered."""

    def __init__(self, name: str, hubs: Hubs) -> None:
        super().__init__()
        self.station = name
        self.hubs = hubs
        self.answers: list[int] = []
        self.shipped = 0
        self.wrong = ""

    def run(self) -> None:
        for k, first in enumerate(range(1, ROWS + 1, SIZE)):
            deadline = time.monotonic() + PATIENCE_S
            turn = k
            while not self.wrong and not self.put(self.hubs[turn % 2], first):
                if time.monotonic() > deadline:
                    self.wrong = f"{first} was not taken"
                turn += 1
                time.sleep(0.02)
            self.shipped += 1

    def put(self, hub: RunningStation, first: int) -> bool:
        body = batch(self.station, first)
        path = f"/v1/ingest/{self.station}/readings/7/{first}-{first + SIZE - 1}"
        headers = {"x-content-sha256": hashlib.sha256(body).hexdigest()}
        try:
            answer = httpx.put(hub.url + path, content=body, headers=headers, timeout=30)
        except httpx.HTTPError:
            return False
        self.answers.append(answer.status_code)
        if answer.status_code == 503 and "retry-after" in answer.headers:
            return False
        if answer.status_code not in (200, 201):
            self.wrong = answer.text
        return True


def read(hub: RunningStation, name: str) -> list[int]:
    got, cursor = list[int](), ""
    while cursor is not None:
        page = hub.call("GET", f"/v1/readings?station={name}&limit=1000&cursor={cursor}")
        got += [one["payload"]["n"] for one in page["items"]]
        cursor = page["next"]
    return got


def test_nothing_is_lost_and_nothing_is_there_twice(hubs: Hubs, postgres: Server) -> None:
    shippers = [Shipper(name, hubs) for name in STATIONS]
    for shipper in shippers:
        shipper.start()

    def shipped() -> int:
        assert not any(one.wrong for one in shippers), [one.wrong for one in shippers]
        return sum(one.shipped for one in shippers)

    until(lambda: shipped() >= 10, PATIENCE_S, "the first batches")
    postgres.kill()
    until(lambda: any(503 in one.answers for one in shippers), PATIENCE_S, "a refusal")
    postgres.start()
    until(lambda: shipped() >= 30, PATIENCE_S, "batches after the database came back")
    front = hubs[0].front()
    assert front is not None
    front.kill()
    for shipper in shippers:
        shipper.join(2 * PATIENCE_S)
    assert shipped() == len(STATIONS) * ROWS // SIZE
    until(hubs[0].answers, PATIENCE_S, "the front again")
    for name in STATIONS:
        for hub in hubs:
            (book,) = hub.call("GET", f"/v1/fleet/{name}/ledger")["items"]
            assert (book["expected"], book["held"], book["missing"]) == (ROWS, ROWS, 0)
        assert read(hubs[1], name) == list(range(1, ROWS + 1)), "each once, in order"
