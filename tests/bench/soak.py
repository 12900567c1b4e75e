"""The soak: an hour of a test stand at 10 kHz x 24 from the wire, recorded, with 20 clients of which 10 never
read; then some minutes of 100 kHz x 8.

    python -m tests.bench.soak                                  the whole
    python -m tests.bench.soak --minutes 3 --fast-minutes 1     to see that it works

Nothing may grow: memory, threads and descriptors of engine and front are in the last tenth where they were
in the second (of a run of some minutes they are not yet: caches fill, allocators settle). Nothing may be
missing: neither a row of the recording, each judged by its number and its value, nor one that a client should
have had. The controller holds 64 KiB, 130 ms, while nobody reads: a machine that is busy otherwise makes it
lose rows.
"""

from __future__ import annotations

import argparse
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import psutil
from websockets.sync.client import ClientConnection, connect

from kymograph.store.reader import RecordingReader
from tests.running import RunningStation, generator, until

CLIENTS, DEAF = 20, 10
DEAF_S = 60.0
MEMORY_GROWTH_MAX = 1.10
"""Of a process's own bytes in the second tenth: what allocators may keep, not what leaks."""


WIRE = """
[instruments.stand]
driver = "stm32"
port = "sim://stm32?protocol=frames&rate_hz=10000&batch=10&pace_ms=2&ramp=1"
[instruments.stand.options]
protocol = "frames"
rate_hz = 10000
batch = 10
link = "usb"
block_s = 0.004
"""
"""The controller sends a ramp, by which each sample can be told."""


@dataclass(frozen=True)
class Source:
    """What is recorded. By the value of its first channel each row can be told; it begins anew at `turn`."""

    stream: str
    instruments: str
    channel: str
    scale: float = 1.0
    offset: float = 0.0
    turn: int = 0

    def numbers(self, values: np.ndarray) -> np.ndarray:
        """Return the numbers that rows have by their values."""
        return np.rint((values.astype(np.float64) - self.offset) / self.scale).astype(np.int64)


STAND = Source("stand", WIRE, "P1", 0.001, -1.0, 65_536)
HUNDRED = Source("gen", generator(100_000, 8), "counter")


class Watcher:
    """Reads what comes and counts what the front had to leave out for it."""

    def __init__(self) -> None:
        self.rows = self.dropped = 0

    def take(self, message: bytes | str) -> None:
        if isinstance(message, bytes) and (told := msgspec.msgpack.decode(message))["type"] == "data":
            self.rows += told["seq_to"] - told["seq_from"]
            self.dropped += told["dropped"]


def follow(url: str, stream: str, deaf: bool, watcher: Watcher | None = None) -> ClientConnection:
    """Subscribe to everything; a deaf client asks and never reads."""
    # No pings: that the deaf are cut off is the station's doing, not this library's.
    address = url.replace("http", "ws") + "/v1/live"
    client = connect(address, compression=None, max_size=None, ping_interval=None, legacy=True)
    client.send('{"type": "hello"}')
    client.recv()
    client.send(f'{{"type": "subscribe", "id": "a", "streams": ["{stream}"], "encoding": "msgpack"}}')
    take = watcher.take if watcher is not None else lambda _: None
    if deaf:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    else:
        threading.Thread(target=lambda: [take(message) for message in client], daemon=True).start()
    return client


@contextmanager
def deafness(url: str, stream: str) -> Iterator[None]:
    """Have clients that never read, and as many new ones each minute: the station cuts them off."""
    ended = threading.Event()

    def come_and_go() -> None:
        while not ended.is_set():
            deaf = [follow(url, stream, True) for _ in range(DEAF)]
            ended.wait(DEAF_S)
            for client in deaf:
                client.socket.close()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    yield
    ended.set()
    thread.join()


def weigh(processes: list[psutil.Process]) -> list[int]:
    """Return bytes of its own, threads and descriptors of each process, in a row.

    The ring is not among these bytes: it is shared, of a fixed size, and becomes resident as it is touched.
    """
    return [n for p in processes for n in (p.memory_full_info().uss, p.num_threads(), p.num_fds())]


def judge(weights: list[list[int]], names: list[str]) -> list[str]:
    """Return what has grown from the second tenth of the run to the last.

    Each is taken at its highest, as clients that never read come and go.
    """
    tenth = max(len(weights) // 10, 1)
    first, last = (np.max(part, axis=0) for part in (weights[tenth : 2 * tenth], weights[-tenth:]))
    grown: list[str] = []
    for name, before, after in zip(names, first.tolist(), last.tolist(), strict=True):
        bound = before * MEMORY_GROWTH_MAX if name.endswith("memory") else before
        if after > bound:
            grown.append(f"{name} grew from {before} to {after}")
    return grown


def soak(source: Source, minutes: float) -> list[str]:
    """Run for so long and return what was wrong."""
    with tempfile.TemporaryDirectory(dir=".", prefix="bench-") as folder:
        station = RunningStation(Path(folder), source.instruments, "[ring]\nbytes_max = 16777216\n")
        with station:
            until(lambda: station.call("GET", "/v1/streams")["items"][0]["ring"]["rows"], what="rows")
            recording = station.call("POST", "/v1/recordings", {"name": "soak", "pre_s": 1})
            watcher = Watcher()
            hearing = [
                follow(station.url, source.stream, False, watcher if i == 0 else None)
                for i in range(CLIENTS - DEAF)
            ]
            front = station.front()
            assert front is not None
            with deafness(station.url, source.stream):
                weights = watch([station.engine, front], minutes)
            for client in hearing:
                client.socket.close()
            ended = station.call("POST", f"/v1/recordings/{recording['id']}/stop", timeout_s=120)
        names = [f"{p} {what}" for p in ("engine", "front") for what in ("memory", "threads", "descriptors")]
        wrong = judge(weights, names)
        if watcher.dropped or not watcher.rows:
            wrong.append(f"a client that reads got {watcher.rows} rows and was denied {watcher.dropped}")
        [path] = (station.data / "recordings").iterdir()
        return wrong + holes(source, path, ended["rows"])


def watch(processes: list[psutil.Process], minutes: float) -> list[list[int]]:
    weights: list[list[int]] = []
    until = time.monotonic() + minutes * 60
    while time.monotonic() < until:
        time.sleep(min(10.0, minutes * 6))
        weights.append(weigh(processes))
        shown = [f"{n / 2**20:.1f} MiB" if i % 3 == 0 else str(n) for i, n in enumerate(weights[-1])]
        print(f"{(until - time.monotonic()) / 60:6.1f} min left   {'  '.join(shown)}", flush=True)
    return weights


def holes(source: Source, path: Path, rows: int) -> list[str]:
    """Return what is missing or wrong in a recording, row by row."""
    seen = missing = gaps = strange = 0
    next_seq = next_number = 0
    for block in RecordingReader(path).blocks(source.stream, channels=[source.channel]):
        numbers = source.numbers(block.columns()[0])
        jump = block.seq - next_seq if seen else 0
        missing, gaps = missing + jump, gaps + bool(jump)
        steps = np.diff(numbers, prepend=next_number + jump - 1 if seen else numbers[0] - 1)
        strange += int(((steps % source.turn if source.turn else steps) != 1).sum())
        next_seq, next_number = block.seq + block.rows, int(numbers[-1]) + 1
        seen += block.rows
    wrong = [f"{missing} rows are missing, in {gaps} places"] if missing else []
    wrong += [f"{strange} values are wrong"] if strange else []
    return wrong + ([f"{rows} rows were told, {seen} are there"] if seen != rows else [])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0, help="of 10 kHz x 24 from the wire")
    parser.add_argument("--fast-minutes", type=float, default=5.0, help="of 100 kHz x 8")
    given = parser.parse_args()
    wrong: list[str] = []
    for source, minutes in ((STAND, given.minutes), (HUNDRED, given.fast_minutes)):
        if minutes > 0:
            print(
                f"{source.stream}, {minutes:g} min: engine's and front's memory, threads, descriptors",
                flush=True,
            )
            wrong += soak(source, minutes)
    print("\n".join(wrong) or "nothing grew, nothing is missing")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
