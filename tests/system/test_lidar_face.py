"""The lidar's contract against the real program and the simulated device behind a pseudo-terminal."""

from __future__ import annotations

import csv
import io
import os
import re
import signal
import threading
import time
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import httpx
import pytest

from tests.running import RunningStation, until

TRANSCRIPT = tomllib.loads(Path(__file__).with_name("transcripts").joinpath("lidar.toml").read_text())["step"]
WEB = '[web]\nfaces = ["lidar"]\n[recording]\nsegment_interval_s = 1\n'
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def lidar(port: str = "sim://ydlidar?model=X4", start: bool = True) -> str:
    return (
        f'[instruments.lidar]\ndriver = "ydlidar"\nport = "{port}"\nstart = {str(start).lower()}\n'
        '[instruments.lidar.options]\nmodel = "X4"\n'
    )


def start(station: RunningStation, name: str, timeout_s: float = 30) -> httpx.Response:
    return httpx.post(f"{station.url}/lidar/start", json={"filename": name}, timeout=timeout_s)


def stop(station: RunningStation) -> httpx.Response:
    return httpx.get(f"{station.url}/lidar/stop", timeout=30)


def rows(station: RunningStation, name: str, query: str = "") -> list[list[str]]:
    answer = httpx.get(f"{station.url}/lidar/files/{name}/download{query}", timeout=60)
    assert answer.status_code == 200, answer.text
    return list(csv.reader(io.StringIO(answer.text)))


def fits(step: dict[str, Any], answer: httpx.Response) -> str:
    """Return what is wrong with an answer, "" if nothing."""
    if answer.status_code != step["status"]:
        return f"status {answer.status_code}: {answer.text[:200]}"
    if "csv" in step:
        lines = answer.text.split("\n")
        if not answer.headers["content-type"].startswith("text/csv"):
            return answer.headers["content-type"]
        if not answer.headers["content-disposition"].startswith("attachment"):
            return answer.headers["content-disposition"]
        if lines[0] != step["csv"]:
            return f"header row {lines[0]!r}"
        return "" if len(lines) - 2 >= step["rows_min"] else f"{len(lines) - 2} rows"
    body = answer.json()
    if step.get("error"):
        return (
            "" if list(body) == ["error"] and isinstance(body["error"], str) and body["error"] else str(body)
        )
    return "" if body == step["answer"] else str(body)


def replay(station: RunningStation, step: dict[str, Any]) -> str:
    """Send what a step says, for as long as it allows; return what is wrong with the answer."""
    method, path = step["ask"].split(" ")
    sent: dict[str, Any] = {"json": step["json"]} if "json" in step else {"content": step.get("body", "")}
    deadline = time.monotonic() + step.get("wait_s", 0)
    while True:
        wrong = fits(step, httpx.request(method, station.url + path, timeout=30, **sent))
        if not wrong or time.monotonic() > deadline:
            return wrong


@pytest.mark.parametrize("acquiring", [True, False], ids=["acquiring before", "closed before"])
def test_the_transcript(tmp_path: Path, acquiring: bool) -> None:
    with RunningStation(tmp_path, lidar(start=acquiring), WEB) as station:
        for number, step in enumerate(TRANSCRIPT):
            wrong = replay(station, step)
            assert not wrong, f"step {number}, {step.get('say', '')} {step['ask']}: {wrong}"


def test_what_is_downloaded(tmp_path: Path) -> None:
    with RunningStation(tmp_path, lidar(), WEB) as station:
        before = datetime.now(UTC)
        assert start(station, "night.h5").status_code == 200
        until(lambda: len(rows(station, "night")) > 2000, what="2000 samples")
        assert stop(station).status_code == 200
        after = datetime.now(UTC)
        header, *samples = rows(station, "night.h5")
        assert header == ["timestamp", "distance", "angle"]
        times = [sample[0] for sample in samples]
        assert all(TIMESTAMP.fullmatch(one) for one in times)
        assert times == sorted(times) and len(set(times)) > 0.9 * len(times), "each sample has its own time"
        assert before.isoformat() <= times[0] <= times[-1].replace("Z", "+00:00") <= after.isoformat()
        distances = [float(sample[1]) for sample in samples]
        assert all(0 < distance < 10 for distance in distances), "metres, and only returns"
        assert all(0 <= float(sample[2]) < 360 for sample in samples)
        everything = rows(station, "night.h5", "?all=1")
        assert any(float(sample[1]) == 0 for sample in everything[1:])
        assert [sample for sample in everything[1:] if float(sample[1]) > 0] == samples


def test_listing_and_download_at_every_moment_of_merging(tmp_path: Path) -> None:
    with RunningStation(tmp_path, lidar(), WEB) as station:
        assert start(station, "night.h5").status_code == 200
        (recording,) = station.call("GET", "/v1/recordings")["items"]
        id = recording["id"]
        until(lambda: station.call("GET", f"/v1/recordings/{id}")["segments"] >= 3, 30, "three segments")
        assert stop(station).status_code == 200
        whole = rows(station, "night.h5")
        folder = next((station.data / "recordings").iterdir())

        def merged() -> bool:
            assert httpx.get(f"{station.url}/lidar/files").json() == {"files": ["night.h5"]}
            assert rows(station, "night.h5") == whole
            return sorted(path.name for path in folder.glob("*.h5")) == ["night.h5"]

        until(merged, 60, "one file")
        assert rows(station, "night.h5") == whole
        with h5py.File(folder / "night.h5") as file:
            assert {"timestamp", "distance", "angle"} <= file.keys()
            assert int((file["distance"][:] > 0).sum()) == len(whole) - 1


def test_hdf5_while_it_is_recorded(tmp_path: Path) -> None:
    with RunningStation(tmp_path, lidar(), WEB) as station:
        assert start(station, "night.h5").status_code == 200
        until(lambda: len(rows(station, "night")) > 1000)
        id = station.call("GET", "/v1/recordings")["items"][0]["id"]
        export = httpx.get(f"{station.url}/v1/recordings/{id}/export?format=hdf5", timeout=60)
        assert export.status_code == 200
        with h5py.File(io.BytesIO(export.content)) as file:
            assert len(file["distance"]) > 1000
        assert stop(station).status_code == 200


def test_two_starts_at_one_instant(tmp_path: Path) -> None:
    with RunningStation(tmp_path, lidar(start=False), WEB) as station:
        for turn in range(3):
            go, codes = threading.Barrier(4), list[int]()

            def race(i: int, turn: int = turn, go: Any = go, codes: Any = codes) -> None:
                go.wait()
                codes.append(start(station, f"race{turn}_{i}.h5").status_code)

            racers = [threading.Thread(target=race, args=(i,)) for i in range(4)]
            for racer in racers:
                racer.start()
            for racer in racers:
                racer.join()
            assert sorted(codes) == [200, 400, 400, 400]
            assert stop(station).status_code == 200


@pytest.fixture
def silent_port() -> Any:
    """A pseudo-terminal with nobody behind it."""
    host, device = os.openpty()
    yield os.ttyname(device)
    os.close(host)
    os.close(device)


@pytest.mark.parametrize("unplugged", [True, False], ids=["unplugged", "silent"])
def test_no_lidar_there(tmp_path: Path, silent_port: str, unplugged: bool) -> None:
    port = "serial:///dev/ttyNOBODY" if unplugged else f"serial://{silent_port}"
    with RunningStation(tmp_path, lidar(port, start=False), WEB) as station:
        for turn in range(2):
            began = time.monotonic()
            answer = start(station, f"night{turn}.h5")
            assert time.monotonic() - began < 5
            assert answer.status_code == 500 and list(answer.json()) == ["error"]
            assert answer.json()["error"]
            refused = stop(station)
            assert (refused.status_code, refused.json()) == (400, {"error": "Lidar is not running"})
        assert httpx.get(f"{station.url}/lidar/files").json() == {"files": []}


def test_the_front_killed_while_recording(tmp_path: Path) -> None:
    with RunningStation(tmp_path, lidar(), WEB) as station:
        assert start(station, "night.h5").status_code == 200
        before = len(rows(station, "night"))
        front = station.front()
        assert front is not None
        os.kill(front.pid, signal.SIGKILL)
        until(station.answers, 10, "a new front")
        assert start(station, "other.h5").json() == {"error": "Lidar is already running"}
        until(lambda: len(rows(station, "night")) > before + 1000)
        assert stop(station).json() == {"success": "Lidar stopped successfully"}


def test_the_engine_killed_while_recording(tmp_path: Path) -> None:
    with RunningStation(tmp_path, lidar(), WEB) as station:
        assert start(station, "night.h5").status_code == 200
        until(lambda: len(rows(station, "night")) > 5000)
        killed = datetime.now(UTC)
        station.kill_engine()
        station.start()
        assert stop(station).json() == {"error": "Lidar is not running"}
        assert httpx.get(f"{station.url}/lidar/files").json() == {"files": ["night.h5"]}
        last = datetime.fromisoformat(rows(station, "night.h5", "?all=1")[-1][0])
        # One second of rows, and what a busy machine had not yet read from the wire.
        assert killed - last < timedelta(seconds=2), "all but the last second"
        (recording,) = station.call("GET", "/v1/recordings")["items"]
        assert recording["ended"] == "crash"


def test_what_v1_records_is_what_the_face_sees(tmp_path: Path) -> None:
    with RunningStation(tmp_path, lidar(), WEB) as station:
        station.call("POST", "/v1/recordings", {"name": "by-v1"})
        assert start(station, "night.h5").json() == {"error": "Lidar is already running"}
        assert httpx.get(f"{station.url}/lidar/files").json() == {"files": ["by-v1.h5"]}
        assert stop(station).json() == {"success": "Lidar stopped successfully"}
        assert not station.call("GET", "/v1/recordings")["items"][0]["running"]
        assert station.call("GET", "/v1/instruments")["items"][0]["state"] == "acquiring", "it ran before"


def test_another_sites_image_does_not_stop_it(tmp_path: Path) -> None:
    with RunningStation(tmp_path, lidar(), WEB) as station:
        assert start(station, "night.h5").status_code == 200
        for headers in (
            {"sec-fetch-site": "cross-site"},
            {"sec-fetch-site": "same-site"},
            {"origin": "http://evil.example"},
            {"referer": "http://evil.example/"},
            {"host": "evil.example"},
        ):
            answer = httpx.get(f"{station.url}/lidar/stop", headers=headers)
            assert answer.status_code == 403, headers
        assert stop(station).status_code == 200
