"""A station of its own for a measurement: the real program in its own processes, on a folder that goes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil


class RunningStation:
    """`kymograph serve` with a signal generator of the given rate and width, as a context manager."""

    def __init__(self, rate_hz: int, channels: int, ring_mb: int = 4, format: str = "parquet") -> None:
        self._folder = tempfile.TemporaryDirectory(dir=".", prefix="bench-")
        self.data = Path(self._folder.name) / "data"
        toml = Path(self._folder.name) / "station.toml"
        toml.write_text(
            f'[station]\nname = "bench"\ndata = "{self.data}"\n[web]\nport = 0\n'
            f'[recording]\nformat = "{format}"\n[ring]\nbytes_max = {ring_mb * 2**20}\n'
            f'[instruments.gen]\ndriver = "sine"\n[instruments.gen.options]\nrate_hz = {rate_hz}\n'
            f"channels = {channels}\n"
        )
        self._toml = toml
        self.url = ""

    def __enter__(self) -> RunningStation:
        self._began = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kymograph", "serve", str(self._toml), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = json.loads(self._process.stdout.readline())["url"]
        self.ready_s = time.monotonic() - self._began
        self.engine = psutil.Process(self._process.pid)
        return self

    @property
    def front(self) -> psutil.Process:
        return next(p for p in self.engine.children() if "kymograph.app.front" in " ".join(p.cmdline()))

    def call(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"content-type": "application/json"}, method=method
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.kill(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._folder.cleanup()


def cpu_share(process: psutil.Process, seconds: float) -> float:
    """Return the share of one core, in percent, that a process takes over some seconds."""
    before, began = sum(process.cpu_times()[:2]), time.monotonic()
    time.sleep(seconds)
    return 100 * (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - began)
