"""The light sensor's contract against the real program and the simulated sensor behind a pseudo-terminal."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.sync.client import connect

from tests.running import RunningStation, until

SCALE = 0.02
WEB = '[web]\nfaces = ["radiometer"]\n[recording]\nafter_crash = "close"\n'
KEYS = ["timestamp", "sensor_id", "mode", "value", "TempC", "Vin"]
STATES = {"disconnected", "config_menu", "acq_freerun", "acq_polled", "paused"}


def sensor(scale: float = SCALE, log: str = "") -> str:
    logged = f"&log={log}" if log else ""
    return (
        f'[instruments.sensor]\ndriver = "qseries"\nport = "sim://qseries?time_scale={scale}{logged}"\n'
        f"start = false\n[instruments.sensor.options]\ntime_scale = {min(scale, 1.0)}\n"
    )


class Api:
    """Requests to a station as a client of the old interface makes them."""

    def __init__(self, url: str, prefix: str = "") -> None:
        self.url = url
        self._http = httpx.Client(base_url=url + prefix, timeout=40)

    def __call__(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        answer = self._http.request(method, path, **more)
        assert answer.status_code == status, (method, path, answer.status_code, answer.text[:300])
        return answer.json() if answer.headers.get("content-type", "") == "application/json" else answer

    def get(self, path: str, status: int = 200, **more: Any) -> Any:
        return self("GET", path, status, **more)

    def post(self, path: str, status: int = 200, **more: Any) -> Any:
        return self("POST", path, status, **more)


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStation]:
    with RunningStation(tmp_path_factory.mktemp("radiometer"), sensor(), WEB) as station:
        yield station


@pytest.fixture(params=["", "/sensor"])
def api(station: RunningStation, request: pytest.FixtureRequest) -> Iterator[Api]:
    made = Api(station.url, request.param)
    made.post("/disconnect")
    yield made
    made.post("/disconnect")


@pytest.fixture
def plain(station: RunningStation) -> Iterator[Api]:
    made = Api(station.url)
    made.post("/disconnect")
    yield made
    made.post("/disconnect")


def test_what_the_service_says_of_itself(plain: Api) -> None:
    assert set(plain.get("/")) == {"service", "version", "status"}
    page = plain.get("/", headers={"accept": "text/html,*/*"})
    assert page.headers["content-type"].startswith("text/html")
    assert {"service", "status"} <= set(plain.get("/health"))
    assert {"api", "git", "status"} == set(plain.get("/version"))
    assert plain.get("/docs.json", 307).headers["location"] == "openapi.json"
    told = plain.get("/register_service")
    assert {"name", "description", "icon", "company", "version", "webpage", "api"} <= set(told)
    assert abs(plain.get("/api/sync/time")["pi_unix_ms"] - time.time() * 1000) < 2000


def test_the_sensors_life(api: Api) -> None:
    assert api.get("/status") | {"rows": 0, "sensor_id": "", "mode": ""} == {
        "connected": False, "recording": False, "sensor_id": "", "mode": "", "rows": 0,
        "state": "disconnected", "activity": "", "error": "",
    }  # fmt: skip
    api.post("/start", 503)
    api.post("/config", 503, json={"averaging": 10})
    api.post("/pause", 503)
    connected = api.post("/connect", params={"port": "/dev/ttyUSB0", "baud": 9600})
    assert connected == {"status": "connected", "sensor_id": "Q12345"}
    api.post("/connect", 400)
    assert api.get("/status")["state"] == "config_menu"
    api.post("/stop", 400)
    api.post("/recording/start", 400)
    configured = api.post("/config", json={"averaging": 60, "adc_rate_hz": 62, "mode": "polled", "tag": "C"})
    assert (configured["averaging"], configured["tag"], configured["mode"]) == (60, "C", "polled")
    assert configured["sample_period_s"] == pytest.approx(60 / 62, abs=1e-4)
    assert api.post("/start", params={"poll_hz": 2.0}) == {"status": "started", "mode": "polled"}
    api.post("/start", 400)
    until(lambda: api.get("/latest"), what="a reading")
    assert api.get("/latest")["mode"] == "polled" and api.get("/status")["state"] == "acq_polled"
    assert api.post("/pause") == {"status": "paused"}
    assert api.get("/status")["state"] == "paused"
    api.post("/pause", 400)
    assert api.post("/resume") == {"status": "resumed"}
    api.post("/resume", 400)
    assert api.post("/stop") == {"status": "stopped"}
    assert (
        api.post("/config", json={"mode": "freerun", "averaging": 125, "adc_rate_hz": 125})["mode"]
        == "freerun"
    )
    assert api.post("/disconnect") == {"status": "disconnected"}


@pytest.mark.parametrize(
    "wish",
    [{"averaging": 0}, {"averaging": 65536}, {"adc_rate_hz": 7}, {"mode": "x"}, {"tag": "a"}, {"x": 1}],
)
def test_a_bad_value_is_400_and_changes_nothing(plain: Api, wish: dict[str, Any]) -> None:
    plain.post("/connect")
    before = plain.get("/config")
    plain.post("/config", 400, json=wish)
    assert plain.get("/config") == before and plain.get("/status")["state"] == "config_menu"


def test_readings(api: Api, station: RunningStation) -> None:
    api.post("/connect")
    api.post("/start")
    until(lambda: len(api.get("/recent", params={"seconds": 300})["rows"]) > 20, what="20 readings")
    rows = api.get("/recent", params={"seconds": 300})["rows"]
    assert all(list(row) == KEYS for row in rows) and rows[-1]["mode"] == "freerun"
    times = [datetime.fromisoformat(row["timestamp"]) for row in rows]
    assert times == sorted(times) and times[0].utcoffset() is not None
    api.get("/recent", 422, params={"seconds": 0})
    api.get("/recent", 422, params={"seconds": 301})
    stats = api.get("/stats")
    assert stats["row_count"] > 20 and stats["est_sample_rate_hz"] > 1
    with connect(station.url.replace("http", "ws") + "/stream") as stream:
        got = [json.loads(stream.recv(timeout=10)) for _ in range(10)]
    assert all(list(one) == KEYS for one in got)
    assert len({one["timestamp"] for one in got}) == 10


def test_recording_in_the_old_style(api: Api) -> None:
    api.post("/connect")
    api.post("/start")
    assert api.post("/recording/start", params={"max_rows": 15}) == {"status": "recording"}
    api.post("/recording/start", 400)
    assert api.get("/status")["recording"] is True
    rows = api.get("/status")["rows"]
    until(lambda: api.get("/status")["rows"] > rows + 30, what="30 readings")
    stopped = api.post("/recording/stop", params={"flush": "csv"})
    assert stopped["status"] == "stopped"
    api.post("/recording/stop", 400)
    table = list(csv.DictReader(io.StringIO(api.get("/export/csv").text)))
    assert len(table) == 15 and list(table[0]) == KEYS and table[0]["sensor_id"] == "Q12345"
    assert Path(stopped["flush_path"]).read_text() == api.get("/export/csv").text
    assert api.get("/export/parquet").content[:4] == b"PAR1"


def finished(plain: Api, seconds: float = 3.3, **wish: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    begun = plain.post("/record/start", json={"chunk_interval_s": 1, **wish})
    time.sleep(seconds)
    return begun, plain.post("/record/stop", json={"session_id": begun["session_id"]})


def test_a_session_in_chunks(plain: Api) -> None:
    begun = plain.post("/record/start", json={"chunk_interval_s": 1, "metadata": {"site": "north"}})
    id = begun["session_id"]
    described = json.loads((Path(begun["storage_path"]) / "metadata.json").read_text())
    assert (described["session_id"], described["metadata"]) == (id, {"site": "north"})
    plain.post("/record/start", 400, json={})
    plain.post("/recording/start", 400)
    plain.get("/record/status", 400, params={"session_id": "another"})
    plain.post("/record/stop", 400, json={"session_id": "another"})
    listed: dict[int, str] = {}

    def three() -> bool:
        for chunk in plain.get("/record/snapshots", params={"session_id": id})["chunks"]:
            assert listed.setdefault(chunk["index"], chunk["sha256"]) == chunk["sha256"]
        return len(listed) >= 3

    until(three, what="three chunks")
    told = plain.get("/record/status", params={"session_id": id})
    assert told["is_recording"] and told["chunk_count"] >= 3 and told["total_rows"] > 100
    ended = plain.post("/record/stop", params={"session_id": id})
    plain.post("/record/stop", 400, json={"session_id": id})
    said = plain.get("/record/snapshots", params={"session_id": id})
    assert said["total_chunks"] == ended["final_chunk_count"] == len(said["chunks"])
    lines: list[dict[str, Any]] = []
    for i, chunk in enumerate(said["chunks"]):
        assert (chunk["index"], chunk["filename"]) == (i, f"chunk_{i:05d}.jsonl")
        answer = plain.get(f"/files/{id}/{chunk['filename']}")
        assert answer.headers["content-type"] == "application/x-ndjson"
        assert hashlib.sha256(answer.content).hexdigest() == chunk["sha256"]
        assert answer.headers["etag"] == f'"{chunk["sha256"]}"'
        assert int(answer.headers["content-length"]) == chunk["size_bytes"]
        rows = [json.loads(line) for line in answer.text.splitlines()]
        assert len(rows) == chunk["row_count"] and all(list(row) == KEYS for row in rows)
        datetime.fromisoformat(chunk["created_at"])
        lines += rows
    assert len(lines) == ended["total_rows"]
    part = plain.get(f"/files/{id}/chunk_00000.jsonl", 206, headers={"range": "bytes=10-19"})
    assert len(part.content) == 10
    idle = plain.get("/record/status", params={"session_id": id})
    assert idle["is_recording"] is False and idle["total_rows"] == 0
    assert plain.get("/status")["state"] == "config_menu"
    assert plain.get(f"/files/{id}/metadata.json")["session_id"] == id


def test_chunks_close_on_the_clock(plain: Api) -> None:
    begun, ended = finished(plain, 5.2)
    chunks = plain.get("/record/snapshots", params={"session_id": begun["session_id"]})["chunks"]
    assert len(chunks) == ended["final_chunk_count"] >= 5
    began = datetime.fromisoformat(begun["start_time"]).timestamp()
    for chunk in chunks[:-1]:
        late_s = datetime.fromisoformat(chunk["created_at"]).timestamp() - began - (chunk["index"] + 1)
        assert -0.1 < late_s < 0.5, chunk


def test_a_later_version_of_the_interface(plain: Api) -> None:
    begun, ended = finished(plain, 1.5, mission="M1", schema_version=1, rate_hz=500)
    assert {"started_at", "rate_hz", "schema_version"} <= set(begun)
    assert {"stopped_at", "chunks", "rows"} <= set(ended)
    chunks = plain.get("/record/snapshots", params={"session_id": begun["session_id"]})
    assert isinstance(chunks, list) and {"name", "rows"} <= set(chunks[0])
    assert {"state", "rows", "bytes", "last_chunk_index", "backlog"} <= set(plain.get("/record/status"))
    health = plain.get("/instrument/health")
    assert {"port", "model", "firmware", "disk_free_bytes"} <= set(health) and health["state"] in STATES


def test_what_is_not_there(plain: Api) -> None:
    plain.get("/record/snapshots", 422)
    plain.get("/record/snapshots", 404, params={"session_id": "00000000-0000-0000-0000-000000000000"})
    plain.get("/files/00000000-0000-0000-0000-000000000000/chunk_00000.jsonl", 404)
    health = plain.get("/instrument/health")
    assert (health["connected"], health["sample_rate_hz"]) == (False, 0.0)


@pytest.mark.parametrize(
    "path",
    [
        "../../etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e/%2e%2e/etc/passwd", "%252e%252e%252fetc/passwd",
        "{id}/../recording.json", "{id}/..%2frecording.json", "{id}/%2e%2e%2frecording.json",
        "{id}/%252e%252e%252frecording.json", "{id}//etc/passwd", "{id}/.hidden", "{id}/chunk%00.jsonl",
        "{id}/..\\\\recording.json", "..\\\\..\\\\etc/passwd", "{id}/%5c..%5crecording.json", "./{id}/x",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_a_session(plain: Api, station: RunningStation, path: str) -> None:
    known = station.call("GET", "/v1/recordings")["items"]
    id = known[0]["id"] if known else "00000000-0000-0000-0000-000000000000"
    at = urlsplit(station.url)
    with socket.create_connection((at.hostname, at.port)) as line:  # as it is, with nobody tidying the path
        asked = f"GET /files/{path.replace('{id}', id)} HTTP/1.1"
        line.sendall(f"{asked}\r\nHost: {at.netloc}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: line.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 403"), (path, answer[:200])
    assert b"root:" not in answer


def test_several_clients_and_one_recorder(plain: Api, station: RunningStation) -> None:
    codes: list[int] = []

    def begin() -> None:
        answer = httpx.post(station.url + "/record/start", json={"chunk_interval_s": 1}, timeout=40)
        codes.append(answer.status_code)

    threads = [threading.Thread(target=begin) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [200, 400, 400, 400, 400]
    assert len(station.call("GET", "/v1/recordings?running=true")["items"]) == 1
    plain.post("/stop")
    assert plain.get("/record/status")["is_recording"] is False


def test_a_slow_configuration_holds_nobody_up(tmp_path: Path) -> None:
    with RunningStation(tmp_path, sensor(1.0), WEB) as station:
        api = Api(station.url)
        api.post("/connect")
        worker = threading.Thread(
            target=lambda: httpx.post(
                station.url + "/config",
                json={"averaging": 60, "adc_rate_hz": 62, "mode": "polled"},
                timeout=60,
            )
        )
        worker.start()
        until(lambda: "setting" in api.get("/status")["activity"], what="a dialogue")
        began = time.monotonic()
        assert api.get("/status")["activity"]
        api.get("/latest")
        api.post("/stop")
        assert time.monotonic() - began < 2.0
        assert worker.is_alive()
        worker.join()


def test_sessions_outlive_a_crash(tmp_path: Path) -> None:
    with RunningStation(tmp_path, sensor(), WEB) as station:
        api = Api(station.url)
        begun = api.post("/record/start", json={"chunk_interval_s": 1})
        id = begun["session_id"]
        until(lambda: api.get("/record/status")["current_chunk_rows"] > 20, what="rows")
        time.sleep(1.2)
        station.kill_engine()
        station.start()
        api = Api(station.url)

        def chunks() -> list[dict[str, Any]]:
            return api.get("/record/snapshots", params={"session_id": id})["chunks"]

        until(chunks, what="the recovered chunk")
        for chunk in chunks():
            data = api.get(f"/files/{id}/{chunk['filename']}").content
            assert hashlib.sha256(data).hexdigest() == chunk["sha256"]
        assert api.get("/record/status")["is_recording"] is False
        found = station.call("GET", f"/v1/recordings/{id}/completeness")
        assert "crash" in {m["reason"] for stream in found["streams"] for m in stream["missing"]}
