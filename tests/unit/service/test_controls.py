"""What speaks against a command, and what speaks against nothing: making things safe."""

import json
import time

import pytest

from kymograph.model.errors import ConfigError, Conflict, Refused
from tests.unit.acquire.test_safe import until
from tests.unit.service.tank import Tank, events, tanks

TRIP = {"trip": "tank.p > 30", "actions": "safe", "applies_to": ["tank"], "max_age_s": 5}


@pytest.fixture
def make(tmp_path, monkeypatch):
    with tanks(tmp_path, monkeypatch) as (make, _):
        yield make


@pytest.fixture
def bench(make):
    return Tank.bench


def turn(station, value, by="Ana", fence=None):
    return station.command("tank", "turn", {"value": value}, by, fence=fence)


def test_a_trip_makes_safe_and_refuses_until_it_is_reset(make, bench):
    station = make(high=TRIP)
    turn(station, 1)
    bench.wire.clear()
    bench.pressure = 40.0
    until(lambda: "safe" in bench.wire)
    until(lambda: station.control.status()["interlocks"][0]["state"] == "tripped")
    with pytest.raises(Refused, match="p"):
        turn(station, 1)
    assert turn(station, 0)["result"] == 0  # what only makes things safe is never refused
    bench.pressure = 1.0
    time.sleep(0.1)
    with pytest.raises(Refused):
        turn(station, 1)
    until(lambda: reset(station))
    assert turn(station, 1)["result"] == 1
    until(lambda: any(body.get("interlock") == "high" for body in events(station, "alarm")))


def reset(station):
    try:
        station.control.reset_interlock("high", "Ana")
    except Refused:
        return False
    return True


def test_an_excursion_is_seen(make, bench):
    station = make(high=TRIP)
    turn(station, 1)
    bench.pressure = 40.0
    until(lambda: station.control.status()["interlocks"][0]["state"] == "tripped")
    until(lambda: station.control.status()["actuators"][0]["value"] == 0.0)


def test_a_lease_keeps_others_out_and_its_loss_makes_safe(make, bench):
    station = make()
    lease = station.control.take("Ana", 1)
    turn(station, 1, fence=lease["fence"])
    with pytest.raises(Conflict, match="Ana"):
        turn(station, 0, "Ben")
    with pytest.raises(Conflict):
        station.control.give_up("Ben")
    until(lambda: station.control.status()["lease"] is None)
    until(lambda: bench.wire[-1] == "safe")
    with pytest.raises(Conflict):
        turn(station, 1, fence=lease["fence"])
    turn(station, 1, "Ben")
    assert station.control.give_up("admin", break_=True)["lease"] is None
    until(lambda: bench.wire[-1] == "safe")


def test_a_stop_passes_everything_and_is_kept(make, bench, tmp_path):
    station = make()
    station.control.take("Ana", 60)
    turn(station, 1)
    assert station.control.stop_all("Eve", "leak")["sent"] == {"tank": "sent"}
    assert bench.wire[-1] == "safe"
    with pytest.raises(Refused, match="Eve: leak"):
        turn(station, 1)
    assert json.loads((tmp_path / "data" / "stopped.json").read_bytes())["by"] == "Eve"
    number = station.control.reset_stop("Ana")["confirm"]
    with pytest.raises(Conflict):
        station.control.reset_stop("Ana", number + 1)
    assert bench.wire[-1] == "safe" and not station.control.reset_stop("Ana", number)["stopped"]
    assert bench.wire[-1] == "safe" and turn(station, 1)["result"] == 1


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


def test_a_link_that_is_lost_trips_at_once(make, bench):
    station = make(high=TRIP | {"max_age_s": 3600})
    bench.gone = True
    until(lambda: station.control.status()["interlocks"][0]["state"] == "tripped")
    bench.gone = False


def test_what_is_told_of_control_stands_in_the_recordings(make, tmp_path):
    station = make()
    recording = station.record_start({"name": "hot"})
    turn(station, 1)
    station.control.stop_all("Eve", "leak")

    def told():
        [path] = (tmp_path / "data" / "recordings").glob("*/events.jsonl")
        return [json.loads(line) for line in path.read_text().splitlines()]

    until(lambda: any(event["source"] == "control" for event in told()))
    station.record_stop(recording["id"])
    states = [event["body"]["state"] for event in told() if event["kind"] == "command"]
    assert states == ["accepted", "sent", "acknowledged", "verified"]
    assert [e["body"]["stop"]["by"] for e in told() if e["source"] == "control"] == ["Eve"]


def test_what_is_safe_is_not_changed_while_it_runs(make, bench):
    station = make()
    bench.safe = 1.0
    with pytest.raises(Refused, match="how that is safe"):
        station.configure("tank", {}, by="Ana")
    bench.safe = 0.0
    station.configure("tank", {}, by="Ana")
