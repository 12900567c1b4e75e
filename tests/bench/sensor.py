"""How long a light sensor takes from connecting to its first row, beside the least its firmware needs."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import serial

from tests.bench.table import Line
from tests.running import RunningStation, until

ROUNDS = 3
SPARE_S = 0.5


def run() -> list[Line]:
    with tempfile.TemporaryDirectory(dir=".", prefix="bench-") as folder, sensor(Path(folder)) as port:
        bare = statistics.median(firmware(port) for _ in range(ROUNDS))
        table = (
            f'[instruments.sensor]\ndriver = "qseries"\nport = "serial://{port}?baud=9600"\nstart = false\n'
        )
        with RunningStation(Path(folder), table) as station:
            ours = statistics.median(first_row(station) for _ in range(ROUNDS))
    what = "light sensor, connect to first row"
    return [
        Line(
            what, ours, "s", "ESC, X and the first line, nothing else", bare, f"<= peer + {SPARE_S} s",
            ours <= bare + SPARE_S,
        )
    ]  # fmt: skip


@contextmanager
def sensor(folder: Path) -> Iterator[Path]:
    """Play a sensor with the delays of the real firmware."""
    link = (folder / "sensor").absolute()
    process = subprocess.Popen(
        [sys.executable, "-m", "kymograph", "simulate", "qseries", "--link", str(link)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None and "ready" in process.stdout.readline()
        yield link
    finally:
        process.kill()
        process.wait()


def firmware(port: Path) -> float:
    """Call the menu, leave it, and wait for the first reading: no program can be faster."""
    with serial.Serial(str(port), 9600, timeout=20) as wire:
        began = time.perf_counter()
        wire.write(b"\x1b")
        wire.read_until(b"menu entry")
        wire.write(b"X")
        while not (line := wire.read_until(b"\n")).strip()[:1].isdigit():
            assert line, "the sensor is silent"
        return time.perf_counter() - began


def first_row(station: RunningStation) -> float:
    station.call("POST", "/v1/instruments/sensor/close")
    before = rows(station)
    began = time.perf_counter()
    station.call("POST", "/v1/instruments/sensor/start", timeout_s=60)
    until(lambda: rows(station) > before, what="a row")
    return time.perf_counter() - began


def rows(station: RunningStation) -> int:
    return station.call("GET", "/v1/instruments/sensor")["health"]["rows"]
