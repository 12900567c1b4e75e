"""Sequences on the running program with the simulated controller: by REST, by command line, after falls."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kymograph.cli import app
from kymograph.config import load
from kymograph.control.sequence.read import scenario
from kymograph.service.runs.runs import KILLED
from kymograph.service.station import Station
from tests.running import RunningStation, until

pytestmark = pytest.mark.timeout(120)

STAND = """
[instruments.stand]
driver = "stm32"
port = "sim://stm32?rate_hz=50"
"""
SLOW = """
name: slow
parameters:
  first: {type: integer, default: 1, low: 0, high: 1}
steps:
  - command:
      instrument: stand
      command: set_valves
      arguments: {valves: ["${first}", 0, 0, 0, 0, 0, 0, 0, 0]}
  - group:
      name: feed
      steps:
        - wait_until: {condition: stand.P1 > 1000, timeout: 600}
always:
  - command: {instrument: stand, command: set_valves, arguments: {valves: [0, 0, 0, 0, 0, 0, 0, 0, 0]}}
"""
QUICK = """
name: quick
steps:
  - wait_until: {condition: stand.P1 > 30, stable_for: 0.2, timeout: 20}
  - event: pressure is there
"""
CLOSED = [0] * 9
OPEN = [1, 0, 0, 0, 0, 0, 0, 0, 0]


def with_sequences(folder: Path) -> Path:
    own = folder / "sequences"
    own.mkdir()
    (own / "slow.yaml").write_text(SLOW)
    (own / "quick.yaml").write_text(QUICK)
    return folder


def ready(station: RunningStation) -> None:
    until(lambda: station.call("GET", "/v1/instruments/stand")["state"] == "acquiring", what="the stand")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStation]:
    with RunningStation(with_sequences(tmp_path_factory.mktemp("runs")), STAND) as station:
        yield station


@pytest.fixture
def station(running: RunningStation) -> Iterator[RunningStation]:
    until(running.answers, what="the front")
    ready(running)
    yield running
    for run in running.call("GET", "/v1/runs?limit=1")["items"]:
        if run["ended_ns"] is None:
            running.call("POST", f"/v1/runs/{run['id']}/abort", {})
            ended(running, run["id"])
    if running.call("GET", "/v1/control")["stopped"]:
        first = running.call("POST", "/v1/control/stop/reset", {})
        running.call("POST", "/v1/control/stop/reset", {"confirm": first["confirm"]})
    running.call("POST", "/v1/control/lease/break", {})


def get(station: RunningStation, run_id: str) -> Any:
    return station.call("GET", f"/v1/runs/{run_id}")


def ended(station: RunningStation, run_id: str) -> Any:
    until(lambda: get(station, run_id)["ended_ns"], what="the end of the run")
    return get(station, run_id)


def start(station: RunningStation, sequence: str = "slow", by: str = "Ana", **more: Any) -> str:
    return station.call("POST", "/v1/runs", {"sequence": sequence, "by": by, **more})["id"]


def valves(station: RunningStation) -> list[Any]:
    return [one["value"] for one in station.call("GET", "/v1/control")["actuators"]]


def is_open(station: RunningStation) -> None:
    until(lambda: valves(station) == OPEN, what="the first step")


def refused(code: int, station: RunningStation, path: str, body: Any) -> str:
    with pytest.raises(urllib.error.HTTPError) as error:
        station.call("POST", path, body)
    assert error.value.code == code
    return json.loads(error.value.read())["detail"]


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "kymograph", "run", *arguments]


def test_by_rest(station: RunningStation) -> None:
    listed = {one["name"]: one for one in station.call("GET", "/v1/sequences")["items"]}
    assert listed["slow"]["problems"] == [] and listed["emergency"]["built_in"]
    assert station.call("GET", "/v1/sequences/slow")["text"] == SLOW
    told = station.call("POST", "/v1/sequences/slow/validate", {"parameters": {"first": 2}})
    assert not told["ok"] and told["problems"]
    assert "first" in refused(422, station, "/v1/runs", {"sequence": "slow", "parameters": {"first": 2}})
    assert "dancing" in refused(404, station, "/v1/runs", {"sequence": "dancing"})
    run_id = start(station)
    is_open(station)
    until(lambda: get(station, run_id)["path"] == [{"name": "feed", "round": 1, "times": 1}])
    run = get(station, run_id)
    assert run["waits_for"] == "stand.P1 > 1000" and 0 < run["left_s"] <= 600 and run["started"].endswith("Z")
    assert "slow is running" in refused(409, station, "/v1/runs", {"sequence": "quick", "by": "Ana"})
    assert station.call("POST", f"/v1/runs/{run_id}/pause", {"by": "Ben"})["state"] == "paused"
    assert "Ana" in refused(409, station, f"/v1/runs/{run_id}/resume", {"by": "Ben"})
    assert station.call("POST", f"/v1/runs/{run_id}/resume", {"by": "Ana"})["state"] == "running"
    station.call("POST", f"/v1/runs/{run_id}/abort", {"by": "Ben", "reason": "lunch"})
    run = ended(station, run_id)
    assert (run["state"], run["reason"]) == ("aborted", "aborted by Ben: lunch") and valves(station) == CLOSED
    assert [one["outcome"] for one in run["asked"]] == ["verified", "verified"]
    assert station.call("GET", "/v1/runs?limit=1")["items"][0]["id"] == run_id
    kept = json.loads(next((station.data / "runs").glob(f"*_slow_{run_id[:8]}/run.json")).read_text())
    assert kept["text"] == SLOW and kept["state"] == "aborted" and kept["instruments"]["stand"]["simulated"]


def test_a_run_is_told_in_the_recording_beside_it(station: RunningStation) -> None:
    recording = station.call("POST", "/v1/recordings", {"name": "beside"})["id"]
    run = ended(station, start(station, "quick"))
    assert run["state"] == "done" and run["recordings"] == [recording] and run["met"][0]["line"] == 4
    station.call("POST", f"/v1/recordings/{recording}/stop")
    events = station.call("GET", f"/v1/recordings/{recording}/events")["items"]
    told = [one["body"] for one in events if one["source"] == f"run/{run['id']}"]
    assert {"text": "pressure is there"} in told and told[0]["sequence"] == "quick"
    assert told[-1]["state"] == "done"


def test_by_command_line(station: RunningStation) -> None:
    data, url = ("--data", str(station.data)), ("--url", station.url)
    done = subprocess.run(
        command("start", "quick", *data, "--by", "Ana", "--json"), capture_output=True, timeout=40
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["state"] == "done" and b"P1 > 30 came true" in done.stderr
    attached = subprocess.Popen(
        command("start", "slow", *data, "--by", "Ana", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    is_open(station)
    refusal = subprocess.run(
        command("start", "quick", *url, "--by", "Ana", "--keep", "--detach"), capture_output=True, timeout=40
    )
    assert refusal.returncode == 1 and b"slow is running" in refusal.stderr
    attached.send_signal(signal.SIGINT)
    out, err = attached.communicate(timeout=40)
    run = json.loads(out)
    assert attached.returncode == 1 and run["state"] == "aborted" and "Ctrl-C" in run["reason"], err
    assert valves(station) == CLOSED
    detached = subprocess.run(
        command("start", "slow", *url, "--by", "Ana", "--keep", "--detach", "--set", "first=1", "--json"),
        capture_output=True, timeout=40, check=True,
    )  # fmt: skip
    run_id = json.loads(detached.stdout)["id"]
    is_open(station)
    subprocess.run(command("abort", run_id[:8], *url, "--reason", "enough"), timeout=40, check=True)
    ended(station, run_id)
    shown = subprocess.run(
        command("show", *data), capture_output=True, timeout=40, check=True
    ).stdout.decode()
    assert "enough" in shown and "set_valves" in shown and "verified" in shown
    listed = subprocess.run(command("ls", *url), capture_output=True, timeout=40, check=True).stdout.decode()
    assert run_id[:8] in listed and "aborted" in listed


def test_a_front_that_is_killed_ends_what_somebody_had_to_keep_only(station: RunningStation) -> None:
    lease = station.call("POST", "/v1/control/lease", {"by": "Ana", "ttl_s": 4})
    attended = start(station, fence=lease["fence"])
    is_open(station)
    _kill_front(station)
    run = ended(station, attended)  # nobody renews it any more
    assert run["state"] == "failed" and "expired" in run["reason"] and valves(station) == CLOSED
    kept = start(station, keep=True)
    is_open(station)
    _kill_front(station)
    assert get(station, kept)["state"] == "running" and valves(station) == OPEN
    station.call("POST", f"/v1/runs/{kept}/abort", {"by": "Ana"})
    assert ended(station, kept)["state"] == "aborted"


def _kill_front(station: RunningStation) -> None:
    front = station.front()
    assert front is not None
    os.kill(front.pid, signal.SIGKILL)
    front.wait(10)
    until(station.answers, what="the next front")


def test_an_engine_that_is_killed_leaves_a_record_that_says_so(station: RunningStation) -> None:
    run_id = start(station, keep=True)
    is_open(station)
    station.kill_engine()
    station.start()
    ready(station)
    run = get(station, run_id)
    assert (run["state"], run["reason"]) == ("failed", KILLED) and run["ended_ns"]
    until(lambda: valves(station) == CLOSED, what="the safe state")


def test_the_nine_steps_of_the_emergency(station: RunningStation) -> None:
    run_id = start(station, by="Ana")
    is_open(station)
    front = station.front()
    assert front is not None
    front.suspend()
    try:
        done = subprocess.run(
            command("emergency", "--data", str(station.data), "--json"), capture_output=True, timeout=60
        )
    finally:
        front.resume()
    told = json.loads(done.stdout)
    assert done.returncode == 0, told
    assert told["status"] == "ok", told
    assert [one["outcome"] for one in told["feedback"]] == ["verified"] * 10
    assert get(station, run_id)["state"] == "failed"
    run = get(station, told["run_id"])
    steps = [step for step in scenario("emergency").always if step.kind == "command"]
    wanted = [step.arguments["valves"] for step in steps]
    assert [one["arguments"]["valves"] for one in run["asked"]] == wanted
    at_s = [(one["told_ns"] - run["asked"][0]["told_ns"]) / 1e9 for one in run["asked"]]
    due_s = [0, 0.1, 0.2, 0.3, 1.8, 2.0, 2.1, 7.1, 7.6]
    assert all(due <= at < due + 2 for at, due in zip(at_s, due_s, strict=True)), at_s
    assert station.call("GET", "/v1/control")["stopped"] and valves(station) == CLOSED


def test_a_cable_that_is_pulled(tmp_path: Path) -> None:
    folder = with_sequences(tmp_path)
    (folder / "station.toml").write_text(f'[station]\ndata = "{folder / "data"}"\n{STAND}')
    station = Station(load(folder / "station.toml"))
    station.start()
    try:
        until(lambda: station.instruments()[0]["health"]["rows"] > 2, what="rows")
        run_id = station.runs.start({"sequence": "slow", "by": "Ana"})["id"]
        until(lambda: station.runs.get(run_id)["waits_for"].startswith("stand.P1"), what="the first step")
        station._instruments.simulator("stand").fault("unplug")
        until(lambda: station.runs.get(run_id)["ended_ns"], what="its end")
        run = station.runs.get(run_id)
        assert run["state"] == "failed" and "stand is fault" in run["reason"] and run["failures"]
        station._instruments.simulator("stand").fault("replug")
        until(lambda: station.instruments()[0]["state"] == "acquiring", what="the stand")
        until(lambda: set(_told(station)) == {0.0}, what="the safe state")
    finally:
        station.shutdown()


def _told(station: Station) -> list[Any]:
    return [one["value"] for one in station.control.status()["actuators"]]


def test_a_dry_run_on_simulators(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toml, quick, never = tmp_path / "station.toml", tmp_path / "quick.yaml", tmp_path / "never.yaml"
    toml.write_text(
        f'[station]\ndata = "{tmp_path / "data"}"\n{STAND.replace("sim://stm32?rate_hz=50", "serial:///dev/none")}'
    )
    quick.write_text(QUICK)
    never.write_text(SLOW.replace("slow", "never").replace("timeout: 600", "timeout: 0.3"))
    assert app.run(["sequence", "dry-run", str(quick), "--station", str(toml), "--simulate", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["state"] == "done" and [one["kind"] for one in told["items"]] == ["met", "event"]
    assert app.run(["sequence", "dry-run", str(never), "--station", str(toml), "--simulate"]) == 1
    said = capsys.readouterr().out
    assert "verified" in said and "always" in said and "did not come true in time" in said
    assert app.run(["sequence", "dry-run", str(quick), "--simulate"]) == 2
    assert not (tmp_path / "data").exists()
