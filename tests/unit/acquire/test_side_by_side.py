"""Sensors are read side by side: what hangs says so, and holds up nobody."""

import os
import threading
import time

import pytest

from kymograph.acquire import instrument as module
from kymograph.acquire.instrument import Instrument
from kymograph.drivers.bme280 import Bme280, Bme280Options
from kymograph.drivers.cpu_temp import CpuTemp, CpuTempOptions
from kymograph.drivers.disk_space import DiskSpace, DiskSpaceOptions
from kymograph.model.clock import Clock
from kymograph.sim import bme280 as device
from kymograph.sim.simulation import Simulation
from kymograph.sim.wire import PtyWire

CLOCK = Clock(time.monotonic_ns, time.time_ns)


def until(condition, timeout_s=20.0):
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never became so"
        time.sleep(0.01)


def program(folder):
    """A vcgencmd that hangs."""
    path = folder / "vcgencmd"
    path.write_text("#!/bin/sh\nexec sleep 600\n")
    path.chmod(0o755)
    return str(path)


class Station:
    """A sensor that can be made to hang, a program and a disk that do, and a disk that is well."""

    def __init__(self, folder):
        self.away = threading.Event()
        self.bus = Simulation(device.make({"time_scale": "0.02"}), PtyWire(folder / "bus"))
        air = Bme280(Bme280Options(rate_hz=50, time_scale=0.02), CLOCK, self.bus.url)
        warm = CpuTemp(CpuTempOptions(rate_hz=50, vcgencmd=program(folder), timeout_s=0.3), CLOCK)
        lost = DiskSpace(DiskSpaceOptions(rate_hz=50, path=folder, timeout_s=0.3), CLOCK)
        lost.statvfs = self._hang
        well = DiskSpace(DiskSpaceOptions(rate_hz=50, path=folder, timeout_s=20), CLOCK)
        drivers = {"air": air, "warm": warm, "lost": lost, "well": well}
        self.instruments = {
            name: Instrument(name, "x", lambda driver=driver: driver, CLOCK, lambda *_: None)
            for name, driver in drivers.items()
        }

    def _hang(self, path):
        self.away.wait()
        return os.statvfs(path)

    def status(self, name):
        return self.instruments[name].status()

    def rows(self, name):
        return self.status(name).health.rows

    def deliver_more(self, *names):
        before = {name: self.rows(name) for name in names}
        until(lambda: all(self.rows(name) > before[name] + 5 for name in names))


@pytest.fixture
def station(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "REOPEN_BACKOFF_S", (0.05, 0.1))
    made = Station(tmp_path)
    with made.bus:
        for one in made.instruments.values():
            one.launch("acquiring")
        yield made
        made.away.set()
        for one in made.instruments.values():
            assert one.shutdown(20)


def test_what_hangs_says_so_and_holds_up_nobody(station):
    station.deliver_more("air", "well")
    until(lambda: "vcgencmd" in station.status("warm").error)
    until(lambda: "does not answer" in station.status("lost").error)
    assert station.rows("warm") == station.rows("lost") == 0
    station.deliver_more("air", "well")

    station.bus.fault("hang on")
    until(lambda: "hangs" in station.status("air").error)
    station.deliver_more("well")

    station.bus.fault("hang off")
    station.away.set()
    station.deliver_more("air", "lost", "well")
    until(lambda: not station.status("air").error and not station.status("lost").error)
    assert "vcgencmd" in station.status("warm").error
