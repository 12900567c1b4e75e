"""The front, killed at random moments while the engine records: not a row is missing anywhere."""

import random
import threading
import time

import msgspec
import numpy as np
import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from tests.recorded import counters
from tests.running import RunningStation, generator, until

RATE_HZ = 10_000


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
