"""A simulator in a process of its own, held by whoever started it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Final

from kymograph.model.errors import Unavailable
from kymograph.sim import registry

READY_TIMEOUT_S: Final = 10.0
ANSWER_TIMEOUT_S: Final = 5.0
STOP_TIMEOUT_S: Final = 2.0


class SimulatorProcess:
    """A simulator of a `sim://` address behind a link. It ends with this process, however that ends."""

    def __init__(self, url: str, link: Path) -> None:
        """Start it and wait until its port can be opened.

        Raises:
            ConfigError: the address names no simulator, or its parameters make no sense.
            Unavailable: the process does not come up.
        """
        name, parameters = registry.parse_url(url)
        registry.make(name, parameters)
        self.link = link.absolute()
        command = [sys.executable, "-m", "kymograph.sim", name, "--link", str(self.link)]
        command += ["--until-eof", "--parent", str(os.getpid())]
        for key, value in parameters.items():
            command += [f"--{key}", value]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        self._said = b""
        try:
            self._expect("ready ", READY_TIMEOUT_S)
        except Unavailable:
            self.stop()
            raise

    @property
    def url(self) -> str:
        """The port that a driver opens."""
        return f"serial://{self.link}"

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._process.poll() is None

    def fault(self, line: str) -> None:
        """Make a fault happen, see `kymograph.sim.faults`; it has when this returns.

        Raises:
            Unavailable: the simulator does not run, or does not know the fault.
        """
        stdin = self._process.stdin
        if stdin is None or stdin.closed:
            raise Unavailable("the simulator does not run")
        try:
            stdin.write(line.encode() + b"\n")
            stdin.flush()
        except OSError:
            raise Unavailable("the simulator does not run") from None
        self._expect(f"ok {line}", ANSWER_TIMEOUT_S)

    def _expect(self, beginning: str, timeout_s: float) -> None:
        stdout = self._process.stdout
        if stdout is None:
            raise Unavailable("the simulator does not run")
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._said:
            left_s = deadline - time.monotonic()
            if left_s <= 0 or not select.select([stdout], [], [], left_s)[0]:
                raise Unavailable(f"the simulator said nothing for {timeout_s:g} s")
            more = os.read(stdout.fileno(), 4096)
            if not more:
                raise Unavailable("the simulator ended", hint="see what it wrote to the log")
            self._said += more
        line, _, self._said = self._said.partition(b"\n")
        if not line.decode("utf-8", "replace").startswith(beginning):
            raise Unavailable(f"the simulator says: {line.decode('utf-8', 'replace')}")

    def stop(self) -> None:
        """End it and wait until it is gone; a second call does nothing."""
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> SimulatorProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
