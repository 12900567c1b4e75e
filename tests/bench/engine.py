"""What the engine costs: 10 kHz x 24 channels recorded, its memory beside rings, its start."""

from __future__ import annotations

import statistics
import time

from kymograph.store.reader import RecordingReader
from tests.bench.station import cpu_share, measured
from tests.bench.table import Line, below
from tests.running import until

SECONDS = 15.0


def run() -> list[Line]:
    return [*recording(), start(), front()]


def recording() -> list[Line]:
    with measured(10_000, 24) as station:
        acquiring = cpu_share(station.engine, 5.0)
        begun = station.call("POST", "/v1/recordings", {"name": "bench"})
        busy = cpu_share(station.engine, SECONDS)
        resident_mb = station.engine.memory_info().rss / 2**20
        rings_mb = station.call("GET", "/v1/station")["ring_bytes"] / 2**20
        lost = station.call("GET", f"/v1/recordings/{begun['id']}")["rows_lost"]
        station.call("POST", f"/v1/recordings/{begun['id']}/stop")
        return [
            Line("engine, 10 kHz x 24 acquired", acquiring, "% of a core"),
            below("engine, 10 kHz x 24 recorded", busy, "% of a core", 10.0),
            below("rows lost meanwhile", lost, "rows", 0),
            below("engine resident, rings apart", resident_mb - rings_mb, "MiB", 60.0),
            Line("serve to dashboard answering", station.ready_s, "s"),
        ]


def start() -> Line:
    """From the start of the process to the first recorded row, with a recording to be continued."""
    with measured(10_000, 24, '[recording]\nafter_crash = "continue"\n') as station:
        begun = station.call("POST", "/v1/recordings", {"name": "bench"})
        time.sleep(2.0)
        station.kill_engine()
        began_ns = time.time_ns()
        station.start()
        time.sleep(1.5)
        station.call("POST", f"/v1/recordings/{begun['id']}/stop")
        [path] = (station.data / "recordings").iterdir()
        first_ns = next(b.first_ns for b in RecordingReader(path).blocks("gen") if b.first_ns > began_ns)
        return below("engine start to first recorded row", (first_ns - began_ns) / 1e9, "s", 1.5)


def front() -> Line:
    """From SIGKILL of the front to the next one's first answer, at 10 kHz x 24."""
    with measured(10_000, 24) as station:
        seconds: list[float] = []
        for _ in range(5):
            process = until(station.front, what="a front")
            began = time.monotonic()
            process.kill()
            until(lambda pid=process.pid: (new := station.front()) and new.pid != pid, what="a new front")
            until(station.answers, what="an answer")
            seconds.append(time.monotonic() - began)
        return below("front back after a kill, median of 5", statistics.median(seconds), "s", 3.0)
