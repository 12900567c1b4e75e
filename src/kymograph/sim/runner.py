"""A simulator as a process: says where it is, takes faults as lines on its input, and cleans up."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType

from kymograph.model.errors import ConfigError, KymographError
from kymograph.sim import registry
from kymograph.sim.simulation import Simulation
from kymograph.sim.wire import PtyWire, TcpWire, Wire


class _Input:
    """Lines from a file descriptor, without waiting. At its end it says so once and is left alone."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._rest = b""

    def lines(self) -> list[str] | None:
        """Return the lines that came; None at the end of the input."""
        data = os.read(self.fd, 4096)
        if not data:
            self.fd = -1
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [text for line in lines if (text := line.decode("utf-8", "replace").strip())]


def _tcp(address: str) -> Wire:
    host, _, port = address.rpartition(":")
    if not port.isdecimal():
        raise ConfigError(f"{address} is not an address", hint="write HOST:PORT, for example 127.0.0.1:0")
    return TcpWire(host or "127.0.0.1", int(port))


def run(
    name: str,
    parameters: Mapping[str, str],
    *,
    link: Path | None = None,
    tcp: str | None = None,
    until_eof: bool = False,
    parent_pid: int | None = None,
) -> int:
    """Simulate a device until SIGTERM, SIGINT, or the end of whoever started it; return an exit code.

    Prints `ready PATH` (or `ready tcp://…`) when the port can be opened, then an `ok LINE` or `error …` for
    each fault taken from standard input. `until_eof` ends with the input.

    Raises:
        ConfigError: no such simulator, or parameters that it does not understand.
    """
    device = registry.make(name, parameters)
    link = link or Path(f"kymograph-sim-{os.getpid()}").absolute()
    simulation = Simulation(device, _tcp(tcp) if tcp is not None else PtyWire(link))
    parent = parent_pid if parent_pid is not None else os.getppid()
    feed = _Input(sys.stdin.fileno() if sys.stdin else -1)

    def end(_number: int, _frame: FrameType | None) -> None:
        simulation.quit()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)

    try:
        _say(f"ready {link if tcp is None else simulation.url}")
        while not simulation.ended and os.getppid() == parent:
            if simulation.turn(feed.fd) and not _serve(simulation, feed, until_eof):
                break
    finally:
        simulation.wire.unplug()
    return 0


def _serve(simulation: Simulation, feed: _Input, until_eof: bool) -> bool:
    """Do the faults that were asked for; return whether to go on."""
    lines = feed.lines()
    if lines is None:
        return not until_eof
    for line in lines:
        try:
            simulation.fault(line)
            _say(f"ok {line}")
        except KymographError as error:
            _say(f"error {error}")
    return True


def _say(line: str) -> None:
    # Whoever listened may be gone; the device does not care.
    with suppress(BrokenPipeError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
