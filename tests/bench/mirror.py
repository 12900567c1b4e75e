"""What a mirror carries beside curl on the same files, how old the open tail is, and lists of 10 000."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from kymograph.store.reader import RecordingReader
from tests.bench.made import write_recording
from tests.bench.station import measured
from tests.bench.table import Line, at_least, below
from tests.mirroring import RunningMirror
from tests.running import RunningStation, until

ROUNDS = 3
TAIL_S = 20.0
SENSOR = '[instruments.sensor]\ndriver = "qseries"\nport = "sim://qseries"\nstart = false\n'
FACES = '[web]\nfaces = ["radiometer"]\n'


def run() -> list[Line]:
    return [
        *carried("mirror, 128 files of 8 MiB", 128, 8 << 20),
        *carried("mirror, 1000 files of 8 KiB", 1000, 8 << 10),
        *tail(),
        *lists(),
    ]


def carried(what: str, files: int, file_bytes: int) -> list[Line]:
    """Hash-checked, durable and listed, beside curl, with and without its files made durable."""
    with tempfile.TemporaryDirectory(dir=".", prefix="bench-") as folder:
        here = Path(folder)
        names = write_recording(here / "data", "bulk", files, file_bytes, random=True)
        with RunningStation(here, "") as station:
            taken: list[tuple[float, float, float]] = []
            for _ in range(ROUNDS):
                os.sync()  # what earlier rounds have left to be written is not this one's
                bare = curl(station.url, names, here / "curl")
                safe = bare + seconds_of(
                    lambda: subprocess.run(["sync", *(here / "curl").iterdir()], check=True)
                )
                taken.append((mirror(station.url, here / "mirror"), bare, safe))
                shutil.rmtree(here / "curl"), shutil.rmtree(here / "mirror")
        mine, bare, safe = (
            files * file_bytes / statistics.median(column) for column in zip(*taken, strict=True)
        )
        return [
            at_least(what, mine, "B/s", "curl of the same files, then sync", safe, 0.5),
            Line(what, mine, "B/s", "curl of the same files, left to the cache", bare),
        ]


def curl(url: str, names: list[str], folder: Path) -> float:
    folder.mkdir()
    wanted = folder / "wanted"
    pairs = (f'url = "{url}/v1/recordings/bulk/files/{name}"\noutput = "{folder / name}"\n' for name in names)
    wanted.write_text("".join(pairs))
    return seconds_of(lambda: subprocess.run(["curl", "-sS", "-K", str(wanted)], check=True))


def mirror(url: str, folder: Path) -> float:
    command = [sys.executable, "-m", "kymograph", "mirror", url, str(folder), "--once", "--json"]
    return seconds_of(lambda: subprocess.run(command, check=True, capture_output=True))


def seconds_of(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def tail() -> list[Line]:
    """How old the newest row is that the mirror's folder holds, looked at all the time."""
    with measured(1000, 4) as station:
        begun = station.call("POST", "/v1/recordings", {"name": "bench"})
        with (
            tempfile.TemporaryDirectory(dir=".", prefix="bench-") as folder,
            RunningMirror(station.url, Path(folder) / "copy", interval_s=1.0) as running,
        ):
            until(lambda: running.copies() and newest_ns(running.copies()[0]), what="the first row")
            [copy] = running.copies()
            until_s, lags = time.monotonic() + TAIL_S, list[float]()
            while time.monotonic() < until_s:
                lags.append((time.time_ns() - newest_ns(copy)) / 1e9)
                time.sleep(0.02)
        station.call("POST", f"/v1/recordings/{begun['id']}/stop")
    lags.sort()
    return [
        Line("mirror, age of its newest row, p50", lags[len(lags) // 2], "s"),
        below("mirror, age of its newest row, p99", lags[len(lags) * 99 // 100], "s", 2.0),
    ]


def newest_ns(copy: Path) -> int:
    extent = RecordingReader(copy).extent("gen")
    return extent[1] if extent else 0


def lists() -> list[Line]:
    """What a topside polls, of a session of a week."""
    with tempfile.TemporaryDirectory(dir=".", prefix="bench-") as folder:
        write_recording(Path(folder) / "data", "week", 10_000, 100)
        with RunningStation(Path(folder), SENSOR, FACES) as station:
            asked = {
                "snapshots of 10 000 chunks, median": "/record/snapshots?session_id=week",
                "manifest of 10 000 files, median": "/v1/recordings/week/manifest",
                "completeness of 10 000 files, median": "/v1/recordings/week/completeness",
            }
            lines: list[Line] = []
            for what, path in asked.items():
                times = [seconds_of(lambda url=station.url + path: fetch(url)) * 1000 for _ in range(15)]
                median = statistics.median(times)
                bounded = what.startswith("snapshots")
                lines.append(below(what, median, "ms", 50.0) if bounded else Line(what, median, "ms"))
            return lines


def fetch(url: str) -> None:
    with urllib.request.urlopen(url, timeout=60) as answer:
        answer.read()
