"""From a sample to 50 live clients, beside a bare uvicorn WebSocket that sends the same bytes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

import msgspec
import numpy as np
import websockets

from tests.bench.station import cpu_share, measured
from tests.bench.table import Line, at_most

CLIENTS = 50
SECONDS = 12.0
ROUNDS = 3
PORT = 18099
BLOCK_INTERVAL_S = 0.02

BARE = """
import asyncio, struct, sys, time, uvicorn
clients = set()
async def app(scope, receive, send):
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    queue = asyncio.Queue(64)
    clients.add(queue)
    while True:
        await send({"type": "websocket.send", "bytes": await queue.get()})
async def pump():
    rest = b"x" * (int(sys.argv[2]) - 8)
    while True:
        await asyncio.sleep(float(sys.argv[3]))
        message = struct.pack("<q", time.time_ns()) + rest
        for queue in clients:
            if not queue.full():
                queue.put_nowait(message)
async def main():
    config = uvicorn.Config(app, port=int(sys.argv[1]), ws="websockets-sansio", loop="uvloop",
                            ws_per_message_deflate=False, log_level="error", lifespan="off")
    await asyncio.gather(uvicorn.Server(config).serve(), pump())
import uvloop
uvloop.run(main())
"""


async def ours(url: str) -> tuple[np.ndarray, int]:
    """Return latencies in ms of the newest sample of each message, and a message's size."""
    latencies: list[float] = []
    sizes: list[int] = []

    async def client() -> None:
        async with websockets.connect(url, compression=None, max_size=None) as socket:
            await socket.send(msgspec.json.encode({"type": "hello"}).decode())
            await socket.recv()
            wanted = {
                "type": "subscribe",
                "id": "a",
                "streams": ["gen"],
                "mode": "raw",
                "encoding": "msgpack",
            }
            await socket.send(msgspec.json.encode(wanted).decode())
            await collect(socket, latencies, sizes)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return np.array(latencies), int(np.median(sizes))


async def collect(socket: websockets.ClientConnection, latencies: list[float], sizes: list[int]) -> None:
    until = time.monotonic() + SECONDS
    settled = time.monotonic() + 2.0
    async for message in socket:
        now_ns = time.time_ns()
        if time.monotonic() > until:
            return
        if isinstance(message, str) or time.monotonic() < settled:
            continue
        decoded = msgspec.msgpack.decode(message)
        if decoded["type"] == "data":
            sample_ns = int.from_bytes(decoded["columns"]["time_ns"]["data"][-8:], "little")
            latencies.append((now_ns - sample_ns) / 1e6)
            sizes.append(len(message))


async def bare(url: str) -> np.ndarray:
    latencies: list[float] = []

    async def client() -> None:
        async with websockets.connect(url, compression=None, max_size=None) as socket:
            until, settled = time.monotonic() + SECONDS, time.monotonic() + 2.0
            async for message in socket:
                now_ns = time.time_ns()
                if time.monotonic() > until:
                    return
                if time.monotonic() > settled:
                    latencies.append((now_ns - int.from_bytes(message[:8], "little")) / 1e6)

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return np.array(latencies)


async def reach(url: str) -> None:
    """Wait until a server answers."""
    for _ in range(200):
        try:
            async with websockets.connect(url):
                return
        except OSError:
            await asyncio.sleep(0.05)
    raise RuntimeError(f"nothing answers at {url}")


def run() -> list[Line]:
    """Take turns, so that what else the machine does falls on both alike; the median round counts."""
    mine: list[np.ndarray] = []
    theirs: list[np.ndarray] = []
    shares: list[float] = []
    for _ in range(ROUNDS):
        latencies, size, share = station_round()
        mine.append(latencies)
        shares.append(share)
        theirs.append(bare_round(size))
    peer = f"bare uvicorn WebSocket, {size} B each {BLOCK_INTERVAL_S * 1e3:g} ms"
    return [
        at_most(f"sample to {CLIENTS} clients, p50", q(mine, 50), "ms", peer, q(theirs, 50), 2.0),
        at_most(f"sample to {CLIENTS} clients, p99", q(mine, 99), "ms", peer, q(theirs, 99), 2.0),
        Line(f"front with {CLIENTS} clients, 10 kHz x 8", float(np.median(shares)), "% of a core"),
    ]


def station_round() -> tuple[np.ndarray, int, float]:
    """Return latencies through a station in ms, a message's size, and what the front took of a core."""
    with measured(10_000, 8) as station:
        shares: list[float] = []
        meter = threading.Thread(target=lambda: shares.append(cpu_share(station.front(), SECONDS - 3)))
        meter.start()
        latencies, size = asyncio.run(ours(station.url.replace("http", "ws") + "/v1/live"))
        meter.join()
    return latencies, size, shares[0]


def bare_round(size: int) -> np.ndarray:
    """Return latencies in ms through a server that does nothing but send messages of that size."""
    server = subprocess.Popen([sys.executable, "-c", BARE, str(PORT), str(size), str(BLOCK_INTERVAL_S)])
    try:

        async def both() -> np.ndarray:
            await reach(f"ws://127.0.0.1:{PORT}")
            return await bare(f"ws://127.0.0.1:{PORT}")

        return asyncio.run(both())
    finally:
        server.kill()
        server.wait()


def q(rounds: list[np.ndarray], percent: float) -> float:
    return float(np.median([np.percentile(values, percent) for values in rounds]))
