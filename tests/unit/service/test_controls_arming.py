"""Arm, then execute; control that goes from hand to hand; and interlocks that look at states and places."""

import pytest

from kymograph.control.command_life import Order
from kymograph.model.errors import ConfigError, Conflict, InvalidInput, NotFound, Refused
from kymograph.service.control.standing import Standing
from tests.unit.acquire.test_safe import until
from tests.unit.service.tank import Tank, events, tanks

ARMED = ["tank.lighter"]


@pytest.fixture
def make(tmp_path, monkeypatch):
    with tanks(tmp_path, monkeypatch) as (make, _):
        yield make


@pytest.fixture
def bench(make):
    return Tank.bench


@pytest.fixture
def station(make):
    return make(ARMED)


def turn(station, value, by="Ana", fence=None):
    return station.command("tank", "turn", {"value": value}, by, fence=fence)


def burn(station, value, by="Ana", fence=None):
    return station.command("tank", "burn", {"value": value}, by, fence=fence)


def armed(station):
    return [one["target"] for one in station.control.status()["armed"]]


# -- arming ------------------------------------------------------------------------------------------------
def test_what_is_to_be_armed_is_refused_until_it_is_and_then_done_once(station):
    turn(station, 1)  # what need not be armed goes as ever
    with pytest.raises(Refused, match=r"tank\.lighter is not armed"):
        burn(station, 1)
    told = station.control.arm("tank.lighter", "Ana", 10)
    assert 9 < told["remaining_s"] <= 10 and armed(station) == ["tank.lighter"]
    assert burn(station, 1)["state"] == "verified"
    assert armed(station) == []
    with pytest.raises(Refused, match="not armed"):
        burn(station, 1)
    assert burn(station, 0)["result"] == 0  # what only makes safe needs no arming


def test_an_arming_ends_with_its_time(station):
    station.control.arm("tank.lighter", "Ana", 0.2)
    until(lambda: armed(station) == [])
    with pytest.raises(Refused):
        burn(station, 1)
    until(lambda: any(body.get("why") == "its time was over" for body in events(station, "state")))


@pytest.mark.parametrize("how", ["stop", "release", "break", "hand over"])
def test_an_arming_ends_with_control_and_with_a_stop(station, how):
    station.control.arm("tank.lighter", "Ana", 60)
    if how == "stop":
        station.control.stop_all("Eve")
        number = station.control.reset_stop("Ana")["confirm"]
        station.control.reset_stop("Ana", number)
    elif how == "hand over":
        station.control.hand_over("Ana", "Ben", 30)
        station.control.hand_over("Ben", "Ana", 30)
    else:
        station.control.give_up("Ana" if how == "release" else "admin", break_=how == "break")
    with pytest.raises(Refused, match="not armed"):
        burn(station, 1)


def test_an_arming_is_of_who_has_control(station):
    station.control.arm("tank.lighter", "Ana", 60)
    with pytest.raises(Conflict, match="Ana"):
        station.control.arm("tank.lighter", "Ben", 60)
    assert station.control.disarm("tank.lighter", "Ben")["armed"] == []  # anybody may
    station.control.stop_all("Eve")
    with pytest.raises(Refused, match="Eve"):
        station.control.arm("tank.lighter", "Ana", 60)


@pytest.mark.parametrize(
    ("target", "ttl_s", "error"),
    [("tank.valve", 5, NotFound), ("sequence/a b", 5, InvalidInput), ("tank.lighter", 600, InvalidInput)],
)
def test_only_what_is_to_be_armed_can_be(station, target, ttl_s, error):
    with pytest.raises(error):
        station.control.arm(target, "Ana", ttl_s)


def test_a_run_is_armed_as_a_whole(station):
    assert station.control.needs_arming("tank", ["valve", "lighter"])
    assert not station.control.needs_arming("tank", ["valve"])
    lease = station.control.lease_for("Ana")
    with pytest.raises(Refused):
        station.control.spend("sequence/hot", lease)
    station.control.arm("sequence/hot", "Ana", 10)
    station.control.spend("sequence/hot", lease)
    order = Order("tank", "burn", {"value": 1}, "Ana", lease.fence)
    assert station.control.command(order, Standing.RUN) == 1
    assert armed(station) == []


# -- from hand to hand -------------------------------------------------------------------------------------
def test_control_is_handed_over_without_a_moment_between(station):
    upset = []
    station.control.on_upset(upset.append)
    fence = station.control.take("Ana", 30)["fence"]
    turn(station, 1, fence=fence)
    with pytest.raises(Conflict):
        station.control.hand_over("Ben", "Ben", 30)
    given = station.control.hand_over("Ana", "Ben", 30)
    assert given["holder"] == "Ben" and given["fence"] > fence
    assert station.control.status()["actuators"][0]["value"] == 1.0  # nothing is made safe
    with pytest.raises(Conflict, match="Ben"):
        turn(station, 0, fence=fence)
    turn(station, 0, "Ben", given["fence"])
    assert upset == ["Ana's control was handed over"]
    until(lambda: any(body.get("control") == "handed over" for body in events(station, "state")))


def test_nobody_can_hand_over_what_nobody_has(station):
    with pytest.raises(Conflict, match="nobody"):
        station.control.hand_over("Ana", "Ben", 30)


def test_runs_are_told_of_everything_that_ends_them(make, bench):
    upset = []
    station = make(high={"trip": "tank.p > 30", "latched": False, "max_age_s": 5})
    station.control.on_upset(upset.append)
    station.control.take("Ana", 30)
    station.control.give_up("Ana")
    station.control.take("Ana", 0.5)
    until(lambda: len(upset) == 2)
    station.control.stop_all("Eve", "leak")
    bench.pressure = 40.0
    until(lambda: len(upset) == 4)
    assert "released" in upset[0] and "expired" in upset[1]
    assert upset[2] == "everything was stopped by Eve: leak" and "high tripped" in upset[3]


# -- words -------------------------------------------------------------------------------------------------
def test_a_permit_looks_at_where_an_actuator_is(make):
    permit = {"permit": 'tank.valve == "closed"', "applies_to": ["tank.lighter"], "message": "close it first"}
    station = make(purge=permit)
    until(lambda: station.control.status()["interlocks"][0]["state"] == "ok")
    turn(station, 1)
    with pytest.raises(Refused, match="close it first"):
        burn(station, 1)
    turn(station, 0)
    until(lambda: station.control.status()["interlocks"][0]["state"] == "ok")
    assert burn(station, 1)["state"] == "verified"


def test_a_place_that_is_not_known_is_unsafe(make, bench):
    station = make(purge={"permit": "tank.valve == 0", "applies_to": ["tank.lighter"], "max_age_s": 0.3})
    until(lambda: station.control.status()["interlocks"][0]["state"] == "ok")
    bench.shows = False
    with pytest.raises(Refused):
        burn(station, 1)
    bench.shows = True
    until(lambda: station.control.status()["interlocks"][0]["state"] == "ok")
    burn(station, 1)


def test_an_interlock_looks_at_what_an_instrument_does(make, bench):
    station = make(watch={"trip": 'tank.state != "acquiring"', "actions": "safe", "latched": False})
    until(lambda: station.control.status()["interlocks"][0]["state"] == "ok")
    turn(station, 1)
    bench.wire.clear()
    station.act("tank", "stop")
    until(lambda: "safe" in bench.wire)
    until(lambda: station.control.status()["interlocks"][0]["state"] == "tripped")
    station.act("tank", "start")
    until(lambda: station.control.status()["interlocks"][0]["state"] == "ok")


def test_an_interlock_s_own_commands_pass_everything_and_are_told(make, bench):
    action = {"instrument": "tank", "command": "turn", "arguments": {"value": 5}}
    station = make(high={"trip": "tank.p > 30", "actions": [action], "max_age_s": 5})
    station.control.take("Ana", 30)
    bench.pressure = 40.0
    until(lambda: "turn 5" in bench.wire)
    until(lambda: [one["by"] for one in station.control.status()["commands"]] == ["interlock high"])
    until(lambda: station.control.status()["commands"][0]["state"] == "verified")


def test_a_wrong_name_of_what_is_to_be_armed_is_an_error_at_the_start(make):
    with pytest.raises(ConfigError, match=r"control\.armed: there is no tank\.ligter") as wrong:
        make(["tank.ligter"])
    assert "tank.lighter" in wrong.value.hint


def test_each_actuator_says_whether_it_needs_arming(station):
    said = {one["name"]: one["needs_arming"] for one in station.control.status()["actuators"]}
    assert said == {"valve": False, "lighter": True}
