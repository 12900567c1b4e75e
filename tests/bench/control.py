"""At the device's end: from the crossing sample to the safe state on the wire, from STOP ALL to it, and from
an emergency to its first step.
"""

from __future__ import annotations

import json
import os
import select
import sys
import tempfile
import threading
import time
import tty
import urllib.request
from pathlib import Path

from tests.bench.histogram import histogram
from tests.bench.table import Line, below
from tests.running import RunningStation, until

TRIPS = 100
STOPS = 50
EMERGENCIES = 50
RATE_HZ = 60
BOUND_MS = 20.0
SAFE = b"Valves:000000000"
FIRST = b"Valves:010010110"
KEYS = [
    *(f"P{n}" for n in range(1, 9)), *(f"T{n}" for n in range(1, 7)), "Tbogaz1", "THRUST", "ISP", "Tbogaz2",
    "D1", "D2", "IMPULSE", "VELOCITY",
]  # fmt: skip
STAND = """
[instruments.stand]
driver = "stm32"
port = "serial://{port}?baud=230400"
[interlocks.high]
trip = "stand.P1 > 30"
actions = "safe"
applies_to = ["stand"]
latched = false
"""
EMERGENCY = """
name: emergency
steps: []
always:
  - command:
      instrument: stand
      command: set_valves
      arguments: {valves: [0, 1, 0, 0, 1, 0, 1, 1, 0]}
      confirm: false
  - wait: 0.1
"""
"""The first of the steps that come with the program, without the ten seconds of the others."""


class Controller:
    """The device's end of the wire: lines at a steady rate, and when each safe order came."""

    def __init__(self) -> None:
        self.master, slave = os.openpty()
        tty.setraw(self.master), tty.setraw(slave)
        self.port = os.ttyname(slave)
        self._slave = slave
        self.pressure = 10.0
        self.crossed_s = 0.0
        self.safe_s: list[float] = []
        self.first_s: list[float] = []
        self._ended = False
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._talk, self._hear)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._ended = True
        for thread in self._threads:
            thread.join(2)

    def _talk(self) -> None:
        while not self._ended:
            value = self.pressure
            words = [f"{key}: {value if key == 'P1' else 20.0:.1f}" for key in KEYS]
            os.write(self.master, " | ".join(words).encode() + b"\n")
            if value > 30 and not self.crossed_s:
                self.crossed_s = time.perf_counter()
            time.sleep(1 / RATE_HZ)

    def _hear(self) -> None:
        left = b""
        while not self._ended:
            if not select.select([self.master], [], [], 0.2)[0]:
                continue
            left += os.read(self.master, 4096)
            *lines, left = left.split(b"\n")
            now_s = time.perf_counter()
            for line in lines:
                os.write(self.master, b"ACK: " + line + b"\n")
                if line.startswith(SAFE):
                    self.safe_s.append(now_s)
                elif line.startswith(FIRST):
                    self.first_s.append(now_s)


def run() -> list[Line]:
    device = Controller()
    try:
        with tempfile.TemporaryDirectory(dir=".", prefix="bench-") as folder:
            (Path(folder) / "sequences").mkdir()
            (Path(folder) / "sequences" / "emergency.yaml").write_text(EMERGENCY)
            with RunningStation(Path(folder), STAND.format(port=device.port)) as station:
                until(lambda: state(station) == "ok", what="fresh data")
                trips = sorted(trip(station, device) for _ in range(TRIPS))
                stops = sorted(stop(station, device) for _ in range(STOPS))
                firsts = sorted(emergency(station, device) for _ in range(EMERGENCIES))
    finally:
        device.close()
    print(histogram("interlock, crossing sample to the wire", trips, BOUND_MS), file=sys.stderr)
    print(histogram("stop all, request to the wire", stops, BOUND_MS), file=sys.stderr)
    print(histogram("emergency, request to the wire", firsts, BOUND_MS), file=sys.stderr)
    return [
        Line("interlock, crossing sample to the wire, p50", trips[len(trips) // 2], "ms"),
        below("interlock, crossing sample to the wire, p99", trips[len(trips) * 99 // 100], "ms", BOUND_MS),
        Line("stop all, request to the wire, p50", stops[len(stops) // 2], "ms"),
        below("stop all, request to the wire, p99", stops[len(stops) * 99 // 100], "ms", BOUND_MS),
        Line("emergency, request to the wire, p50", firsts[len(firsts) // 2], "ms"),
        below("emergency, request to the wire, p99", firsts[len(firsts) * 99 // 100], "ms", BOUND_MS),
    ]


def trip(station: RunningStation, device: Controller) -> float:
    device.safe_s.clear()
    device.crossed_s = 0.0
    device.pressure = 40.0
    until(lambda: device.safe_s and device.crossed_s, what="the safe state")
    took_ms = (device.safe_s[0] - device.crossed_s) * 1000
    device.pressure = 10.0
    until(lambda: state(station) == "ok", what="the end of the trip")
    return took_ms


def stop(station: RunningStation, device: Controller) -> float:
    device.safe_s.clear()
    began_s = press(station, "control/stop")
    until(lambda: device.safe_s, what="the safe state")
    reset(station)
    return (device.safe_s[0] - began_s) * 1000


def emergency(station: RunningStation, device: Controller) -> float:
    device.first_s.clear()
    began_s = press(station, "runs/emergency")
    until(lambda: device.first_s, what="the first step")
    reset(station)
    return (device.first_s[0] - began_s) * 1000


def press(station: RunningStation, path: str) -> float:
    """Ask for something, and return when."""
    body = json.dumps({"by": "bench"}).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{station.url}/v1/{path}", body, headers, method="POST")
    began_s = time.perf_counter()
    urllib.request.urlopen(request, timeout=20).read()
    return began_s


def reset(station: RunningStation) -> None:
    number = station.call("POST", "/v1/control/stop/reset", {})["confirm"]
    station.call("POST", "/v1/control/stop/reset", {"confirm": number})


def state(station: RunningStation) -> str:
    return station.call("GET", "/v1/control")["interlocks"][0]["state"]
