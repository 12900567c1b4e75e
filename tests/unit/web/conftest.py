"""A station in memory, for tests that say exactly which rows come when: real rings, no devices, no disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import numpy as np
import pytest

from kymograph.acquire.ring import Ring, RingView
from kymograph.config import WebTable
from kymograph.model.block import Block, Rows
from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import NotFound
from kymograph.service.history import RingHistory
from kymograph.service.keys import KeyStore
from kymograph.web.auth import Guard
from kymograph.web.live.hub import Hub
from tests.unit.web.house import House
from tests.unit.web.live_house import LiveHouse

STREAM = Stream("s", (Channel("a", "float32", "m"), Channel("n", "int32")), 100.0)


class Listening:
    """A subscription that can be ended."""

    def __init__(self, undo: Callable[[], None]) -> None:
        self.close = undo


class Idle:
    """Control that nobody has, of a station that was told something once."""

    def status(self) -> dict[str, Any]:
        commands = [{"id": "c", "state": "verified", "time_ns": 1_700_000_000 * 10**9}]
        return {"stopped": False, "lease": None, "commands": commands}


class MemoryStation(RingHistory):
    """The engine's service with one stream `s`, whose blocks a test makes."""

    def __init__(self, capacity: int = 10_000) -> None:
        self.ring = Ring(STREAM, capacity)
        self.sinks: list[Any] = []
        self.callbacks: list[Callable[[dict[str, Any]], None]] = []
        self.epoch = 1000
        self.seq = 0
        self.time_ns = 1_000_000_000

    def make(self, rows: int = 10, missing: int = 0, deliver: bool = True) -> Block:
        """Make the next block: column `a` counts rows, NaN every 7th; `n` is the seq."""
        self.seq += missing
        seq = np.arange(self.seq, self.seq + rows)
        times = self.time_ns + 10_000_000 * np.arange(rows)
        values = np.where(seq % 7 == 6, np.nan, seq.astype(np.float32))
        block = Block.pack(STREAM, self.epoch, self.seq, Rows("s", times, [values, seq.astype(np.int32)]))
        self.seq += rows
        self.time_ns += 10_000_000 * rows
        self.ring.put(block)
        for sink in self.sinks if deliver else ():
            sink.put(block)
        return block

    def begin_epoch(self) -> None:
        self.epoch += 1
        self.seq = 0

    def happen(self, kind: str) -> None:
        for callback in self.callbacks:
            callback({"id": "e1", "time_ns": 5, "source": "test", "kind": kind, "body": {}, "revision": 0})

    # -- the service -------------------------------------------------------------------------------------
    def ring_view(self, stream: str) -> RingView:
        if stream != "s":
            raise NotFound("there is no stream of that name")
        return self.ring.view()

    def streams(self) -> list[dict[str, Any]]:
        return [
            {**STREAM.to_dict(), "instrument": "i", "epoch": self.epoch, "next_seq": self.seq, "ring": {}}
        ]

    def station(self) -> dict[str, Any]:
        disk = {"state": "ok", "free_bytes": 1, "total_bytes": 2}
        return {"name": "t", "id": "x", "version": "0", "now_ns": 1, "disk": disk}

    def instruments(self) -> list[dict[str, Any]]:
        return [{"name": "i", "state": "acquiring"}]

    def recorders(self) -> list[dict[str, Any]]:
        return []

    @property
    def control(self) -> Any:
        return Idle()

    def subscribe(self, streams: Sequence[str], sink: Any) -> Listening:
        for name in streams:
            self.ring_view(name)
        self.sinks.append(sink)
        return Listening(lambda: self.sinks.remove(sink))

    def on_event(self, callback: Callable[[dict[str, Any]], None]) -> Listening:
        self.callbacks.append(callback)
        return Listening(lambda: self.callbacks.remove(callback))


class Listener:
    """The far end of a live client: keeps what was sent, decoded; may be told to take nothing."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.raw: list[str | bytes] = []
        self.taking = asyncio.Event()
        self.taking.set()

    async def send(self, message: str | bytes) -> None:
        await self.taking.wait()
        self._hear(message)

    def send_now(self, message: str | bytes) -> bool:
        if self.taking.is_set():
            self._hear(message)
        return self.taking.is_set()

    def _hear(self, message: str | bytes) -> None:
        self.raw.append(message)
        kind = msgspec.json if isinstance(message, str) else msgspec.msgpack
        self.heard.append(kind.decode(message))

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        return [message for message in self.heard if message["type"] in kinds]

    def ranges(self) -> list[tuple[int, int, int]]:
        return [(m["epoch"], m["seq_from"], m["seq_to"]) for m in self.of("data")]


async def until(condition: Callable[[], object], what: str = "", timeout_s: float = 5.0) -> None:
    """Wait until something is true."""
    try:
        async with asyncio.timeout(timeout_s):
            while not condition():
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"not within {timeout_s} s: {what or condition}") from None


@pytest.fixture
def memory_station() -> MemoryStation:
    return MemoryStation()


@pytest.fixture
def make_station() -> type[MemoryStation]:
    return MemoryStation


@pytest.fixture
def make_listener() -> type[Listener]:
    return Listener


@pytest.fixture
def wait_until() -> Callable[..., Awaitable[None]]:
    return until


@pytest.fixture
def decode_columns() -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """Decode a msgpack data message's columns into arrays."""

    def array(column: Any) -> Any:
        if isinstance(column, list):
            return np.array([np.nan if v is None else v for v in column])
        if "dtype" in column:
            return np.frombuffer(column["data"], column["dtype"])
        return {key: array(value) for key, value in column.items()}

    return lambda message: {name: array(column) for name, column in message["columns"].items()}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[House]:
    made = House(tmp_path_factory.mktemp("house") / "data")
    yield made
    made.close()


@pytest.fixture(scope="module")
def recording(house: House) -> dict[str, Any]:
    """An ended recording of about a thousand rows."""
    began = house.ask("POST", "/v1/recordings", json={"name": "first", "metadata": {"by": "anna"}})
    assert began.status_code == 201, began.text
    deadline = asyncio.run(_rows(house, began.json()["id"], 1100))
    assert deadline
    ended = house.ask("POST", f"/v1/recordings/{began.json()['id']}/stop")
    assert ended.status_code == 200, ended.text
    return ended.json()


async def _rows(house: House, id: str, rows: int) -> bool:
    async with asyncio.timeout(20):
        while True:
            (one,) = [r for r in house.station.recorders() if r["recording_id"] == id]
            if one["rows"] >= rows:
                return True
            await asyncio.sleep(0.02)


@pytest.fixture
def live_house(memory_station: Any, make_listener: Any, tmp_path: Any) -> Callable[[], Any]:
    @asynccontextmanager
    async def open_house(engine: Any = memory_station) -> AsyncGenerator[LiveHouse]:
        hub = Hub(engine, Guard(WebTable(), KeyStore(tmp_path / "keys.json")))
        await hub.start()
        made = LiveHouse(hub, engine, make_listener)
        try:
            yield made
        finally:
            for task in made.running:
                task.cancel()
            await hub.stop()

    return open_house
