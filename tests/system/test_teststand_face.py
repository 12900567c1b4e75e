"""The test stand's contract against the real program, with the simulated controller and motors."""

from __future__ import annotations

import json
import socket as sockets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pyarrow.parquet as pq
import pytest
from websockets.sync.client import ClientConnection, connect

from tests.running import RunningStation, until

pytestmark = pytest.mark.timeout(120)

WEB = """
[web]
faces = ["teststand"]
[faces.teststand]
p_chamber = "P5"
deltap2 = "P3 - P4"
"""
STAND = """
[instruments.stand]
driver = "stm32"
port = "sim://stm32?rate_hz=50{more}"
"""
STEPPERS = """
[instruments.steppers]
driver = "arduino_stepper"
port = "sim://arduino_stepper?time_scale=0.02"
[instruments.steppers.options]
time_scale = 0.02
"""
FAST = """
[instruments.stand]
driver = "stm32"
port = "sim://stm32?protocol=frames&rate_hz=10000&batch=10"
[instruments.stand.options]
protocol = "frames"
rate_hz = 10000
batch = 10
link = "usb"
"""
EMERGENCY = """
name: emergency
parameters:
  stand: {type: text, default: stand}
steps: []
always:
  - command:
      instrument: ${stand}
      command: set_valves
      arguments: {valves: [1, 0, 0, 0, 0, 1, 0, 0, 0]}
  - wait: 0.3
  - command:
      instrument: ${stand}
      command: set_valves
      arguments: {valves: [0, 0, 1, 1, 0, 0, 0, 0, 0]}
  - wait: 0.3
"""
SLOW = """
name: slow
parameters:
  stand: {type: text}
steps:
  - command:
      instrument: ${stand}
      command: set_valves
      arguments: {valves: [0, 0, 1, 0, 0, 0, 0, 0, 0]}
  - wait: 600
always:
  - command:
      instrument: ${stand}
      command: set_valves
      arguments: {valves: [0, 0, 0, 0, 0, 0, 0, 0, 0]}
"""
CLOSED = [0] * 9
OPEN = [1, 0, 0, 0, 0, 0, 0, 0, 0]
PURGE = [0, 0, 1, 0, 0, 0, 0, 0, 0]


def with_sequences(folder: Path) -> Path:
    """Give a station sequences of its own; its emergency does not take ten seconds."""
    own = folder / "sequences"
    own.mkdir()
    (own / "emergency.yaml").write_text(EMERGENCY)
    (own / "slow.yaml").write_text(SLOW)
    (own / "wrong.yaml").write_text(SLOW.replace("slow", "wrong").replace("set_valves", "set_values"))
    return folder


class Api:
    """Requests as a client of the old interface makes them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.Client(base_url=url, timeout=40)

    def __call__(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        answer = self._http.request(method, path, **more)
        assert answer.status_code == status, (method, path, answer.status_code, answer.text[:300])
        return answer.json()

    def get(self, path: str, status: int = 200, **more: Any) -> Any:
        return self("GET", path, status, **more)

    def post(self, path: str, body: Any = None, status: int = 200, **more: Any) -> Any:
        return self("POST", path, status, json=body, **more)

    def valves(self, valves: Any, status: int = 200, by: str = "") -> Any:
        return self.post("/api/valves", {"valves": valves}, status, params={"by": by} if by else {})

    def ws(self, query: str = "", buffer_bytes: int = 0) -> ClientConnection:
        sock = sockets.socket()
        if buffer_bytes:
            sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, buffer_bytes)
        sock.connect(("127.0.0.1", int(self.url.rsplit(":", 1)[1])))
        url = f"{self.url.replace('http', 'ws')}/ws{query}"
        return connect(url, sock=sock, max_size=None, close_timeout=0.1 if buffer_bytes else 10)

    def ready(self) -> None:
        until(lambda: self.get("/api/status")["stm32_connected"], what="the stand")
        until(lambda: self.get("/api/buffer_status")["buffer_index"] > 0, what="a row")

    def scenario(self, name: str, by: str = "") -> Any:
        return self.post(f"/api/scenario/{name}", params={"by": by} if by else {})

    def run(self, run_id: str) -> Any:
        return self.get(f"/v1/runs/{run_id}")

    def ended(self, run_id: str) -> Any:
        until(lambda: self.run(run_id)["ended_ns"], what="the end of the run")
        return self.run(run_id)

    def reset(self) -> None:
        for run in self.get("/v1/runs?limit=1")["items"]:
            if run["ended_ns"] is None:
                self.post(f"/v1/runs/{run['id']}/abort", {"by": "the test"})
                self.ended(run["id"])
        told = self.get("/v1/control")
        if told["stopped"]:
            first = self.post("/v1/control/stop/reset", {})
            self.post("/v1/control/stop/reset", {"confirm": first["confirm"]})
        self.post("/v1/control/lease/break", {})


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStation]:
    folder = with_sequences(tmp_path_factory.mktemp("teststand"))
    with RunningStation(folder, STAND.format(more="") + STEPPERS, WEB) as station:
        Api(station.url).ready()
        yield station


@pytest.fixture
def api(running: RunningStation) -> Iterator[Api]:
    made = Api(running.url)
    made.reset()
    yield made
    made.reset()


def read(message: str | bytes) -> dict[str, Any]:
    return json.loads(message) if isinstance(message, str) else msgspec.msgpack.decode(message)


def wait_for(socket: ClientConnection, kind: str) -> dict[str, Any]:
    while True:
        told = read(socket.recv(timeout=15))
        if told["type"] == kind:
            return told


def next_text(socket: ClientConnection) -> str:
    while not isinstance(message := socket.recv(timeout=10), str):
        pass
    return message


def test_what_is_there(api: Api) -> None:
    assert api.get("/api/hello")["status"] == "running"
    until(lambda: api.get("/api/status")["arduino_connected"], what="the motors")
    assert api.get("/api/status") == {
        "system_mode": "idle", "websocket_connections": 0, "stm32_connected": True, "arduino_connected": True,
        "simulation_active": True, "status": "operational",
    }  # fmt: skip
    data = api.get("/api/sensors")
    assert len(data["pressures"]) == len(data["temperatures"]) == 8 and len(data["debis"]) == 2
    assert data["pressures"][0] is not None and data["valves"] == CLOSED
    assert data["p_chamber"] == data["pressures"][4]
    assert data["deltap2"] == pytest.approx(data["pressures"][2] - data["pressures"][3])
    assert data["kutlesel_debi"] is data["adiabatic_temperature"] is None
    buffer = api.get("/api/buffer_status")
    assert 0 < buffer["buffer_index"] <= buffer["buffer_size"]


def test_valves(api: Api) -> None:
    assert api.valves(OPEN) == {"success": True, "valves": OPEN}
    assert api.get("/api/sensors")["valves"] == OPEN
    for wrong in (
        [0] * 8,
        [0] * 10,
        [0] * 8 + [2],
        [0] * 8 + [True],
        [0] * 8 + ["1"],
        [0.5] * 9,
        "010",
        None,
    ):
        api.valves(wrong, 422)
    api.post("/api/valves", {}, 422)
    assert api.get("/api/sensors")["valves"] == OPEN


def test_another_holder_is_named(api: Api) -> None:
    api.valves(OPEN, by="Ana")
    assert "Ana" in api.valves(CLOSED, 409, by="Ben")["detail"]
    with api.ws("?by=Ben") as ben:
        ben.send(json.dumps({"type": "valve_command", "valves": CLOSED}))
        told = wait_for(ben, "valve_response")
        assert told["success"] is False and told["valves"] == OPEN and "Ana" in told["error"]


def test_motors(api: Api) -> None:
    until(lambda: api.get("/api/status")["arduino_connected"], what="the motors")
    told = api.post("/api/step_motor", {"motor_id": 1, "angle": 90})
    assert (told["success"], told["motor_id"], told["angle"]) == (True, 1, 90) and told["response"]
    for wrong in ({"motor_id": 3, "angle": 1}, {"motor_id": 1}, {"motor_id": 1, "angle": 1e9}, {}):
        api.post("/api/step_motor", wrong, 422)
    with api.ws() as socket:
        socket.send(msgspec.msgpack.encode({"type": "step_motor_command", "motor_id": 2, "angle": 5.0}))
        told = wait_for(socket, "step_motor_response")
        assert told["success"] and (told["motor_id"], told["angle"]) == (2, 5.0)


def test_modes(api: Api) -> None:
    assert api.post("/api/system_mode/test")["status"] == "ok"
    assert api.get("/api/status")["system_mode"] == "test"
    assert api.post("/api/system_mode/dancing")["status"] == "error"
    assert api.post("/api/system_mode/idle")["status"] == "ok"


def test_a_scenario_is_run_in_the_engine_and_refused_with_its_reason(api: Api) -> None:
    told = api.scenario("o2feed", "Ana")
    assert told["status"] == "ok" and told["message"]
    run = api.ended(told["run_id"])
    assert (run["state"], run["by"], run["keep"], run["parameters"]) == (
        "done",
        "Ana",
        True,
        {"stand": "stand"},
    )
    assert [one["outcome"] for one in run["asked"]] == ["verified", "verified"]
    assert run["asked"][1]["told_ns"] - run["asked"][0]["ended_ns"] >= 200_000_000
    assert api.get("/api/sensors")["valves"] == [0, 1, 0, 0, 0, 0, 1, 0, 0]
    for name, by, reason in (
        ("dancing", "Ana", "no sequence dancing"),
        ("wrong", "Ana", "no command set_values"),
        ("fuelFeed", "Ben", "Ana holds control"),
    ):
        told = api.scenario(name, by)
        assert told["status"] == "error" and reason in told["message"], told
    told = api.scenario("slow", "Ana")
    assert "slow is running" in api.scenario("fuelFeed", "Ana")["message"]
    api.post(f"/v1/runs/{told['run_id']}/abort", {"by": "Ben"})
    assert api.ended(told["run_id"])["state"] == "aborted"
    assert api.get("/api/sensors")["valves"] == CLOSED


def test_a_scenario_of_somebody_who_is_connected_ends_when_control_is_lost(api: Api) -> None:
    with api.ws("?by=Ana&every=100"):
        until(lambda: api.get("/api/status")["websocket_connections"] == 1, what="somebody there")
        told = api.scenario("slow", "Ana")
        until(lambda: api.get("/api/sensors")["valves"] == PURGE, what="the first step")
        assert api.run(told["run_id"])["keep"] is False
    api.post("/v1/control/lease/break", {"by": "admin"})
    run = api.ended(told["run_id"])
    assert run["state"] == "failed" and "Ana" in run["reason"]
    until(lambda: api.get("/api/sensors")["valves"] == CLOSED, what="the last step")


def test_emergency_asks_nobody(api: Api) -> None:
    slow = api.scenario("slow", "Ana")["run_id"]
    told = api.scenario("emergency", "Eve")
    assert told["status"] == "ok", told
    outcomes = {one["step"]: one["outcome"] for one in told["feedback"]}
    assert outcomes["1: stand: RELIEF1 RELIEF2"] == outcomes["2: stand: PURGE1 PURGE2"] == "verified"
    assert outcomes["stand: safe state"] == "verified"
    assert "emergency by Eve" in api.run(slow)["reason"]
    assert api.run(told["run_id"])["state"] == "done"
    assert api.get("/api/sensors")["valves"] == CLOSED
    assert api.get("/api/status")["status"] == "error"
    assert "Eve" in api.valves(OPEN, 409, by="Ana")["detail"]


def test_samples_one_by_one_and_in_batches(api: Api) -> None:
    with api.ws("?every=2&encoding=json") as socket:
        times = [wait_for(socket, "sensor_data")["data"]["timestamp"] for _ in range(20)]
        assert times == sorted(times) and (times[-1] - times[0]) / 19 == pytest.approx(0.04, rel=0.2)
        assert api.get("/api/status")["websocket_connections"] == 1
    with api.ws() as socket:
        message = socket.recv(timeout=10)
        assert isinstance(message, bytes) and read(message)["type"] == "sensor_data"
    with api.ws("?batch_ms=200") as socket:
        batches = [wait_for(socket, "sensor_batch") for _ in range(4)]
        assert all(set(one["columns"]["P1"]) == {"dtype", "data"} for one in batches)
        assert sum(one["rows"] for one in batches) >= 20
    until(lambda: api.get("/api/status")["websocket_connections"] == 0, what="nobody there")


def test_talk_over_the_socket(api: Api) -> None:
    with api.ws() as one, api.ws("?by=other") as other:
        one.send("nonsense")
        assert wait_for(one, "error")["data"]
        one.send(json.dumps({"type": "dance"}))
        assert "dance" in wait_for(one, "error")["data"]
        one.send(json.dumps({"type": "get_sensors"}))
        assert wait_for(one, "sensor_data")["data"]["valves"] == CLOSED
        one.send(json.dumps({"type": "valve_command", "valves": [1]}))
        assert wait_for(one, "valve_response") | {"error": ""} == {
            "type": "valve_response", "success": False, "valves": CLOSED, "error": "",
        }  # fmt: skip
        one.send(json.dumps({"type": "valve_command", "valves": PURGE}))
        assert wait_for(one, "valve_response") == {"type": "valve_response", "success": True, "valves": PURGE}
        for socket in (one, other):
            assert json.loads(next_text(socket)) == {"type": "valve_state", "valves": PURGE}
        one.send(json.dumps({"type": "system_mode", "mode": "idle"}))
        assert wait_for(one, "system_mode")["status"] == "ok"


def test_who_is_connected_keeps_control_and_who_leaves_lets_it_run_out(api: Api) -> None:
    def left_s() -> float:
        lease = api.get("/v1/control")["lease"]
        return lease["remaining_s"] if lease else 0.0

    with api.ws("?by=Ana&every=100") as socket:
        api.post("/v1/control/lease", {"by": "Ana", "ttl_s": 3})
        until(lambda: left_s() > 20, what="control of who is connected")
        socket.send(json.dumps({"type": "valve_command", "valves": OPEN}))
        assert wait_for(socket, "valve_response")["success"]
    until(lambda: api.get("/api/status")["websocket_connections"] == 0, what="nobody there")
    api.post("/v1/control/lease/release", {"by": "Ana"})
    api.post("/v1/control/lease", {"by": "Ana", "ttl_s": 1})
    assert api.valves(OPEN, 409, by="Ben")["detail"]
    until(lambda: left_s() == 0, what="the end of control that nobody keeps")
    until(lambda: api.get("/api/sensors")["valves"] == CLOSED, what="the safe state")


def test_a_client_that_reads_nothing_loses_its_own_samples_only(tmp_path: Path) -> None:
    with RunningStation(tmp_path, FAST, WEB) as station:
        api = Api(station.url)
        api.ready()
        with api.ws("?every=1", buffer_bytes=16_384) as slow, api.ws("?batch_ms=50") as quick:
            rows = dropped = 0
            while rows < 20_000:
                batch = wait_for(quick, "sensor_batch")
                rows, dropped = rows + batch["rows"], dropped + batch.get("dropped", 0)
            assert dropped == 0 and api.get("/api/hello")
            before = 0.0
            while "dropped" not in (told := wait_for(slow, "sensor_data")):
                before = told["data"]["timestamp"]
            # Of the rows that there are: a busy machine makes the simulated controller lose some of its own.
            window = {
                "start": round(before * 1e9) + 50_000,
                "stop": round(told["data"]["timestamp"] * 1e9) - 50_000,
            }
            between = api.get(
                "/v1/streams/stand/data", params={**window, "channels": "P1", "max_points": 100}
            )
            assert told["dropped"] == pytest.approx(between["rows"], abs=2) and between["rows"] > 100


def test_logs(api: Api, running: RunningStation) -> None:
    told = api.post("/api/save_sensor_buffer")
    assert told["status"] == "ok" and told["rows"] > 0
    again = api.post("/api/save_sensor_buffer")
    listed = api.get("/api/parquet_files")
    assert [one["name"] for one in listed] == [again["filename"], told["filename"]]
    assert listed[0]["path"] == f"exports/{again['filename']}" and listed[0]["size"] > 0
    file = pq.ParquetFile(running.data / listed[1]["path"])
    assert file.metadata.num_rows == told["rows"]
    assert file.metadata.row_group(0).column(0).compression == "SNAPPY"
    shown = api.get(f"/api/parquet_data/{told['filename']}")
    assert shown["rowCount"] == told["rows"] and len(shown["columns"]) == 25
    assert shown["columns"][0] == "timestamp" and shown["columns"][-1] == "exhaust_velocity"
    assert len(shown["data"]["P1"]) == min(1000, told["rows"])
    part = api.get(f"/api/parquet_data/{told['filename']}", params={"offset": 3, "limit": 2})
    assert part["data"]["timestamp"] == shown["data"]["timestamp"][3:5]
    api.get("/api/parquet_data/sensor_log_20000101_000000.parquet", 404)
    for wrong in ("keys.json", "..%2f..%2fkeys.json", "sensor_log_..%2fx.parquet", "sensor_log_x.csv"):
        api.get(f"/api/parquet_data/{wrong}", 400)


def test_what_is_recorded_is_listed_while_it_runs(api: Api, running: RunningStation) -> None:
    wish = {"name": "burn", "format": "parquet", "segment_interval_s": 1}
    recording = api.post("/v1/recordings", wish, 201)

    def of_it() -> list[Any]:
        listed = api.get("/api/parquet_files")
        return [one for one in listed if recording["id"][:8] in one["name"]]

    until(lambda: len(of_it()) >= 2, what="two sealed files")
    api.post(f"/v1/recordings/{recording['id']}/stop")
    newest, *_, oldest = of_it()
    assert newest["name"] > oldest["name"] and oldest["path"].startswith("recordings/")
    assert (running.data / oldest["path"]).stat().st_size / 1024 == pytest.approx(oldest["size"], abs=0.1)
    shown = api.get(f"/api/parquet_data/{oldest['name']}", params={"limit": 5})
    assert shown["columns"][0] == "timestamp" and shown["columns"][-1] == "exhaust_velocity"
    times = shown["data"]["timestamp"]
    assert recording["started_ns"] / 1e9 - 2 < times[0] < times[4] < times[0] + 1


def test_a_controller_that_acknowledges_nothing(tmp_path: Path) -> None:
    with RunningStation(with_sequences(tmp_path), STAND.format(more="&ack=0"), WEB) as station:
        api = Api(station.url)
        api.ready()
        assert "acknowledge" in api.valves(OPEN, 500)["detail"]
        assert api.get("/api/status")["arduino_connected"] is False
        api.post("/api/step_motor", {"motor_id": 1, "angle": 1.0}, 500)
        told = api.post("/v1/runs/emergency", {"by": "Eve"})
        assert [one["outcome"] for one in told["feedback"]] == ["unverified"] * 3


def test_an_interlock_refuses_with_its_reason(tmp_path: Path) -> None:
    lock = '[interlocks.tank]\ntrip = "stand.P1 > -1000"\napplies_to = ["stand"]\nmessage = "tank too hot"\n'
    with RunningStation(tmp_path, STAND.format(more="") + lock, WEB) as station:
        api = Api(station.url)
        api.ready()
        until(lambda: api.get("/v1/control")["interlocks"][0]["state"] == "tripped", what="the trip")
        assert "tank too hot" in api.valves(OPEN, 409)["detail"]
        assert "tank too hot" in str(api.get("/api/sensors")["errors"])
