"""The extension of BlueOS: its labels are what BlueOS reads, and what runs in it is not root."""

import json
import os
import re
import shlex
import subprocess
import tomllib
from pathlib import Path

import pytest

import kymograph
from kymograph.config import load

ROOT = Path(__file__).parents[3]
HERE = ROOT / "deploy/blueos"


def stage():
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", "")
    found = re.search(r"^FROM station AS blueos\n(.*?)^FROM", text, re.M | re.S)
    assert found
    return [tuple(line.split(None, 1)) for line in found[1].splitlines() if line and line[0] != "#"]


def labels():
    words = [shlex.split(rest)[0].partition("=") for word, rest in stage() if word == "LABEL"]
    return {name: value for name, _, value in words}


def permissions():
    return json.loads((HERE / "permissions.json").read_text())


def test_the_labels_are_those_that_blueos_reads():
    said = labels()
    assert said["version"] == kymograph.__version__
    assert json.loads(said["permissions"]) == permissions()
    assert all(author["name"] for author in json.loads(said["authors"]))
    assert {"name", "about"} <= set(json.loads(said["company"]))
    assert said["type"] == "device-integration"
    assert isinstance(json.loads(said["tags"]), list)
    assert said["requirements"].startswith("core >=")


def test_the_port_is_any_that_is_free_and_only_the_station_s_own():
    port = tomllib.loads((HERE / "station.toml").read_text())["web"]["port"]
    assert list(permissions()["ExposedPorts"]) == [f"{port}/tcp"]
    assert permissions()["HostConfig"]["PortBindings"] == {f"{port}/tcp": [{"HostPort": ""}]}
    assert ("EXPOSE", f"{port}/tcp") in stage()


def test_it_gets_serial_ports_and_no_more():
    given = permissions()["HostConfig"]
    assert not given.get("Privileged")
    assert all(re.fullmatch(r"c (188|166|204):\* rw", rule) for rule in given["DeviceCgroupRules"])
    folders = dict(bind.split(":") for bind in given["Binds"])
    assert set(folders.values()) == {"/data", "/dev"}


def test_the_old_variables_override_the_station_file():
    environ = {
        "SERIAL_PORT": "/dev/ttyUSB3", "SERIAL_BAUD": "19200", "CHUNK_RECORDING_PATH": "/data/dives",
        "API_PORT": "9160", "LOG_LEVEL": "DEBUG", "CORS_ORIGINS": "http://a.local, http://b.local:3000",
    }  # fmt: skip
    pytest.importorskip("kymograph.drivers.qseries")
    config = load(HERE / "station.toml", environ=environ)
    assert config.instruments["sensor"].port == "serial:///dev/ttyUSB3?baud=19200"
    assert config.station.data == Path("/data/dives")
    assert config.web.port == 9160
    assert config.station.log_level == "debug"
    assert config.web.origins == ("http://a.local", "http://b.local:3000")


def test_data_stays_on_the_vehicle_when_the_container_is_made_anew():
    file = tomllib.loads((HERE / "station.toml").read_text())
    assert file["station"]["data"].startswith("/data/")


def test_it_is_told_what_to_serve_and_asked_how_it_is():
    words = dict(stage())
    assert words["ENTRYPOINT"] == '["kymograph-blueos"]'
    assert words["CMD"] == '["serve", "/etc/kymograph/station.toml"]'
    assert "/healthz" in words["HEALTHCHECK"]
    assert "API_PORT" in words["HEALTHCHECK"]


def test_the_program_becomes_the_user_that_records(tmp_path):
    for name in ("install", "setpriv"):
        said = tmp_path / name
        said.write_text(f'#!/bin/sh\necho {name} "$@"\n')
        said.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CHUNK_RECORDING_PATH": "/data/dives"}
    ran = subprocess.run(
        ["sh", HERE / "entrypoint.sh", "serve", "a station.toml"],
        env=environ, capture_output=True, text=True, check=True,
    )  # fmt: skip
    folders, became = ran.stdout.splitlines()
    assert folders == "install -d -o kymograph -g kymograph -m 0755 /data /data/dives"
    assert became.startswith("setpriv --reuid=kymograph --regid=kymograph --init-groups")
    assert became.endswith("kymograph serve a station.toml")
