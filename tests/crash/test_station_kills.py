"""The whole station, killed at random moments while it records: what was acknowledged is there."""

import random
import threading
import time
from http.client import HTTPException

import msgspec
import numpy as np
import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from kymograph.store.reader import RecordingReader
from kymograph.store.verify import verify
from tests.running import RunningStation, generator, until

FLUSH_S = 1.0
RATE_HZ = 10_000


def counters(station, recording_id):
    """Return (seq, counter) of every recorded row, read from the folder as it is."""
    [folder] = [
        path.parent
        for path in (station.data / "recordings").glob("*/recording.json")
        if msgspec.json.decode(path.read_bytes())["id"] == recording_id
    ]
    seqs, values = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for block in RecordingReader(folder).blocks("gen"):
        seqs.append(np.arange(block.seq, block.seq + block.rows))
        values.append(block.columns()[0])
    return np.concatenate(seqs), np.concatenate(values)


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


class Follower:
    """A live client that comes back with its cursor whenever its connection breaks."""

    def __init__(self, url):
        self._url = url.replace("http", "ws") + "/v1/live"
        self._quit = False
        self.cursor = None
        self.rows = 0
        self.holes = []
        self.connections = 0
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._quit:
            try:
                with connect(self._url, compression=None, max_size=None) as socket:
                    self.connections += 1
                    self._follow(socket)
            except (OSError, TimeoutError, WebSocketException):
                time.sleep(0.05)

    def _follow(self, socket):
        socket.send('{"type": "hello"}')
        socket.recv(5)
        wanted = {"type": "subscribe", "id": "a", "streams": ["gen"], "encoding": "msgpack"}
        if self.cursor is not None:
            wanted["since"] = {"gen": list(self.cursor)}
        socket.send(msgspec.json.encode(wanted).decode())
        while not self._quit:
            message = socket.recv(5)
            if isinstance(message, str):
                continue
            data = msgspec.msgpack.decode(message)
            if data["type"] == "gap":
                self.holes.append(data)
            elif data["type"] == "data":
                self._take(data)

    def _take(self, data):
        if self.cursor is not None and (data["epoch"], data["seq_from"]) != self.cursor:
            self.holes.append((self.cursor, data["epoch"], data["seq_from"]))
        self.cursor = (data["epoch"], data["seq_to"])
        self.rows += data["seq_to"] - data["seq_from"]

    def close(self):
        self._quit = True
        self._thread.join(10)


@pytest.mark.timeout(600)
def test_25_kills_of_the_front_lose_no_row_anywhere(tmp_path):
    kill_front(tmp_path, 25)


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_200_kills_of_the_front_lose_no_row_anywhere(tmp_path):
    kill_front(tmp_path, 200)


def kill_front(tmp_path, kills):
    rng = random.Random(11)
    with RunningStation(tmp_path, generator(RATE_HZ)) as station:
        recording = station.call("POST", "/v1/recordings", {"name": "night"})
        follower = Follower(station.url)
        until(lambda: follower.rows, what="the first live row")
        for _ in range(kills):
            time.sleep(rng.uniform(0.0, 0.3))
            front = until(station.front, what="a front")
            connections, killed_at = follower.connections, time.monotonic()
            front.kill()
            until(lambda n=connections: follower.connections > n, 8, "the follower's way back")
            until(lambda pid=front.pid: station.answers() and station.front().pid != pid, 8, "the new front")
            assert time.monotonic() - killed_at < 8
        at_the_end = follower.cursor
        until(lambda: follower.cursor > at_the_end, what="a row after the last kill")
        follower.close()
        assert not follower.holes, follower.holes[:3]
        ended = station.call("POST", f"/v1/recordings/{recording['id']}/stop")
        assert ended["ended"] == "stop"
        seqs, values = counters(station, recording["id"])
        assert (np.diff(seqs) == 1).all() and (values - values[0] == seqs - seqs[0]).all()
        assert ended["rows"] == len(seqs)
        assert station.stop() == 0
