"""A test stand under control: two people, one lease; an interlock that acts; a stop for all; the audit."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error

import pytest

from tests.running import RunningStation, until

pytestmark = pytest.mark.timeout(120)

STAND = """
[instruments.stand]
driver = "stm32"
port = "sim://stm32?rate_hz=50"

[interlocks.tank]
trip = "stand.P1 > 1000"
applies_to = ["stand"]
actions = "safe"
message = "tank pressure too high"

[interlocks.ignition]
permit = "stand.P1 > 1000"
applies_to = ["stand.IGNITION"]
message = "no pressure, no ignition"
"""
CLOSED = [0] * 9
OPEN = [1, 0, 0, 0, 0, 0, 0, 0, 0]


@pytest.fixture
def station(tmp_path):
    with RunningStation(tmp_path, STAND) as station:
        until(lambda: station.call("GET", "/v1/instruments/stand")["state"] == "acquiring", what="the stand")
        until(lambda: station.call("GET", "/v1/control")["interlocks"][0]["state"] == "ok", what="fresh data")
        yield station


def valves(station, values, by, **more):
    return station.call(
        "POST",
        "/v1/instruments/stand/commands/set_valves",
        {"arguments": {"valves": values}, "by": by, **more},
    )


def told(error):
    return json.loads(error.value.read())


def positions(station):
    return [one["value"] for one in station.call("GET", "/v1/control")["actuators"]]


def test_one_person_holds_control_and_the_others_are_told_who(station):
    lease = station.call("POST", "/v1/control/lease", {"by": "Ana", "ttl_s": 20})
    assert valves(station, OPEN, "Ana")["result"]["outcome"] == "verified"
    with pytest.raises(urllib.error.HTTPError) as refused:
        valves(station, CLOSED, "Ben")
    assert refused.value.code == 409 and "Ana" in told(refused)["detail"]
    assert positions(station)[0] == 1
    seen = station.call("GET", "/v1/control")["lease"]
    assert seen["holder"] == "Ana" and 0 < seen["remaining_s"] <= 30
    station.call("POST", "/v1/control/lease/release", {"by": "Ana"})
    until(lambda: positions(station) == CLOSED, what="the safe state after control was given back")
    with pytest.raises(urllib.error.HTTPError) as late:
        valves(station, OPEN, "Ana", fence=lease["fence"])
    assert late.value.code == 409
    assert valves(station, OPEN, "Ben")["result"]["outcome"] == "verified"


def test_control_that_is_not_renewed_is_lost_and_made_safe(station):
    station.call("POST", "/v1/control/lease", {"by": "Ana", "ttl_s": 1})
    lease = station.call("GET", "/v1/control")["lease"]
    valves(station, OPEN, "Ana", fence=lease["fence"])
    assert positions(station)[0] == 1
    until(lambda: positions(station) == CLOSED, 10, "the safe state after control was lost")
    assert station.call("GET", "/v1/control")["lease"] is None


def test_stop_all_is_for_everybody_and_stays_until_it_is_reset_in_two_steps(station):
    valves(station, OPEN, "Ana")
    stopped = station.call("POST", "/v1/control/stop", {"by": "Eve", "reason": "leak"})
    assert stopped["stopped"] and stopped["sent"] == {"stand": "sent"}
    until(lambda: positions(station) == CLOSED, what="the safe state")
    with pytest.raises(urllib.error.HTTPError) as refused:
        valves(station, OPEN, "Ana")
    assert refused.value.code == 409 and "Eve" in told(refused)["detail"]
    station.kill_engine()
    station.start()
    until(lambda: station.call("GET", "/v1/instruments/stand")["state"] == "acquiring", what="the stand")
    assert station.call("GET", "/v1/control")["stop"]["reason"] == "leak"  # it outlives the program
    with pytest.raises(urllib.error.HTTPError):
        station.call("POST", "/v1/control/stop/reset", {"by": "Ana", "confirm": 99})
    first = station.call("POST", "/v1/control/stop/reset", {"by": "Ana"})
    assert first["stopped"]
    assert not station.call("POST", "/v1/control/stop/reset", {"by": "Ana", "confirm": first["confirm"]})[
        "stopped"
    ]
    assert positions(station) == CLOSED  # the reset moves nothing
    until(lambda: station.call("GET", "/v1/control")["interlocks"][0]["state"] == "ok", what="fresh data")
    assert valves(station, OPEN, "Ana")["result"]["outcome"] == "verified"


def test_stop_all_on_the_command_line_needs_no_front(station):
    valves(station, OPEN, "Ana")
    front = station.front()
    front.suspend()
    try:
        command = [sys.executable, "-m", "kymograph", "stop-all", "--data", str(station.data), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        assert json.loads(done.stdout)["sent"] == {"stand": "sent"}
    finally:
        front.resume()
    until(lambda: positions(station) == CLOSED, what="the safe state")


def test_the_audit_tells_it_all_and_nobody_can_change_it(station):
    valves(station, OPEN, "Ana")
    station.call("POST", "/v1/control/stop", {"by": "Eve", "reason": "leak"})
    audit = [sys.executable, "-m", "kymograph", "audit"]
    listed = subprocess.run(
        [*audit, "ls", str(station.data), "--json"], capture_output=True, text=True, timeout=20, check=True
    ).stdout
    for words in ("Ana", "set_valves", "command acknowledged", "Eve", "leak", "stop all"):
        assert words in listed
    assert subprocess.run([*audit, "verify", str(station.data)], timeout=20).returncode == 0
    station.stop()
    path = station.data / "audit.jsonl"
    path.write_text(path.read_text().replace("Eve", "Bob"))
    assert subprocess.run([*audit, "verify", str(station.data)], timeout=20).returncode == 1


def test_a_permit_of_one_valve_refuses_that_valve_only(station):
    assert valves(station, OPEN, "Ana")["result"]["outcome"] == "verified"
    with pytest.raises(urllib.error.HTTPError) as refused:
        valves(station, [1, 0, 0, 0, 0, 0, 0, 0, 1], "Ana")
    assert refused.value.code == 409 and "no pressure, no ignition" in told(refused)["detail"]
    assert positions(station) == OPEN
    assert valves(station, CLOSED, "Ana")["result"]["outcome"] == "verified"


def test_silence_is_unsafe(tmp_path):
    tables = STAND.replace('trip = "stand.P1 > 1000"', 'trip = "stand.P1 > 1000"\nmax_age_s = 0.5')
    with RunningStation(tmp_path, tables) as station:
        until(lambda: station.call("GET", "/v1/control")["interlocks"][0]["state"] == "ok", what="fresh data")
        station.call("POST", "/v1/instruments/stand/stop")
        until(
            lambda: station.call("GET", "/v1/control")["interlocks"][0]["state"] == "tripped", what="the trip"
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            valves(station, OPEN, "Ana")
        assert refused.value.code == 409
        assert valves(station, CLOSED, "Ana")["result"]["outcome"] != "contradicted"  # never refused
