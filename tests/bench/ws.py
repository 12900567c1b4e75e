"""WebSocket messages of the live streams, beside a bare server and beside `foxglove-sdk`'s.

All three follow one engine and send the same bytes, taking turns, to the same clients. At the real rate,
10 kHz x 24 channels from frames over a pseudo-terminal, half of the clients never read. To find how many
messages a second can be had, many clients ask for more than there is room for.
"""

from __future__ import annotations

import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.bench.station import STAND
from tests.bench.table import Line, at_least, at_most, below
from tests.bench.ws_clients import Found, Wish, ask
from tests.running import RunningStation, until

ROUNDS = 3
SECONDS = 4.0
SETTLE_S = 1.5
TABLES = '[web]\nfaces = ["teststand"]\n[ring]\nbytes_max = 16777216\n[faces.teststand]\nstand = "stand"\n'
DENSE = """
[instruments.stand]
driver = "sine"
[instruments.stand.options]
rate_hz = 10000
channels = 4
interval_s = 0.001
"""
"""A thousand small blocks a second."""


class Load(NamedTuple):
    """What is asked of the servers. `every` 0: a block is a message."""

    name: str
    instruments: str
    every: int
    clients: int
    deaf: int = 0


BLOCKS = Load("10 kHz x 24 in blocks", STAND, 0, 10, 10)
SAMPLES = Load("10 kHz x 24, every 3rd row a message", STAND, 3, 10, 10)
MANY_BLOCKS = Load("1000 blocks/s", DENSE, 0, 64)
MANY_SAMPLES = Load("10 kHz, every row a message", STAND, 1, 20)


@dataclass
class Turn:
    """What was found of one server in one turn."""

    found: Found
    cpu: float
    """Percent of a core."""


class Turns:
    """All turns of one load, by server."""

    def __init__(self, load: Load) -> None:
        self.load = load
        self._turns: dict[str, list[Turn]] = {}

    def add(self, server: str, turn: Turn) -> None:
        self._turns.setdefault(server, []).append(turn)

    def __contains__(self, server: str) -> bool:
        return server in self._turns

    def p(self, server: str, percent: int) -> float:
        return statistics.median(getattr(turn.found, f"p{percent}_ms") for turn in self._turns[server])

    def per_s(self, server: str) -> float:
        """Messages a second; rows where a block is a message, as ours joins blocks when it is late."""
        each = [turn.found for turn in self._turns[server]]
        return statistics.median(
            one.messages_per_s if self.load.every else one.samples / SECONDS for one in each
        )

    def cpu(self, server: str) -> float:
        return statistics.median(turn.cpu for turn in self._turns[server])


def run() -> list[Line]:
    lines: list[Line] = []
    for load in (BLOCKS, SAMPLES):
        lines += at_rate(measured(load))
    for load in (MANY_BLOCKS, MANY_SAMPLES):
        lines += saturated(measured(load))
    if not peers()[1:]:
        lines.append(Line("foxglove-sdk is not installed: nothing is compared with it", 0, ""))
    return lines


def peers() -> list[str]:
    return ["bare"] + ["foxglove"] * (find_spec("foxglove") is not None)


NAMES = {"bare": "bare uvicorn WebSocket", "foxglove": "foxglove-sdk"}


def at_rate(turns: Turns) -> list[Line]:
    what = f"{turns.load.name}, {turns.load.clients} clients and {turns.load.deaf} deaf ones"
    lines = [
        below(f"{what}: sample to client, p99", turns.p("ours", 99), "ms", 10.0),
        below(f"{what}: front", turns.cpu("ours"), "% of a core", 10.0),
    ]
    for peer in peers():
        name = NAMES[peer]
        p50, p99 = turns.p(peer, 50), turns.p(peer, 99)
        lines.append(Line(f"{what}: sample to client, p50", turns.p("ours", 50), "ms", name, p50))
        p99_line = f"{what}: sample to client, p99", turns.p("ours", 99), "ms", name, p99
        lines.append(at_most(*p99_line, 1.0 if peer == "foxglove" else 2.0))
        lines.append(Line(f"{what}: server", turns.cpu("ours"), "% of a core", name, turns.cpu(peer)))
    return lines


def saturated(turns: Turns) -> list[Line]:
    what = f"{turns.load.name} to {turns.load.clients} clients"
    lines: list[Line] = []
    for peer in peers():
        unit = "messages/s" if turns.load.every else "rows/s"
        rates = turns.per_s("ours"), unit, NAMES[peer], turns.per_s(peer)
        lines.append(at_least(f"{what}: sustained", *rates, 0.8) if peer == "bare" else Line(what, *rates))
        cpu = turns.cpu("ours"), "% of a core", NAMES[peer], turns.cpu(peer)
        lines.append(Line(f"{what}: server", *cpu))
    return lines


def measured(load: Load) -> Turns:
    """Take turns, so that what else the machine does falls on all alike."""
    turns = Turns(load)
    with tempfile.TemporaryDirectory(dir=".", prefix="bench-") as folder:
        with RunningStation(Path(folder), load.instruments, TABLES) as station:
            until(lambda: station.call("GET", "/api/buffer_status")["buffer_index"] > 0, what="rows")
            for server in ("ours", *peers()) * ROUNDS:
                turns.add(server, one_turn(server, load, station))
    return turns


def one_turn(server: str, load: Load, station: RunningStation) -> Turn:
    if server == "ours":
        return turn(until(station.front), our_wish(load, int(station.url.rsplit(":", 1)[1])))
    with serving(server, station.data, load.every) as (process, port):
        return turn(process, peer_wish(server, load, port))


def our_wish(load: Load, port: int) -> Wish:
    wish = Wish(port, f"/ws?every={load.every}", [], "", load.clients, load.deaf, SETTLE_S, SECONDS)
    if load.every:
        return wish
    wish.path = "/v1/live"
    subscribe = {"type": "subscribe", "id": "a", "streams": ["stand"], "encoding": "msgpack"}
    wish.say = [{"type": "hello"}, subscribe]
    return wish


def peer_wish(peer: str, load: Load, port: int) -> Wish:
    protocol = "foxglove.sdk.v1" if peer == "foxglove" else ""
    return Wish(port, "/", [], protocol, load.clients, load.deaf, SETTLE_S, SECONDS)


def turn(process: psutil.Process, wish: Wish) -> Turn:
    found = ask(wish)
    time.sleep(SETTLE_S)
    before, began_s = sum(process.cpu_times()[:2]), time.monotonic()
    time.sleep(SECONDS - 0.2)
    cpu = 100 * (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - began_s)
    return Turn(found(), cpu)


@contextmanager
def serving(peer: str, data: Path, every: int) -> Iterator[tuple[psutil.Process, int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tests.bench.ws_peers", peer, str(data), str(port), "stand", str(every)]
    server = subprocess.Popen(command, stderr=subprocess.DEVNULL)  # one complains of each client that goes
    try:
        until(lambda: answers(port), what=peer)
        yield psutil.Process(server.pid), port
    finally:
        server.kill()
        server.wait()


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
