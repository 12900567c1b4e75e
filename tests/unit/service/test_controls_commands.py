"""A command's way through the engine: each step told, nothing late, nothing twice, and what proves it."""

import threading
import time

import pytest

from kymograph.control.audit import read
from kymograph.control.command_life import Order
from kymograph.model.errors import Conflict, DeviceError, InvalidInput, KymographError, Refused, TimedOut
from kymograph.service.control.standing import Standing
from tests.unit.acquire.test_safe import until
from tests.unit.service.tank import events, tanks


@pytest.fixture
def made(tmp_path, monkeypatch):
    with tanks(tmp_path, monkeypatch) as (make, bench):
        yield make(), bench


@pytest.fixture
def station(made):
    return made[0]


@pytest.fixture
def bench(made):
    return made[1]


def turn(station, value, by="Ana", **more):
    return station.command("tank", "turn", {"value": value}, by, **more)


def commands(station):
    return station.control.status()["commands"]


def apart(errors, work, *arguments):
    """Do something beside the test; what it raises is put into a list."""

    def done():
        try:
            work(*arguments)
        except KymographError as error:
            errors.append(error)

    thread = threading.Thread(target=done)
    thread.start()
    return thread


def test_each_step_is_an_event_and_a_line_of_the_audit(station, tmp_path):
    done = turn(station, 1)
    assert (done["result"], done["state"]) == (1, "verified")
    steps = ["accepted", "sent", "acknowledged", "verified"]
    until(lambda: [body["state"] for body in events(station, "command")] == steps)
    told = [event for event in reversed(station.events()) if event["kind"] == "command"]
    assert {event["id"] for event in told} == {done["id"]}
    assert [event["revision"] for event in told] == [0, 1, 2, 3]
    assert {event["source"] for event in told} == {"instrument/tank"}
    assert told[-1]["body"]["by"] == "Ana" and told[-1]["body"]["fence"]
    lines = [entry.what for entry in read(tmp_path / "data" / "audit.jsonl")]
    assert [what for what in lines if what.startswith("command")] == [f"command {step}" for step in steps]
    assert commands(station)[-1]["state"] == "verified"


def test_one_key_is_one_command(station, bench):
    first = turn(station, 1, key="k")
    turn(station, 0)
    again = turn(station, 1, key="k")
    assert (again["id"], again["result"]) == (first["id"], 1)
    assert bench.wire == ["safe", "turn 1", "turn 0"]
    with pytest.raises(Conflict):
        turn(station, 2, key="k")


def test_a_key_that_comes_again_at_once_waits_for_the_same_answer(station, bench):
    bench.answers.clear()
    errors = []
    waiting = [apart(errors, lambda: turn(station, 1, key="k")) for _ in range(3)]
    assert bench.sending.wait(10)
    bench.answers.set()
    for thread in waiting:
        thread.join(10)
    assert not errors and bench.wire == ["safe", "turn 1"]


def test_what_was_refused_stays_refused_under_its_key(station):
    station.control.take("Ben", 60)
    with pytest.raises(Conflict):
        turn(station, 1, key="k")
    station.control.give_up("Ben")
    with pytest.raises(Refused):
        turn(station, 1, key="k")
    assert commands(station)[-1]["state"] == "refused" and "Ben" in commands(station)[-1]["reason"]


def test_what_comes_late_is_dropped_and_said_so(station, bench):
    bench.answers.clear()
    errors = []
    first = apart(errors, turn, station, 1)
    assert bench.sending.wait(10)
    with pytest.raises(TimedOut) as late:
        station.control.command(Order("tank", "turn", {"value": 2}, "Ana", late_s=0.2))
    until(lambda: "timed_out" in [one["state"] for one in commands(station)])
    bench.answers.set()
    first.join(10)
    turn(station, 3)
    assert not errors and bench.wire == ["safe", "turn 1", "turn 3"]
    ended = next(one for one in commands(station) if one["id"] == late.value.facts["command_id"])
    assert ended["state"] == "timed_out" and ended["arguments"] == {"value": 2}


def test_a_link_that_goes_leaves_what_was_under_way_unknown(station, bench):
    bench.answers.clear()
    errors = []
    under_way = apart(errors, turn, station, 1)
    assert bench.sending.wait(10)
    waiting = apart(errors, turn, station, 2)
    until(lambda: len(commands(station)) == 2)
    bench.gone = True
    under_way.join(10)
    waiting.join(10)
    assert sorted(one["state"] for one in commands(station)) == ["refused", "unknown"]
    assert len(errors) == 2
    with pytest.raises(Refused):
        turn(station, 3)
    bench.wire.clear()
    bench.gone = False
    until(lambda: station.instruments()[0]["state"] == "acquiring", 20)
    assert bench.wire == ["safe"]  # nothing moves that was asked for while the link was gone


def test_what_the_device_shows_later_is_proved_later(station, bench):
    bench.shows = False
    assert turn(station, 1)["state"] == "acknowledged"
    bench.shows = True
    until(lambda: commands(station)[-1]["state"] == "verified")


def test_a_device_that_shows_otherwise_has_failed(station, bench, monkeypatch):
    monkeypatch.setattr("kymograph.service.control.command_desk.SEEN_S", 0.2)
    bench.obeys = False
    assert turn(station, 1)["state"] == "acknowledged"
    until(lambda: commands(station)[-1]["state"] == "failed")
    assert "valve is 0, not 1" in commands(station)[-1]["reason"]


def test_a_device_that_shows_nothing_has_acknowledged(station, bench, monkeypatch):
    monkeypatch.setattr("kymograph.service.control.command_desk.SEEN_S", 0.2)
    bench.shows = False
    turn(station, 1)
    time.sleep(0.5)
    assert commands(station)[-1]["state"] == "acknowledged"
    bench.shows = True
    time.sleep(0.2)
    assert commands(station)[-1]["state"] == "acknowledged"


def test_a_stop_does_not_wait_for_the_proof_and_comes_over_it(station, bench):
    bench.shows = False
    turn(station, 1)
    station.control.stop_all("Eve")
    assert bench.wire[-1] == "safe"
    until(lambda: commands(station)[-1]["state"] == "unknown")
    assert "made safe" in commands(station)[-1]["reason"]


def test_the_next_command_comes_over_the_proof_of_the_one_before(station, bench):
    bench.shows = False
    turn(station, 1)
    turn(station, 0)
    assert [one["state"] for one in commands(station)] == ["unknown", "acknowledged"]


def test_arguments_that_do_not_fit_are_refused_before_anything_is_sent(station, bench):
    with pytest.raises(InvalidInput):
        turn(station, "much")
    assert commands(station)[-1]["state"] == "refused" and bench.wire == ["safe"]


def test_a_bug_in_a_driver_leaves_the_command_unknown(station, monkeypatch):
    def bug(self, *_):
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("tests.unit.service.tank.Tank._do", bug)
    with pytest.raises((ZeroDivisionError, DeviceError)):
        turn(station, 1)
    until(lambda: commands(station)[-1]["state"] == "unknown")


def test_an_emergency_passes_the_stop_the_lease_and_what_waits(station, bench):
    lease = station.control.take("Ana", 60)
    bench.answers.clear()
    errors = []
    waiting = [apart(errors, lambda v=v: turn(station, v, fence=lease["fence"])) for v in (1, 2)]
    assert bench.sending.wait(10)
    station.control.press("Eve", "fire")
    order = Order("tank", "turn", {"value": 7}, "Eve")
    urgent = apart([], station.control.command, order, Standing.EMERGENCY)
    until(lambda: "turn 1" in bench.wire)  # it leaves, as something must go before all that waits
    bench.answers.set()
    for thread in (urgent, *waiting):
        thread.join(10)
    assert bench.wire[2] == "turn 7" and bench.wire[3:] == []
    assert [type(error) for error in errors] == [Refused]


def test_the_last_steps_need_no_lease_and_endanger_nothing(station, bench):
    station.control.take("Ana", 60)
    last = [Order("tank", "turn", {"value": value}, "run") for value in (1, 0)]
    assert station.control.command(last[0], Standing.LAST) == 1
    station.control.stop_all("Eve")
    with pytest.raises(Refused, match="Eve"):
        station.control.command(last[0], Standing.LAST)
    assert station.control.command(last[1], Standing.LAST) == 0


def test_its_giver_says_how_long_it_may_wait_to_be_sent(station, bench):
    bench.answers.clear()
    errors = []
    first = apart(errors, turn, station, 1)
    assert bench.sending.wait(20)
    with pytest.raises(TimedOut):
        turn(station, 2, late_s=0.05)
    bench.answers.set()
    first.join(20)
    turn(station, 0)
    assert errors == []
    assert bench.wire == ["safe", "turn 1", "turn 0"]


@pytest.mark.parametrize("late_s", [0, -1, 0.001, 6, float("nan"), float("inf")])
def test_that_time_has_bounds(station, bench, late_s):
    with pytest.raises(InvalidInput, match="late_s"):
        turn(station, 1, late_s=late_s)
    assert bench.wire == ["safe"] and commands(station) == []


def test_a_listed_command_says_when_it_was_accepted(station):
    before_ns = time.time_ns()
    turn(station, 1)
    assert before_ns <= commands(station)[-1]["time_ns"] <= time.time_ns()
