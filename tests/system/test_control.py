"""A test stand under control: two people, one lease; interlocks; arming; a stop for all; the audit."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from kymograph.cli.app import run
from kymograph.client import connect
from kymograph.model.errors import InvalidInput
from kymograph.web.times import rfc3339
from tests.running import RunningStation, until

pytestmark = pytest.mark.timeout(120)

STAND = """
[instruments.stand]
driver = "stm32"
port = "sim://stm32?rate_hz=50"

[control]
armed = ["stand.PURGE2"]

[interlocks.tank]
trip = "stand.P1 > 1000"
max_age_s = 10
applies_to = ["stand"]
actions = "safe"
message = "tank pressure too high"

[interlocks.ignition]
permit = "stand.P1 > 1000"
max_age_s = 10
applies_to = ["stand.IGNITION"]
message = "no pressure, no ignition"

[interlocks.purge]
permit = 'stand.FUEL1 == "closed" and stand.state == "acquiring"'
max_age_s = 10
applies_to = ["stand.PURGE1"]
message = "close the fuel before you purge"

[interlocks.fresh]
permit = "stand.P2 < 1000"
max_age_s = 0.5
applies_to = ["stand.FUEL2"]
"""
CLOSED = [0] * 9
OPEN = [1, 0, 0, 0, 0, 0, 0, 0, 0]
PURGE1, PURGE2, FUEL1, FUEL2, IGNITION = 2, 3, 4, 7, 8


def opened(*which):
    return [int(valve in which) for valve in range(9)]


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with RunningStation(tmp_path_factory.mktemp("control"), STAND) as station:
        yield station


@pytest.fixture
def station(running):
    """The one station of these tests, as if nothing had happened to it."""
    ready(running)
    yield running
    told = control(running)
    if told["stopped"]:
        number = running.call("POST", "/v1/control/stop/reset", {})["confirm"]
        running.call("POST", "/v1/control/stop/reset", {"confirm": number})
    running.call("POST", "/v1/control/lease/break", {"by": "test"})
    until(lambda: positions(running) == CLOSED, what="the safe state after a test")


def control(station):
    return station.call("GET", "/v1/control")


def locks(station):
    return {one["name"]: one["state"] for one in control(station)["interlocks"]}


def ready(station):
    until(lambda: station.call("GET", "/v1/instruments/stand")["state"] == "acquiring", what="the stand")
    until(lambda: locks(station)["tank"] == "ok" and positions(station) == CLOSED, what="fresh data")


def valves(station, values, by="Ana", key="", **more):
    body = {"arguments": {"valves": values}, "by": by, **more}
    headers = {"content-type": "application/json", **({"Idempotency-Key": key} if key else {})}
    path = f"{station.url}/v1/instruments/stand/commands/set_valves"
    request = urllib.request.Request(path, json.dumps(body).encode(), headers, method="POST")
    return json.loads(urllib.request.urlopen(request, timeout=40).read())


def refused(station, values, by="Ana", **more):
    """Return the reason why valves cannot be set."""
    with pytest.raises(urllib.error.HTTPError) as error:
        valves(station, values, by, **more)
    assert error.value.code == 409
    return json.loads(error.value.read())["detail"]


def positions(station):
    return [one["value"] for one in control(station)["actuators"]]


def kymograph(*arguments, **more):
    command = [sys.executable, "-m", "kymograph", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, **more)


def test_one_person_holds_control_and_the_others_are_told_who(station):
    lease = station.call("POST", "/v1/control/lease", {"by": "Ana", "ttl_s": 20})
    done = valves(station, OPEN)
    assert (done["result"]["outcome"], done["state"]) == ("verified", "verified")
    assert control(station)["commands"][-1]["id"] == done["id"]
    assert "Ana" in refused(station, CLOSED, "Ben")
    assert positions(station)[0] == 1
    seen = control(station)["lease"]
    assert seen["holder"] == "Ana" and 0 < seen["remaining_s"] <= 30
    station.call("POST", "/v1/control/lease/release", {"by": "Ana"})
    until(lambda: positions(station) == CLOSED, what="the safe state after control was given back")
    refused(station, OPEN, fence=lease["fence"])
    assert valves(station, OPEN, "Ben")["state"] == "verified"


def test_control_that_is_not_renewed_is_lost_and_made_safe(station):
    station.call("POST", "/v1/control/lease", {"by": "Ana", "ttl_s": 3})
    valves(station, OPEN, fence=control(station)["lease"]["fence"])
    assert positions(station)[0] == 1
    until(lambda: positions(station) == CLOSED, what="the safe state after control was lost")
    assert control(station)["lease"] is None


def test_control_goes_from_hand_to_hand_and_nothing_moves_by_it(station):
    first = station.call("POST", "/v1/control/lease", {"by": "Ana", "ttl_s": 30})
    valves(station, OPEN)
    given = station.call("POST", "/v1/control/lease/handover", {"by": "Ana", "to": "Ben", "ttl_s": 30})
    assert given["holder"] == "Ben" and given["fence"] > first["fence"]
    assert positions(station) == OPEN
    assert "Ben" in refused(station, CLOSED, fence=first["fence"])
    assert valves(station, CLOSED, "Ben", fence=given["fence"])["state"] == "verified"


def test_what_is_to_be_armed_takes_two_steps(station):
    assert "stand.PURGE2 is not armed" in refused(station, opened(PURGE2))
    station.call("POST", "/v1/control/arm", {"target": "stand.PURGE2", "by": "Ana", "ttl_s": 30})
    assert control(station)["armed"][0]["by"] == "Ana"
    assert valves(station, opened(PURGE2))["state"] == "verified"
    assert control(station)["armed"] == []
    assert valves(station, CLOSED)["state"] == "verified"
    assert "not armed" in refused(station, opened(PURGE2))
    station.call("POST", "/v1/control/arm", {"target": "stand.PURGE2", "by": "Ana", "ttl_s": 30})
    station.call("POST", "/v1/control/disarm", {"target": "stand.PURGE2", "by": "Ben"})
    assert "not armed" in refused(station, opened(PURGE2))


def test_one_key_is_one_command_also_for_another_front(station):
    first = valves(station, OPEN, key="once")
    front = station.front()
    front.send_signal(signal.SIGKILL)
    until(lambda: (now := station.front()) is not None and now.pid != front.pid, what="another front")
    until(lambda: answers(station), 40, "an answer of the other front")
    valves(station, CLOSED)
    assert valves(station, OPEN, key="once")["id"] == first["id"]
    assert positions(station) == CLOSED


def answers(station):
    try:
        return control(station)
    except OSError:
        return None


def test_who_gives_a_command_says_how_long_it_may_wait(station):
    assert valves(station, OPEN, late_s=5)["state"] == "verified"
    with pytest.raises(urllib.error.HTTPError) as error:
        valves(station, CLOSED, late_s=6)
    assert error.value.code == 422
    command = ["control", "command", "stand", "set_valves", "valves=000000000", "--by", "Ana"]
    assert run([*command, "--late", "5", "--data", str(station.data)]) == 0
    assert run([*command, "--late", "6", "--data", str(station.data)]) == 2
    station.call("POST", "/v1/control/lease/break", {"by": "test"})
    with connect(station.url) as client:
        stand = client.instrument("stand")
        assert stand.command("set_valves", valves=OPEN, late_s=5)["state"] == "verified"
        with pytest.raises(InvalidInput):
            stand.command("set_valves", valves=CLOSED, late_s=6)
    assert positions(station) == OPEN


def test_what_is_told_of_control_says_what_a_page_needs(station):
    before_ns = time.time_ns()
    valves(station, OPEN)
    told = control(station)
    assert not any(one["stale"] for one in told["interlocks"])
    assert {one["name"] for one in told["actuators"] if one["needs_arming"]} == {"PURGE2"}
    last = told["commands"][-1]
    assert before_ns <= last["time_ns"] <= time.time_ns()
    assert last["time"] == rfc3339(last["time_ns"])


def test_stop_all_is_for_everybody_and_stays_until_it_is_reset_in_two_steps(station):
    valves(station, OPEN)
    stopped = station.call("POST", "/v1/control/stop", {"by": "Eve", "reason": "leak"})
    assert stopped["stopped"] and stopped["sent"] == {"stand": "sent"}
    until(lambda: positions(station) == CLOSED, what="the safe state")
    assert "Eve" in refused(station, OPEN)
    station.kill_engine()
    station.start()
    ready(station)
    assert control(station)["stop"]["reason"] == "leak"  # it outlives the program
    with pytest.raises(urllib.error.HTTPError):
        station.call("POST", "/v1/control/stop/reset", {"by": "Ana", "confirm": 99})
    first = station.call("POST", "/v1/control/stop/reset", {"by": "Ana"})
    assert first["stopped"]
    second = station.call("POST", "/v1/control/stop/reset", {"by": "Ana", "confirm": first["confirm"]})
    assert not second["stopped"] and positions(station) == CLOSED  # the reset moves nothing
    assert valves(station, OPEN)["state"] == "verified"


def test_stop_all_on_the_command_line_needs_no_front(station):
    valves(station, OPEN)
    front = station.front()
    front.suspend()
    try:
        done = kymograph("stop-all", "--data", station.data, "--json", check=True)
        assert json.loads(done.stdout)["sent"] == {"stand": "sent"}
    finally:
        front.resume()
    until(lambda: positions(station) == CLOSED, what="the safe state")


def test_the_command_line_can_do_it_all(station, capsys):
    def ask(*arguments, code=0):
        assert run(["control", *arguments, "--data", str(station.data), "--json"]) == code
        said = capsys.readouterr()
        return json.loads(said.out or said.err)

    assert ask("take", "--by", "Ana", "--for", "300")["holder"] == "Ana"
    moved = ask("command", "stand", "set_valves", "valves=100000000", "--by", "Ana")
    assert moved["state"] == "verified" and positions(station) == OPEN
    error = ask("command", "stand", "set_valves", "valves=000000000", "--by", "Ben", code=1)["error"]
    assert "Ana" in error["message"]
    assert ask("command", "stand", "dance", "--by", "Ana", code=1)["error"]["code"] == "not_found"
    assert ask("arm", "stand.PURGE2", "--by", "Ana")["target"] == "stand.PURGE2"
    assert ask("disarm", "stand.PURGE2")["armed"] == []
    assert ask("hand-over", "Ben", "--by", "Ana")["holder"] == "Ben"
    assert ask("break")["lease"] is None
    assert ask("reset-interlock", "tank")["stopped"] is False
    station.call("POST", "/v1/control/stop", {"by": "Eve"})
    number = ask("reset-stop")["confirm"]
    assert not ask("reset-stop", "--confirm", str(number))["stopped"]
    assert run(["control", "status", "--data", str(station.data)]) == 0
    text = capsys.readouterr().out
    assert "Control: nobody" in text and "stand.RELIEF1" in text and "verified" in text


def test_control_is_held_from_the_command_line_until_it_is_interrupted(station):
    command = [sys.executable, "-m", "kymograph", "control", "take", "--hold", "--for", "2", "--by", "Ana"]
    holding = subprocess.Popen([*command, "--data", str(station.data)], stderr=subprocess.DEVNULL)
    try:
        until(
            lambda: (held := control(station)["lease"]) and held["held_s"] > 2.2, what="a lease that is kept"
        )
        valves(station, OPEN)
        holding.send_signal(signal.SIGINT)
        assert holding.wait(20) == 0
    finally:
        holding.kill()
    assert control(station)["lease"] is None
    until(lambda: positions(station) == CLOSED, what="the safe state after control was given back")


def test_the_audit_tells_it_all_and_nobody_can_change_it(station, tmp_path):
    valves(station, OPEN)
    station.call("POST", "/v1/control/stop", {"by": "Eve", "reason": "leak"})
    listed = kymograph("audit", "ls", station.data, "--json", check=True).stdout
    for words in ("Ana", "set_valves", "command acknowledged", "command verified", "Eve", "leak", "stop all"):
        assert words in listed
    assert kymograph("audit", "verify", station.data).returncode == 0
    changed = tmp_path / "data"
    changed.mkdir()
    (changed / "audit.jsonl").write_text((station.data / "audit.jsonl").read_text().replace("Eve", "Bob"))
    assert kymograph("audit", "verify", changed).returncode == 1


def test_a_permit_of_one_valve_refuses_that_valve_only(station):
    assert valves(station, OPEN)["state"] == "verified"
    assert "no pressure, no ignition" in refused(station, opened(0, IGNITION))
    assert positions(station) == OPEN
    assert valves(station, opened(PURGE1))["state"] == "verified"
    assert valves(station, opened(FUEL1))["state"] == "verified"
    assert "close the fuel before you purge" in refused(station, opened(FUEL1, PURGE1))
    assert valves(station, CLOSED)["state"] == "verified"


def test_silence_is_unsafe(station):
    station.call("POST", "/v1/instruments/stand/stop")
    try:
        until(lambda: locks(station)["fresh"] == "tripped", what="the refusal of what is silent")
        assert "stale" in refused(station, opened(FUEL2))
        assert valves(station, CLOSED)["result"]["outcome"] != "contradicted"  # never refused
    finally:
        station.call("POST", "/v1/instruments/stand/start")
