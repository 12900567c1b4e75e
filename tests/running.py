"""A station as a person runs it: the real program in its own processes, started, killed and asked.

with RunningStation(folder, GENERATOR) as station:
    station.call("POST", "/v1/recordings", {"name": "night"})
    station.kill_engine()
    station.start()
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

START_TIMEOUT_S = 40.0


def until(condition: Callable[[], Any], timeout_s: float = 20.0, what: str = "it") -> Any:
    """Wait until a condition holds and return what it gave."""
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not become so within {timeout_s:g} s"
        time.sleep(0.01)
    return found


def generator(rate_hz: int = 10_000, channels: int = 4, interval_s: float = 0.02) -> str:
    """Return the table of a signal generator whose first channel counts its rows."""
    return (
        '[instruments.gen]\ndriver = "sine"\n[instruments.gen.options]\n'
        f"rate_hz = {rate_hz}\nchannels = {channels}\ncounter = true\ninterval_s = {interval_s}\n"
    )


LIDAR = '[instruments.lidar]\ndriver = "ydlidar"\nport = "sim://ydlidar?model=X4"\n'


class RunningStation:
    """`kymograph serve` on a folder of its own; ended, and if need be killed, at the end of the `with`."""

    def __init__(
        self,
        folder: Path,
        instruments: str,
        tables: str = "",
        arguments: tuple[str, ...] = (),
        data: Path | None = None,
    ) -> None:
        self.data = data or folder / "data"
        self._toml = folder / "station.toml"
        self._toml.write_text(f'[station]\nname = "bench"\ndata = "{self.data}"\n{tables}\n{instruments}')
        self._log = folder / "station.log"
        self._arguments = arguments
        self._port = 0
        self.url = ""
        self.ready_s = 0.0
        self.process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        if error is not None:
            sys.stderr.write(self.log())

    def start(self) -> None:
        """Start it, on the same port as before, and wait until its front answers."""
        began = time.monotonic()
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "kymograph", "serve", str(self._toml), "--port", str(self._port),
                 *self._arguments],
                stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        assert self.process.stdout is not None
        for line in self.process.stdout:
            found = re.search(r"http://\S+?:(\d+)", line)
            if found:
                self.url, self._port = found[0], int(found[1])
                self.ready_s = time.monotonic() - began
                return
        raise AssertionError(f"it did not start:\n{self.log()}")

    def log(self) -> str:
        """Return what it wrote to standard error."""
        return self._log.read_text()

    @property
    def engine(self) -> psutil.Process:
        """The engine's process."""
        assert self.process is not None
        return psutil.Process(self.process.pid)

    def front(self) -> psutil.Process | None:
        """Return the front's process, None while there is none."""
        for child in self.engine.children():
            try:
                if "kymograph.app.front" in " ".join(child.cmdline()):
                    return child
            except psutil.Error:
                continue
        return None

    def kill_engine(self) -> None:
        """SIGKILL, and wait until it and everything it started is gone."""
        children = self.engine.children(recursive=True)
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        _, alive = psutil.wait_procs(children, 10)
        assert not alive, f"outlived the engine: {alive}"

    def stop(self, timeout_s: float = 15.0) -> int:
        """SIGTERM; return the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout_s)

    def call(self, method: str, path: str, body: Any = None, timeout_s: float = 30.0) -> Any:
        """Return the JSON of an answer.

        Raises:
            urllib.error.HTTPError: the answer is an error.
        """
        data = None if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:
            return json.load(answer)

    def answers(self) -> bool:
        """Whether a front answers for a running engine."""
        try:
            with urllib.request.urlopen(self.url + "/readyz", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False
