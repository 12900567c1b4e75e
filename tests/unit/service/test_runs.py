"""Runs of sequences on a whole station: in order, with a record, and safe on every way out."""

import json
import threading
import time
from contextlib import suppress
from random import Random

import numpy as np
import pytest

from kymograph.config import parse
from kymograph.drivers import registry
from kymograph.drivers.base import Driver, DriverOptions, command
from kymograph.model.actuator import Actuator
from kymograph.model.block import Rows
from kymograph.model.channel import Channel, Stream
from kymograph.model.errors import Conflict, DeviceError, InvalidInput, NotFound, Refused
from kymograph.model.limits import SEQUENCE_BYTES_MAX
from kymograph.service.runs.runs import KILLED
from kymograph.service.station import Station

WIRE: list[object] = []
VALUE = [1.0]
FAULTS: set[str] = set()
GO = threading.Event()


def until(condition, timeout_s=20.0):
    deadline = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not become so"
        time.sleep(0.005)
    return found


class Tank(Driver[DriverOptions]):
    """A pressure that the test sets, and a valve; everything that went over its wire."""

    place = 0.0

    def open(self):
        if "unplugged" in FAULTS:
            raise DeviceError("there is no cable")
        return {"firmware": "7"}

    def streams(self):
        return [Stream("reading", (Channel("p", "float64", "bar"),), 0.0)]

    def actuators(self):
        return [Actuator("valve", high=9.0, safe=0.0)]

    def moves(self, command, arguments):
        return ["valve"] if arguments.get("value") else []

    def expects(self, command, arguments):
        return {"valve": float(arguments["value"])} if command == "turn" else {}

    def read_back(self):
        return {"valve": self.place}

    def read(self, timeout_s):
        if "unplugged" in FAULTS:
            raise DeviceError("the cable is out")
        self.stop_wanted.wait(0.005)
        return [Rows("reading", np.array([self.clock.now_ns()]), [np.array(VALUE)])]

    def make_safe(self):
        self.place = 0.0
        WIRE.append("safe")

    @command
    def turn(self, value: int, wait: bool = True) -> dict[str, object]:
        if "no" in FAULTS:
            raise Refused("the device says no")
        if value == 9:
            WIRE.append("busy")
            GO.wait(20)
        if "jammed" not in FAULTS:
            self.place = float(value)
        WIRE.append(value)
        return {"outcome": "done"}


ONE = """
name: one
parameters:
  last: {type: integer, default: 0, low: 0, high: 5}
steps:
  - command: {instrument: tank, command: turn, arguments: {value: 1}}
  - wait_until: {condition: tank.p > 10, timeout: 60}
  - command: {instrument: tank, command: turn, arguments: {value: 2}}
  - event: {text: "there it is", fields: {n: 2}}
always:
  - command: {instrument: tank, command: turn, arguments: {value: "${last}"}}
"""
EMERGENCY = """
name: emergency
steps: []
always:
  - command: {instrument: tank, command: turn, arguments: {value: 5}}
  - wait: 0.2
  - command: {instrument: tank, command: turn, arguments: {value: 6}}
  - wait: 0.2
"""


@pytest.fixture
def make(tmp_path, monkeypatch):
    WIRE.clear()
    FAULTS.clear()
    VALUE[0] = 1.0
    monkeypatch.setitem(registry.OURS, "tank", f"{__name__}:Tank")
    monkeypatch.setattr(registry, "find", lambda name: Tank)
    monkeypatch.setattr(registry, "parse_options", lambda name, options: DriverOptions())
    folder = tmp_path / "sequences"
    folder.mkdir()
    (folder / "one.yaml").write_text(ONE)
    made = []

    def make(sequences=None, **tables):
        for name, text in (sequences or {}).items():
            (folder / f"{name}.yaml").write_text(text)
        control = {"sequences": str(folder), **tables.pop("control", {})}
        station = Station(
            parse(
                {
                    "station": {"name": "stand", "data": str(tmp_path / "data")},
                    "instruments": {"tank": {"driver": "sine"}},
                    "control": control,
                    **tables,
                }
            )
        )
        made.append(station)
        station.start()
        until(lambda: station.instruments()[0]["health"]["rows"] > 2)
        WIRE.clear()
        return station

    yield make
    FAULTS.clear()
    for station in made:
        station.shutdown()


def start(station, sequence="one", **more):
    return station.runs.start({"sequence": sequence, "by": "Ana", **more})["id"]


def ended(station, run_id):
    return until(lambda: (run := station.runs.get(run_id))["ended_ns"] and run)


def record_of(station, run_id):
    path = next((station.folder.path / "runs").glob(f"*_{run_id[:8]}")) / "run.json"
    return json.loads(path.read_text())


def waiting(station, run_id):
    until(lambda: station.runs.get(run_id)["waits_for"] == "tank.p > 10")


def test_a_run_goes_through_and_leaves_its_record(make):
    station = make()
    run_id = start(station, parameters={"last": 3})
    waiting(station, run_id)
    seen = station.runs.get(run_id)
    assert (seen["state"], seen["line"], seen["by"], seen["sequence"]) == ("running", 7, "Ana", "one")
    assert 0 < seen["left_s"] <= 60 and seen["timeline"][0]["text"].startswith("tank turn")
    assert record_of(station, run_id)["ended_ns"] is None
    VALUE[0] = 20.0
    run = ended(station, run_id)
    assert (run["state"], run["reason"], run["parameters"]) == ("done", "", {"last": 3})
    assert [value for value in WIRE if value != "safe"] == [1, 2, 3]
    assert [(one["what"], one["outcome"]) for one in run["asked"]] == [("tank turn", "done")] * 3
    assert run["started_ns"] <= run["asked"][0]["told_ns"] <= run["ended_ns"]
    until(lambda: record_of(station, run_id)["ended_ns"])
    kept = record_of(station, run_id)
    assert kept["text"] == ONE and kept["state"] == "done" and len(kept["sha256"]) == 64
    assert kept["instruments"]["tank"]["device"] == {"firmware": "7"} and kept["fence"] == run["fence"]
    assert [one["id"] for one in station.runs.list()] == [run_id]
    said = [one["body"] for one in station.events() if one["source"] == f"run/{run_id}"]
    assert {"text": "there it is", "n": 2} in said
    until(lambda: station.events()[0]["body"].get("state") == "done")


def test_what_is_wrong_is_told_before_anything_moves(make):
    wrong = ONE.replace("name: one", "name: wrong").replace("tank.p > 10", "tank.q > 10")
    large = "# " + "x" * SEQUENCE_BYTES_MAX
    station = make({"wrong": wrong, "two": ONE, "broken": "name: [\n", "large": large})
    for name, error in (
        ("wrong", InvalidInput),
        ("broken", InvalidInput),
        ("none", NotFound),
        ("large", InvalidInput),
        ("two", InvalidInput),
    ):
        with pytest.raises(error):
            start(station, name)
    with pytest.raises(InvalidInput):
        start(station, parameters={"last": 9})
    listed = {one["name"]: one for one in station.runs.sequences()}
    assert listed["one"]["problems"] == [] and not listed["one"]["built_in"]
    assert (
        listed["wrong"]["problems"][0]["line"] == 7 and "tank.q" in listed["wrong"]["problems"][0]["reason"]
    )
    assert listed["broken"]["problems"] and listed["two"]["problems"] and listed["burning"]["built_in"]
    assert station.runs.sequence("one")["text"] == ONE and station.runs.sequence("one")["timeline"]
    assert station.runs.sequence("broken")["timeline"] == []
    assert len(station.runs.sequence("large")["text"]) == SEQUENCE_BYTES_MAX
    assert station.runs.validate("one", {"last": 9})["ok"] is False
    assert station.runs.validate("one", {"last": 4})["timeline"]
    assert WIRE == [] and station.runs.list() == []


def test_one_at_a_time_and_only_for_who_has_control(make):
    station = make()
    station.control.take("Ben", 60)
    with pytest.raises(Conflict, match="Ben"):
        start(station)
    station.control.give_up("Ben")
    run_id = start(station)
    with pytest.raises(Conflict, match="one is running"):
        start(station)
    station.runs.abort(run_id, "Ana")
    assert ended(station, run_id)["state"] == "aborted"
    again = start(station)
    assert station.runs.get(again)["state"] == "running" and again != run_id


def test_the_lease_of_another_is_not_theirs(make, tmp_path):
    station = make()
    fence = station.control.take("Ana", 60)["fence"]
    with pytest.raises(Conflict, match="Ana"):
        start(station, by="Ben", fence=fence)
    run_id = station.runs.start({"sequence": "one", "fence": fence})["id"]
    assert station.runs.get(run_id)["by"] == "Ana"
    station.runs.abort(run_id, "Ana")
    ended(station, run_id)
    audit = tmp_path / "data" / "audit.jsonl"
    for what in ("run started", "run aborted", run_id):
        until(lambda what=what: what in audit.read_text())


def test_pause_resume_and_abort(make):
    station = make()
    run_id = start(station, parameters={"last": 4})
    waiting(station, run_id)
    assert station.runs.pause(run_id, "Ben")["state"] == "paused"
    VALUE[0] = 20.0
    with pytest.raises(Conflict, match="Ana"):
        station.runs.resume(run_id, "Ben")
    assert station.runs.get(run_id)["state"] == "paused" and 2 not in WIRE
    station.runs.resume(run_id, "Ana")
    assert ended(station, run_id)["state"] == "done"
    VALUE[0] = 1.0
    run_id = start(station, parameters={"last": 4})
    waiting(station, run_id)
    station.runs.abort(run_id, "Ben", "enough")
    run = ended(station, run_id)
    assert run["state"] == "aborted" and "Ben: enough" in run["reason"] and WIRE[-1] == 4
    with pytest.raises(Conflict, match="aborted"):
        station.runs.abort(run_id, "Ben")


def lost(station, how):
    if how == "given back":
        station.control.give_up("Ana")
    elif how == "broken":
        station.control.give_up("admin", break_=True)
    else:
        station.control.hand_over("Ana", "Ben", 30)


@pytest.mark.parametrize("how", ["given back", "broken", "handed over"])
def test_a_lost_lease_ends_it_by_its_last_steps(make, how):
    station = make()
    run_id = start(station)
    waiting(station, run_id)
    lost(station, how)
    run = ended(station, run_id)
    assert run["state"] == "failed" and "Ana" in run["reason"]
    assert WIRE[-1] == 0 and run["asked"][-1]["always"] and run["asked"][-1]["outcome"] == "done"


def test_a_lease_that_runs_out_ends_it_unless_it_keeps_it_itself(make):
    station = make()
    station.control.take("Ana", 1)
    fence = station.control.status()["lease"]["fence"]
    run_id = start(station, fence=fence)
    run = ended(station, run_id)
    assert run["state"] == "failed" and "expired" in run["reason"] and WIRE[-1] == 0
    station.control.take("Ana", 1)
    fence = station.control.status()["lease"]["fence"]
    run_id = start(station, fence=fence, keep=True)
    until(lambda: station.control.status()["lease"]["remaining_s"] > 5)
    assert station.runs.get(run_id)["state"] == "running"
    VALUE[0] = 20.0
    assert ended(station, run_id)["state"] == "done"


def test_a_stop_ends_it_and_its_last_steps_may_not_endanger(make):
    station = make()
    run_id = start(station, parameters={"last": 3})
    waiting(station, run_id)
    station.control.stop_all("Eve", "leak")
    run = ended(station, run_id)
    assert run["state"] == "failed" and "Eve: leak" in run["reason"]
    assert run["asked"][-1]["outcome"] == "failed" and "Eve" in run["asked"][-1]["detail"]
    assert run["failures"] and WIRE[-1] == "safe"
    with pytest.raises(Refused, match="Eve"):
        start(station)
    number = station.control.reset_stop("Ana")["confirm"]
    station.control.reset_stop("Ana", number)
    assert station.runs.get(start(station))["state"] == "running"


def test_a_trip_ends_it(make):
    trip = {"trip": "tank.p > 30", "actions": "safe", "applies_to": ["tank"], "max_age_s": 5}
    station = make(interlocks={"high": trip})
    until(lambda: station.control.status()["interlocks"][0]["state"] == "ok")
    text = ONE.replace("name: one", "name: high").replace("tank.p > 10", "tank.p > 99")
    (station.config.control.sequences / "high.yaml").write_text(text)
    run_id = start(station, "high")
    until(lambda: 1 in WIRE)
    VALUE[0] = 40.0
    run = ended(station, run_id)
    assert run["state"] == "failed" and "high" in run["reason"] and WIRE[-1] == 0


def test_what_a_trip_did_outlives_the_last_steps(make):
    relief = {"instrument": "tank", "command": "turn", "arguments": {"value": 5}}
    trip = {"trip": "tank.p > 30", "actions": [relief], "applies_to": ["tank"], "max_age_s": 5}
    station = make(interlocks={"high": trip})
    until(lambda: station.control.status()["interlocks"][0]["state"] == "ok")
    text = ONE.replace("name: one", "name: high").replace("tank.p > 10", "tank.p > 99")
    (station.config.control.sequences / "high.yaml").write_text(text)
    run_id = start(station, "high")
    until(lambda: 1 in WIRE)
    VALUE[0] = 40.0
    assert "high" in ended(station, run_id)["reason"]
    until(lambda: WIRE[-1] == 5)
    assert WIRE.count(5) == 2 and 0 in WIRE, "the last steps closed it, the trip opened it again"
    station.control.stop_all("Eve")
    assert WIRE[-1] == "safe"


def test_a_device_that_goes_ends_it(make):
    station = make()
    run_id = start(station)
    waiting(station, run_id)
    FAULTS.add("unplugged")
    run = ended(station, run_id)
    assert run["state"] == "failed" and "tank is fault" in run["reason"] and run["failures"]
    with pytest.raises(Refused, match="tank is fault"):
        start(station)
    FAULTS.clear()
    until(lambda: station.instruments()[0]["state"] == "acquiring")
    assert WIRE[-1] == "safe"


def test_a_command_that_is_refused_ends_it(make):
    station = make()
    FAULTS.add("no")
    run = ended(station, start(station))
    assert run["state"] == "failed" and "says no" in run["reason"] and len(run["asked"]) == 2


def test_what_was_not_sent_when_it_ends_never_goes(make):
    station = make()
    GO.clear()
    busy = threading.Thread(target=station.command, args=("tank", "turn", {"value": 9}, "Ana"))
    busy.start()
    until(lambda: "busy" in WIRE)
    run_id = start(station, parameters={"last": 3})
    until(lambda: len(station.control.status()["commands"]) == 2)  # it waits for the device
    station.runs.abort(run_id, "Ana")
    until(lambda: len(station.control.status()["commands"]) == 3)
    GO.set()
    busy.join(20)
    run = ended(station, run_id)
    assert run["state"] == "aborted" and WIRE == ["busy", 9, 3]
    until(lambda: "withdrawn" in station.runs.get(run_id)["asked"][0]["detail"])


def test_what_must_be_armed_is_armed_for_the_run(make):
    station = make(control={"armed": ["tank.valve"]})
    with pytest.raises(Refused, match="armed"):
        start(station)
    station.control.take("Ana", 30)
    station.control.arm("sequence/one", "Ana", 30)
    VALUE[0] = 20.0
    assert ended(station, start(station))["state"] == "done"
    with pytest.raises(Refused, match="armed"):
        start(station)


def test_recordings_are_begun_ended_and_named(make):
    text = (
        "name: rec\nsteps:\n  - record: {do: start, name: mine, metadata: {n: 1}}\n"
        "  - wait: 0.3\n  - record: stop\n  - record: stop\n"
    )
    station = make({"rec": text})
    run = ended(station, start(station, "rec"))
    assert run["state"] == "failed" and "no such recording" in run["reason"]
    assert [one["outcome"] for one in run["asked"]] == ["done", "done", "failed"]
    (recording_id,) = run["recordings"]
    files = station.recordings.files(recording_id)
    assert files.recording().name == "mine" and files.recording().metadata == {"n": 1}
    told = [event for event in files.events.read() if event.source == f"run/{run['id']}"]
    assert told and told[0].body["sequence"] == "rec"


def test_a_run_that_a_killed_engine_left_is_closed(make, tmp_path):
    station = make()
    run_id = start(station)
    waiting(station, run_id)
    until(lambda: record_of(station, run_id)["state"] == "running")
    left = record_of(station, run_id)
    station.runs.abort(run_id, "Ana")
    ended(station, run_id)
    station.shutdown()
    path = next((tmp_path / "data" / "runs").glob("*")) / "run.json"
    path.write_text(json.dumps(left))
    run = make().runs.get(run_id)
    assert (run["state"], run["reason"]) == ("failed", KILLED) and run["ended_ns"] == left["written_ns"]


def test_the_end_of_the_engine_goes_through_the_last_steps(make):
    station = make()
    run_id = start(station, parameters={"last": 3})
    waiting(station, run_id)
    station.shutdown()
    kept = record_of(station, run_id)
    assert kept["state"] == "failed" and "stopped" in kept["reason"] and 3 in WIRE and WIRE[-1] == "safe"


def test_an_emergency_passes_everything_and_ends_safe_and_stopped(make):
    trip = {"trip": "tank.p > 0", "actions": "safe", "applies_to": ["tank"], "max_age_s": 5}
    station = make({"emergency": EMERGENCY}, interlocks={"always": trip})
    station.control.take("Ana", 60)
    station.control.stop_all("Ana")
    WIRE.clear()
    told = station.runs.emergency("Eve")
    assert told["status"] == "ok", told
    assert [one["outcome"] for one in told["feedback"]] == ["verified"] * 3
    assert WIRE == [5, 6, "safe"] and station.control.status()["stopped"]
    run = station.runs.get(told["run_id"])
    assert (run["sequence"], run["by"], run["state"]) == ("emergency", "Eve", "done")
    until(lambda: record_of(station, run["id"])["ended_ns"])
    assert len(record_of(station, run["id"])["feedback"]) == 3


def test_an_emergency_ends_a_run_at_once_and_a_second_caller_joins(make):
    station = make({"emergency": EMERGENCY})
    run_id = start(station, parameters={"last": 3})
    waiting(station, run_id)
    answers = []
    callers = [
        threading.Thread(target=lambda: answers.append(station.runs.emergency("Eve"))) for _ in range(2)
    ]
    for caller in callers:
        caller.start()
    run = ended(station, run_id)
    assert run["state"] == "failed" and "emergency by Eve" in run["reason"]
    with pytest.raises(Refused):
        station.command("tank", "turn", {"value": 1}, "Ana")
    for caller in callers:
        caller.join(20)
    assert len(answers) == 2 and answers[0] == answers[1] and answers[0]["status"] == "ok"
    assert [value for value in WIRE if value != "safe"] == [1, 5, 6]


def test_an_emergency_without_a_device_says_so_and_ends_stopped(make):
    station = make({"emergency": EMERGENCY})
    FAULTS.add("unplugged")
    until(lambda: station.instruments()[0]["state"] == "fault")
    told = station.runs.emergency("Eve")
    assert told["status"] == "error" and station.control.status()["stopped"]
    assert {one["outcome"] for one in told["feedback"]} == {"failed"} and len(told["feedback"]) == 3
    run = station.runs.get(told["run_id"])
    assert run["state"] == "failed" and run["reason"] in told["message"] and len(run["failures"]) == 2


def test_an_emergency_says_what_the_device_shows_otherwise(make):
    station = make({"emergency": EMERGENCY})
    FAULTS.add("jammed")
    told = station.runs.emergency("Eve")
    assert [one["outcome"] for one in told["feedback"]] == ["failed", "failed", "verified"]
    assert "otherwise: valve" in told["feedback"][0]["detail"]


def test_a_stop_during_an_emergency_wins(make):
    station = make({"emergency": EMERGENCY.replace("wait: 0.2", "wait: 30")})
    answers = []
    caller = threading.Thread(target=lambda: answers.append(station.runs.emergency("Eve")))
    caller.start()
    until(lambda: 5 in WIRE)
    run_id = station.runs.list()[0]["id"]
    for act in (station.runs.pause, station.runs.resume, station.runs.abort):
        with pytest.raises(Conflict, match="emergency"):
            act(run_id, "Eve")
    with pytest.raises((Conflict, Refused)):
        start(station)
    station.control.stop_all("Ana", "no")
    caller.join(20)
    assert answers and answers[0]["status"] == "error" and "stopped" in answers[0]["message"]
    assert 6 not in WIRE and WIRE[-1] == "safe" and station.control.status()["stopped"]


def test_a_step_of_an_emergency_that_is_undone_is_told_again(make):
    station = make({"emergency": EMERGENCY.replace("wait: 0.2", "wait: 1.5")})
    station.control.take("Ana", 60)
    caller = threading.Thread(target=lambda: station.runs.emergency("Eve"))
    caller.start()
    until(lambda: 5 in WIRE)
    station.control.give_up("admin", break_=True)
    until(lambda: WIRE[:3] == [5, "safe", 5])  # what loses control is made safe, and it goes on
    caller.join(20)
    assert WIRE[-2:] == [6, "safe"]


def test_an_emergency_that_cannot_be_read_is_none(make):
    station = make({"emergency": EMERGENCY})
    path = station.config.control.sequences / "emergency.yaml"
    path.unlink()
    path.mkdir()
    assert station.runs.emergency("Eve")["run_id"] is None and station.control.status()["stopped"]
    assert (
        "cannot be read"
        in {one["name"]: one for one in station.runs.sequences()}["emergency"]["problems"][0]["reason"]
    )


def test_where_no_emergency_fits_everything_is_stopped(make):
    station = make()
    told = station.runs.emergency("Eve")
    assert told["run_id"] is None and told["status"] == "ok"
    assert told["feedback"] == [
        {"step": "tank: safe state", "outcome": "verified", "detail": "the device itself says so"}
    ]
    assert station.control.status()["stopped"] and WIRE == ["safe"]


def unplug(station, random):
    FAULTS.add("unplugged")
    time.sleep(random.random() * 0.05)
    if random.random() < 0.5:
        until(lambda: station.instruments()[0]["state"] == "fault")
    FAULTS.discard("unplugged")


def trip(station, random):
    VALUE[0] = 40.0
    time.sleep(random.random() * 0.03)
    VALUE[0] = 1.0


def stop(station, random):
    station.control.stop_all("Eve", "history")


def emergency(station, random):
    caller = threading.Thread(target=station.runs.emergency, args=("Eve",))
    caller.start()
    CALLERS.append(caller)


def abort(station, random):
    station.runs.abort(station.runs.list(1)[0]["id"], "Ben")


def pause(station, random):
    station.runs.pause(station.runs.list(1)[0]["id"], "Ben")


def resume(station, random):
    station.runs.resume(station.runs.list(1)[0]["id"], "Ana")


def lose(station, random):
    lost(station, random.choice(["given back", "broken", "handed over"]))


def come_true(station, random):
    VALUE[0] = 20.0


def another(station, random):
    start(station, by=random.choice(["Ana", "Ben"]))


CALLERS: list[threading.Thread] = []
FALLS = [unplug, trip, stop, emergency, abort, pause, resume, lose, come_true, another]
MILD = [pause, resume, another]


@pytest.mark.parametrize("histories", [10, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.timeout(900)
def test_however_a_run_ends_everything_ends_safe(make, histories):
    high = {"trip": "tank.p > 30", "actions": "safe", "applies_to": ["tank"], "max_age_s": 5}
    station = make({"emergency": EMERGENCY.replace("0.2", "0.02")}, interlocks={"high": high})
    for seed in range(histories):
        history(station, Random(seed))


def settle(station):
    """Bring the station back to where a run can be started."""
    VALUE[0] = 1.0
    FAULTS.clear()
    until(lambda: station.instruments()[0]["state"] == "acquiring")
    if station.control.status()["stopped"]:
        station.control.reset_stop("Ana", station.control.reset_stop("Ana")["confirm"])
    station.control.give_up("admin", break_=True)
    lock = station.control.status()["interlocks"][0]
    if lock["state"] == "tripped":
        until(lambda: reset(station))
    until(lambda: station.control.status()["interlocks"][0]["state"] == "ok")
    until(lambda: station.control.status()["actuators"][0]["value"] == 0)


def reset(station):
    try:
        return station.control.reset_interlock("high", "Ana")
    except Refused:
        return None


def history(station, random):
    settle(station)
    run_id = start(station)
    told = []
    for fall in [
        *random.choices(MILD, k=random.randrange(3)),
        *random.choices(FALLS, k=random.randrange(1, 4)),
    ]:
        time.sleep(random.random() * 0.02)
        told.append(fall.__name__)
        try:
            fall(station, random)
        except (Conflict, Refused, NotFound):
            pass  # also an answer
    for one in list(station.runs.list(20)):
        if one["ended_ns"] is None and one["state"] in ("running", "paused"):
            with suppress(Conflict):  # it has ended meanwhile
                station.runs.abort(one["id"], "the end")
    while CALLERS:
        CALLERS.pop().join(20)
    run = ended(station, run_id)
    until(lambda: all(one["ended_ns"] for one in station.runs.list(20)))
    until(lambda: station.control.status()["actuators"][0]["value"] == 0)
    assert run["state"] in ("done", "aborted", "failed"), told
    kept = until(lambda: (kept := record_of(station, run_id))["ended_ns"] and kept)
    assert kept["state"] == run["state"], told
    if "emergency" not in run["reason"]:
        assert run["asked"][-1]["always"], (told, run)
