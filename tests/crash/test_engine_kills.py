"""The engine, killed at random moments while it records: what was acknowledged is there."""

import random
import threading
import time
from http.client import HTTPException

import numpy as np
import pytest

from kymograph.store.verify import verify
from tests.recorded import counters
from tests.running import RunningStation, generator

FLUSH_S = 1.0
RATE_HZ = 10_000


class Watch:
    """Notes, as a client would, how far the recording says that it is durable and how far it has got."""

    def __init__(self, station, recording_id):
        self._station = station
        self._path = f"/v1/recordings/{recording_id}"
        self._quit = threading.Event()
        self.durable_seq = 0
        self.next_seq = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._quit.wait(0.02):
            try:
                [stream] = self._station.call("GET", self._path, timeout_s=2)["durable"]
            except (OSError, ValueError, TypeError, HTTPException):
                continue
            self.durable_seq = max(self.durable_seq, stream["durable_seq"])
            self.next_seq = max(self.next_seq, stream["next_seq"])

    def close(self):
        self._quit.set()
        self._thread.join()


def kill_engine_once(station, rng):
    recording = station.call("POST", "/v1/recordings", {"name": "night", "segment_interval_s": 1})
    watch = Watch(station, recording["id"])
    time.sleep(rng.uniform(0.0, 2.5))
    station.kill_engine()
    watch.close()
    station.start()
    ended = station.call("GET", f"/v1/recordings/{recording['id']}")
    assert ended["ended"] == "crash"
    seqs, values = counters(station, recording["id"])
    if len(seqs):
        assert (np.diff(seqs) == 1).all(), "rows are missing in the middle"
        assert (values - values[0] == seqs - seqs[0]).all(), "a row is not what it was"
    have = int(seqs[-1]) + 1 if len(seqs) else 0
    assert have >= watch.durable_seq, "an acknowledged row is gone"
    assert watch.next_seq - have <= RATE_HZ * (FLUSH_S + 0.5), "more than a second is gone"
    kinds = [
        event["kind"] for event in station.call("GET", f"/v1/recordings/{recording['id']}/events")["items"]
    ]
    assert "gap" in kinds, "the gap is not recorded"


@pytest.mark.timeout(600)
def test_25_kills_of_the_engine_lose_nothing_acknowledged(tmp_path):
    kill_engine(tmp_path, 25)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_200_kills_of_the_engine_lose_nothing_acknowledged(tmp_path):
    kill_engine(tmp_path, 200)


def kill_engine(tmp_path, kills):
    rng = random.Random(7)
    with RunningStation(
        tmp_path, generator(RATE_HZ), f"[recording]\nflush_interval_s = {FLUSH_S}\n"
    ) as station:
        for _ in range(kills):
            kill_engine_once(station, rng)
        assert station.stop() == 0
    report = verify(station.data)
    assert report.ok, report
