"""`kymograph plot` on what a real station has recorded, also while it records."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.running import LIDAR, RunningStation, until

STATION = """
[instruments.stand]
driver = "stm32"
port = "sim://stm32?rate_hz=50"
"""
TABLES = '[web]\nfaces = ["teststand"]\n[faces.teststand]\nstand = "stand"\n'
PNG = b"\x89PNG\r\n\x1a\n"


def plot(*arguments, code=0):
    command = [sys.executable, "-m", "kymograph", "plot", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout) if "--json" in arguments else done.stdout + done.stderr


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    with RunningStation(tmp_path_factory.mktemp("plot"), STATION + LIDAR, TABLES) as running:
        made = running.call("POST", "/v1/recordings", {"name": "firing", "format": "parquet"})
        running.call("POST", f"/v1/recordings/{made['id']}/events", {"text": "tank open"})
        running.recording = f"/v1/recordings/{made['id']}"
        until(lambda: running.call("GET", running.recording)["rows"] > 5000, what="a recording with rows")
        yield running


def test_a_recording_under_way_becomes_a_page(station, tmp_path):
    out = tmp_path / "firing.html"
    told = plot("firing", "--data", station.data, "-o", out, "--json")
    panels = {panel["title"]: panel for panel in told["panels"]}
    assert panels["Pressure · stand"]["channels"][:2] == ["P1", "P2"]
    assert panels["Pressure · stand"]["unit"] == "bar" and "Distance · lidar" in panels
    assert told["rows"] > 1000 and told["events"] >= 1
    text = out.read_text("utf-8")
    assert "tank open" in text and '"turns":[{' in text


def test_a_log_of_the_stand_becomes_a_picture(station):
    assert station.call("POST", "/api/save_sensor_buffer", {})["rows"] > 0
    [log, *_] = sorted((station.data / "exports").glob("sensor_log_*.parquet"))
    told = plot(log, "--json")
    assert told["panels"][0]["title"] == "Pressure"
    assert {"Debi1", "Debi2"} <= set(told["without_values"])
    assert log.with_suffix(".png").read_bytes()[:8] == PNG


def test_an_ended_recording_by_its_folder(station, tmp_path):
    station.call("POST", f"{station.recording}/stop")
    [folder] = (station.data / "recordings").iterdir()
    out = tmp_path / "a.svg"
    assert "rows" in plot(
        folder, "-o", out, "--channels", "stand.P*,thrust", "--last", "1s", "--title", "A firing"
    )
    assert out.read_bytes().startswith(b"<?xml")
