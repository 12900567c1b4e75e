"""A station of its own for a measurement, on a folder that goes."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.running import RunningStation, generator

STAND = """
[instruments.stand]
driver = "stm32"
port = "sim://stm32?protocol=frames&rate_hz=10000&batch=10&pace_ms=2"
[instruments.stand.options]
protocol = "frames"
rate_hz = 10000
batch = 10
link = "usb"
block_s = 0.004
"""
"""10 kHz x 24 from frames over a pseudo-terminal, in blocks as the test stand's station file has them."""


@contextmanager
def measured(rate_hz: int, channels: int, tables: str = "") -> Iterator[RunningStation]:
    """Run a station with a signal generator of the given rate and width, and a small ring."""
    with tempfile.TemporaryDirectory(dir=".", prefix="bench-") as folder:
        tables = f"{tables}[ring]\nbytes_max = 4194304\n"
        with RunningStation(Path(folder), generator(rate_hz, channels), tables) as station:
            yield station


def cpu_share(process: psutil.Process, seconds: float) -> float:
    """Return the share of one core, in percent, that a process takes over some seconds."""
    before, began = sum(process.cpu_times()[:2]), time.monotonic()
    time.sleep(seconds)
    return 100 * (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - began)
