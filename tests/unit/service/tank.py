"""A tank on the bench: a pressure that the test sets, a valve, a lighter, and all that went over its wire."""

import threading
import time
from contextlib import contextmanager

import numpy as np

from kymograph.config import parse
from kymograph.drivers import registry
from kymograph.drivers.base import Driver, DriverOptions, command
from kymograph.model.actuator import Actuator
from kymograph.model.block import Rows
from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import DeviceSilent
from kymograph.service.station import Station
from tests.unit.acquire.test_safe import until


class Bench:
    """What the test does to the tank, and sees of it."""

    def __init__(self):
        self.wire = []
        self.pressure = 1.0
        self.gone = False
        self.safe = 0.0
        self.shows = True
        self.obeys = True
        self.answers = threading.Event()
        self.answers.set()
        self.sending = threading.Event()


class Tank(Driver[DriverOptions]):
    """Two actuators: `valve`, and `lighter`, which `burn` moves."""

    bench = Bench()

    def __init__(self, options, clock, port=""):
        super().__init__(options, clock, port)
        self.places = {"valve": 0.0, "lighter": 0.0}
        self.safe = self.bench.safe

    def streams(self):
        return [Stream("reading", (Channel("p", "float64", "bar"),), 0.0)]

    def actuators(self):
        return [
            Actuator("valve", safe=self.safe, labels=("closed", "open")),
            Actuator("lighter", safe=0.0, labels=("off", "on")),
        ]

    def moves(self, command, arguments):
        return ["lighter" if command == "burn" else "valve"] if arguments.get("value") else []

    def expects(self, command, arguments):
        return {"valve" if command == "turn" else "lighter": float(arguments["value"])}

    def read_back(self):
        return dict(self.places) if self.bench.shows else dict.fromkeys(self.places)

    def open(self):
        if self.bench.gone:
            raise DeviceSilent("nothing comes")
        return {}

    def read(self, timeout_s):
        time.sleep(0.005)
        if self.bench.gone:
            raise DeviceSilent("nothing comes")
        return [Rows("reading", np.array([self.clock.now_ns()]), [np.array([self.bench.pressure])])]

    def make_safe(self):
        self.places = {"valve": 0.0, "lighter": 0.0}
        self.bench.wire.append("safe")

    def _do(self, name, value, what):
        self.bench.sending.set()
        while not self.bench.answers.wait(0.01) and not self.stop_wanted.is_set():
            if self.bench.gone:
                raise DeviceSilent("nothing comes")
        self.bench.wire.append(f"{what} {value}")
        if self.bench.obeys:
            self.places[name] = float(value)
        return value

    @command
    def turn(self, value: int) -> int:
        return self._do("valve", value, "turn")

    @command
    def burn(self, value: int) -> int:
        return self._do("lighter", value, "burn")


@contextmanager
def tanks(tmp_path, monkeypatch):
    """Yield what makes a station of one tank, and its bench."""
    monkeypatch.setattr(Tank, "bench", Bench())
    monkeypatch.setattr(registry, "find", lambda name: Tank)
    monkeypatch.setattr(registry, "parse_options", lambda name, options: DriverOptions())
    made = []

    def make(armed=(), **interlocks):
        station = Station(
            parse(
                {
                    "station": {"name": "stand", "data": str(tmp_path / "data")},
                    "instruments": {"tank": {"driver": "sine"}},
                    "control": {"armed": list(armed)},
                    "interlocks": interlocks,
                }
            )
        )
        made.append(station)
        station.start()
        until(lambda: station.instruments()[0]["health"]["rows"] > 2)
        until(lambda: all(one["state"] != "pending" for one in station.control.status()["interlocks"]))
        return station

    try:
        yield make, Tank.bench
    finally:
        Tank.bench.answers.set()
        for station in made:
            station.shutdown()


def events(station, kind):
    """Return the bodies of the events of a kind, oldest first."""
    return [event["body"] for event in reversed(station.events()) if event["kind"] == kind]
