"""The fast path whole: 10 kHz x 24 from the wire to journal, ring and 20 clients; 100 kHz x 8 beside it.

The simulated controller is a process of its own behind a pseudo-terminal; the clients are another. What is
counted is processor time, of engine and front each, whatever else the machine does meanwhile.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import psutil

from kymograph.store.reader import RecordingReader
from tests.bench.station import STAND
from tests.bench.table import Line, below
from tests.bench.ws_clients import Found, Wish, ask
from tests.running import RunningStation, generator, until

CLIENTS, DEAF = 10, 10
SETTLE_S = 2.0
SECONDS = 20.0
LONG_S = 30.0
RING = "[ring]\nseconds = 600\nbytes_max = 640000000\n"


class Share:
    """What a process takes of one core from now on, in percent."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        self._before, self._began_s = self._spent(), time.monotonic()

    def _spent(self) -> float:
        return sum(self._process.cpu_times()[:2])

    def percent(self) -> float:
        return 100 * (self._spent() - self._before) / (time.monotonic() - self._began_s)


def run() -> list[Line]:
    return [*stand(), *hundred()]


def stand() -> list[Line]:
    with tempfile.TemporaryDirectory(dir=".", prefix="bench-") as folder:
        with RunningStation(Path(folder), STAND, RING) as station:
            until(lambda: rows_in_ring(station, "stand") > 10_000, what="rows")
            begun = station.call("POST", "/v1/recordings", {"name": "bench", "pre_s": 0.5})
            found, engine, front = with_clients(station, "stand")
            ring_bytes = station.call("GET", "/v1/station")["ring_bytes"]
            lost = station.call("GET", f"/v1/recordings/{begun['id']}")["rows_lost"]
            station.call("POST", f"/v1/recordings/{begun['id']}/stop", timeout_s=60)
            holes, rate_hz = judge(station, "stand")
    what = f"10 kHz x 24 from the wire, {CLIENTS + DEAF} clients"
    return [
        below(f"{what}: engine", engine, "% of a core", 8.0),
        below(f"{what}: front", front, "% of a core", 10.0),
        below(f"{what}: rows lost, holes", lost + holes, "rows", 0),
        Line(f"{what}: rows recorded", rate_hz, "rows/s"),
        Line(f"{what}: sample to client, p50", found.p50_ms, "ms"),
        below(f"{what}: sample to client, p99", found.p99_ms, "ms", 10.0),
        Line(f"{what}: memory of the ring", ring_bytes / 1e6, "MB"),
    ]


def with_clients(station: RunningStation, stream: str) -> tuple[Found, float, float]:
    """Return what clients that read found, and what engine and front took meanwhile."""
    front = station.front()
    assert front is not None
    subscribe = {"type": "subscribe", "id": "a", "streams": [stream], "encoding": "msgpack"}
    wish = Wish(
        int(station.url.rpartition(":")[2]), "/v1/live", [{"type": "hello"}, subscribe],
        clients=CLIENTS, deaf=DEAF, settle_s=SETTLE_S, seconds=SECONDS,
    )  # fmt: skip
    found = ask(wish)
    time.sleep(SETTLE_S)
    engine, presented = Share(station.engine), Share(front)
    time.sleep(SECONDS - SETTLE_S)
    taken = engine.percent(), presented.percent()
    return found(), *taken


def hundred() -> list[Line]:
    """100 kHz x 8 channels, recorded, with nobody looking."""
    with tempfile.TemporaryDirectory(dir=".", prefix="bench-") as folder:
        instruments = generator(100_000, 8)
        with RunningStation(Path(folder), instruments, RING) as station:
            until(lambda: rows_in_ring(station, "gen") > 100_000, what="rows")
            begun = station.call("POST", "/v1/recordings", {"name": "bench"})
            share = Share(station.engine)
            time.sleep(LONG_S)
            engine = share.percent()
            lost = station.call("GET", f"/v1/recordings/{begun['id']}")["rows_lost"]
            station.call("POST", f"/v1/recordings/{begun['id']}/stop", timeout_s=60)
            holes, _ = judge(station, "gen")
    return [
        below("100 kHz x 8 recorded: engine", engine, "% of a core", 30.0),
        below("100 kHz x 8 recorded: rows lost, holes", lost + holes, "rows", 0),
    ]


def rows_in_ring(station: RunningStation, stream: str) -> int:
    streams = station.call("GET", "/v1/streams")["items"]
    return next(one["ring"]["rows"] for one in streams if one["name"] == stream)


def judge(station: RunningStation, stream: str) -> tuple[int, float]:
    """Return the rows that are missing in the recording, and how many there are a second."""
    [path] = (station.data / "recordings").iterdir()
    first = RecordingReader(path).stream(stream).channel_names[:1]
    rows = missing = 0
    next_seq, first_ns, last_ns = -1, 0, 0
    for block in RecordingReader(path).blocks(stream, channels=first):
        first_ns, last_ns = first_ns or block.first_ns, block.last_ns
        missing += block.seq - next_seq if next_seq >= 0 else 0
        next_seq = block.seq + block.rows
        rows += block.rows
    return missing, rows / ((last_ns - first_ns) / 1e9)
