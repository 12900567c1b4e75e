"""What the engine costs: 10 kHz x 24 channels recorded, and its memory beside rings."""

from __future__ import annotations

from tests.bench.station import RunningStation, cpu_share
from tests.bench.table import Line, below

SECONDS = 15.0


def run() -> list[Line]:
    with RunningStation(10_000, 24) as station:
        idle = cpu_share(station.engine, 5.0)
        recording = station.call("POST", "/v1/recordings", {"name": "bench"})
        busy = cpu_share(station.engine, SECONDS)
        resident_mb = station.engine.memory_info().rss / 2**20
        rings_mb = station.call("GET", "/v1/station")["ring_bytes"] / 2**20
        ended = station.call("POST", f"/v1/recordings/{recording['id']}/stop")
        lost = station.call("GET", f"/v1/recordings/{ended['id']}").get("rows_lost", 0)
        return [
            Line("engine, 10 kHz x 24 acquired", idle, "% of a core"),
            below("engine, 10 kHz x 24 recorded", busy, "% of a core", 10.0),
            below("rows lost meanwhile", lost, "rows", 0),
            below("engine resident, rings apart", resident_mb - rings_mb, "MiB", 60.0),
            below("serve to dashboard answering", station.ready_s, "s", 5.0),
        ]
