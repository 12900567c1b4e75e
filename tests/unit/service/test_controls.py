"""What speaks against a command, and what speaks against nothing: making things safe."""

import json
import time

import numpy as np
import pytest

from kymograph.config import parse
from kymograph.drivers import registry
from kymograph.drivers.base import Driver, DriverOptions, command
from kymograph.model.actuator import Actuator
from kymograph.model.block import Rows
from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import ConfigError, Conflict, Refused
from kymograph.service.station import Station
from tests.unit.acquire.test_safe import until

WIRE: list[str] = []
VALUE = [1.0]
TRIP = {"trip": "tank.p > 30", "actions": "safe", "applies_to": ["tank"], "max_age_s": 5}


class Tank(Driver[DriverOptions]):
    """A pressure that the test sets, and a valve; everything that went over its wire."""

    place = 0.0

    def streams(self):
        return [Stream("reading", (Channel("p", "float64", "bar"),), 0.0)]

    def actuators(self):
        return [Actuator("valve", safe=0.0)]

    def moves(self, command, arguments):
        return ["valve"] if arguments.get("value") else []

    def read_back(self):
        return {"valve": self.place}

    def read(self, timeout_s):
        time.sleep(0.005)
        return [Rows("reading", np.array([self.clock.now_ns()]), [np.array(VALUE)])]

    def make_safe(self):
        self.place = 0.0
        WIRE.append("safe")

    @command
    def turn(self, value: int) -> int:
        self.place = float(value)
        WIRE.append(f"turn {value}")
        return value


@pytest.fixture
def make(tmp_path, monkeypatch):
    WIRE.clear()
    VALUE[0] = 1.0
    monkeypatch.setitem(registry.OURS, "tank", f"{__name__}:Tank")
    monkeypatch.setattr(registry, "find", lambda name: Tank)
    monkeypatch.setattr(registry, "parse_options", lambda name, options: DriverOptions())
    made = []

    def make(**interlocks):
        station = Station(
            parse(
                {
                    "station": {"name": "stand", "data": str(tmp_path / "data")},
                    "instruments": {"tank": {"driver": "sine"}},
                    "interlocks": interlocks,
                }
            )
        )
        made.append(station)
        station.start()
        until(lambda: station.instruments()[0]["health"]["rows"] > 2)
        return station

    yield make
    for station in made:
        station.shutdown()


def turn(station, value, by="Ana", fence=None):
    return station.command("tank", "turn", {"value": value}, by, fence)


def events(station, kind):
    return [event["body"] for event in station.events() if event["kind"] == kind]


def test_a_trip_makes_safe_and_refuses_until_it_is_reset(make):
    station = make(high=TRIP)
    turn(station, 1)
    WIRE.clear()
    VALUE[0] = 40.0
    until(lambda: "safe" in WIRE)
    until(lambda: station.control.status()["interlocks"][0]["state"] == "tripped")
    with pytest.raises(Refused, match="p"):
        turn(station, 1)
    assert turn(station, 0)["result"] == 0  # what only makes things safe is never refused
    VALUE[0] = 1.0
    time.sleep(0.1)
    with pytest.raises(Refused):
        turn(station, 1)
    station.control.reset_interlock("high", "Ana")
    assert turn(station, 1)["result"] == 1
    until(lambda: any(body.get("interlock") == "high" for body in events(station, "alarm")))


def test_an_excursion_of_one_row_is_seen(make):
    station = make(high=TRIP)
    turn(station, 1)
    VALUE[:] = [40.0]
    until(lambda: station.control.status()["interlocks"][0]["state"] == "tripped")
    assert station.control.status()["actuators"][0]["value"] == 0.0


def test_a_lease_keeps_others_out_and_its_loss_makes_safe(make):
    station = make()
    lease = station.control.take("Ana", 1)
    turn(station, 1, fence=lease["fence"])
    with pytest.raises(Conflict, match="Ana"):
        turn(station, 0, "Ben")
    with pytest.raises(Conflict):
        station.control.give_up("Ben")
    until(lambda: station.control.status()["lease"] is None)
    until(lambda: WIRE[-1] == "safe")
    with pytest.raises(Conflict):
        turn(station, 1, fence=lease["fence"])
    turn(station, 1, "Ben")
    assert station.control.give_up("admin", break_=True)["lease"] is None
    until(lambda: WIRE[-1] == "safe")


def test_a_stop_passes_everything_and_is_kept(make, tmp_path):
    station = make()
    station.control.take("Ana", 60)
    turn(station, 1)
    assert station.control.stop_all("Eve", "leak")["sent"] == {"tank": "sent"}
    assert WIRE[-1] == "safe"
    with pytest.raises(Refused, match="Eve: leak"):
        turn(station, 1)
    assert json.loads((tmp_path / "data" / "stopped.json").read_bytes())["by"] == "Eve"
    number = station.control.reset_stop("Ana")["confirm"]
    with pytest.raises(Conflict):
        station.control.reset_stop("Ana", number + 1)
    assert WIRE[-1] == "safe" and not station.control.reset_stop("Ana", number)["stopped"]
    assert WIRE[-1] == "safe" and turn(station, 1)["result"] == 1


def test_a_stop_that_cannot_be_read_any_more_is_a_stop(make, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "stopped.json").write_text("{")
    with pytest.raises(Refused):
        turn(make(), 1)


@pytest.mark.parametrize(
    "table",
    [{"trip": "tank.q > 3"}, {"trip": "tank.p >"}, {}, {"trip": "tank.p > 1", "permit": "tank.p > 0"}],
)
def test_a_wrong_interlock_is_an_error_at_the_start(make, table):
    with pytest.raises(ConfigError, match="high"):
        make(high=table)


def test_the_audit_has_it_all(make, tmp_path):
    station = make()
    turn(station, 1)
    with pytest.raises(Conflict):
        turn(station, 1, "Ben")
    station.control.stop_all("Eve")
    told = (tmp_path / "data" / "audit.jsonl").read_text()
    for what in ("command accepted", "command acknowledged", "command refused", "stop all", "Ben", "Eve"):
        assert what in told
