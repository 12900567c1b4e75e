"""Run a station under load for long, and see that nothing grows: `python -m tests.bench.soak --minutes 60`.

10 kHz x 24 channels are recorded in segments of a minute, with 20 live clients of which 10 never read.
Memory, threads and descriptors of engine and front are noted all the time; at the end each must be where it
was after the first tenth, and not a row may be missing.
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
from pathlib import Path

import psutil
from websockets.sync.client import ClientConnection, connect

from kymograph.store.reader import RecordingReader
from tests.running import RunningStation, generator

CLIENTS, DEAF = 20, 10
DEAF_S = 60.0
MEMORY_GROWTH_MAX = 1.10
"""Of the resident bytes after the first tenth: what allocators may keep, not what leaks."""


def follow(url: str, deaf: bool) -> ClientConnection:
    """Subscribe to everything; a deaf client asks and never reads."""
    # No pings: that the deaf are cut off is the station's doing, not this library's.
    address = url.replace("http", "ws") + "/v1/live"
    client = connect(address, compression=None, max_size=None, ping_interval=None)
    client.send('{"type": "hello"}')
    client.recv()
    client.send('{"type": "subscribe", "id": "a", "streams": ["gen"], "encoding": "msgpack"}')
    if deaf:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    else:
        threading.Thread(target=lambda: [None for _ in client], daemon=True).start()
    return client


@contextmanager
def deafness(url: str) -> Iterator[None]:
    """Have clients that never read, and as many new ones each minute: the station cuts them off."""
    ended = threading.Event()

    def come_and_go() -> None:
        while not ended.is_set():
            deaf = [follow(url, True) for _ in range(DEAF)]
            ended.wait(DEAF_S)
            for client in deaf:
                client.socket.close()

    thread = threading.Thread(target=come_and_go)
    thread.start()
    yield
    ended.set()
    thread.join()


def weigh(processes: list[psutil.Process]) -> list[int]:
    """Return resident bytes, threads and descriptors of each process, in a row."""
    return [n for p in processes for n in (p.memory_info().rss, p.num_threads(), p.num_fds())]


def judge(first: list[int], last: list[int], names: list[str]) -> list[str]:
    """Return what has grown."""
    grown: list[str] = []
    for name, before, after in zip(names, first, last, strict=True):
        bound = before * MEMORY_GROWTH_MAX if name.endswith("memory") else before
        if after > bound:
            grown.append(f"{name} grew from {before} to {after}")
    return grown


def soak(minutes: float) -> list[str]:
    """Run for so long and return what was wrong."""
    with tempfile.TemporaryDirectory(dir=".") as folder:
        station = RunningStation(Path(folder), generator(10_000, 24), "[ring]\nbytes_max = 4194304\n")
        with station:
            recording = station.call("POST", "/v1/recordings", {"name": "soak"})
            hearing = [follow(station.url, False) for _ in range(CLIENTS - DEAF)]
            front = station.front()
            assert front is not None
            with deafness(station.url):
                weights = watch([station.engine, front], minutes)
            for client in hearing:
                client.socket.close()
            ended = station.call("POST", f"/v1/recordings/{recording['id']}/stop")
        names = [f"{p} {what}" for p in ("engine", "front") for what in ("memory", "threads", "descriptors")]
        wrong = judge(weights[len(weights) // 10], weights[-1], names)
        [path] = (station.data / "recordings").iterdir()
        return wrong + holes(path, ended["rows"])


def watch(processes: list[psutil.Process], minutes: float) -> list[list[int]]:
    weights: list[list[int]] = []
    until = time.monotonic() + minutes * 60
    while time.monotonic() < until:
        time.sleep(min(10.0, minutes * 6))
        weights.append(weigh(processes))
        shown = [f"{n / 2**20:.1f} MiB" if i % 3 == 0 else str(n) for i, n in enumerate(weights[-1])]
        print(f"{(until - time.monotonic()) / 60:6.1f} min left   {'  '.join(shown)}", flush=True)
    return weights


def holes(path: Path, rows: int) -> list[str]:
    wrong: list[str] = []
    seen, end = 0, (0, 0)
    for block in RecordingReader(path).blocks("gen", channels=["counter"]):
        counter = block.columns()[0]
        if seen and end != (block.seq, int(counter[0])):
            wrong.append(f"a hole before row {block.seq}")
        end = (block.seq + block.rows, int(counter[-1]) + 1)
        seen += block.rows
    if seen != rows:
        wrong.append(f"{rows} rows were told, {seen} are there")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    wrong = soak(parser.parse_args().minutes)
    print("\n".join(wrong) or "nothing grew, nothing is missing")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
