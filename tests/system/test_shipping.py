"""A station ships to a hub, as a person runs both: cables are cut, processes killed, and nothing is lost."""

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import psutil
import pytest

from tests.original_hub import OriginalHub
from tests.proxy import Cable
from tests.running import RunningStation, generator, until

EDGE = """
[web]
faces = ["readings"]
[recording]
segment_interval_s = 1
[readings]
interval_s = 0.2
[destinations.hub]
url = "{hub}"
limit_bytes_per_s = 200000
[destinations.old]
url = "{old}"
kind = "original"
"""
HUB = '[web]\nfaces = ["readings"]\n[hub]\nopen = true\n'


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    here, there = tmp_path_factory.mktemp("edge"), tmp_path_factory.mktemp("hub")
    with OriginalHub(dedupe=True) as old, RunningStation(there, "", HUB) as hub:
        with Cable(int(hub.url.rpartition(":")[2])) as cable:
            tables = EDGE.format(hub=cable.url, old=old.url)
            with RunningStation(here, generator(rate_hz=200, channels=2), tables) as edge:
                yield edge, hub, cable, old


def times(station):
    """Return the times of all readings that a station or a hub has, oldest first."""
    return [one["ts_utc"] for one in station.call("GET", "/readings")]


def shipping(edge, name="hub"):
    items = {one["name"]: one for one in edge.call("GET", "/v1/shipping")["items"]}
    return items[name]


def keeper(edge):
    for child in edge.engine.children():
        with contextlib.suppress(psutil.Error):
            if "kymograph.app.keeper" in " ".join(child.cmdline()):
                return child
    return None


def arrived(edge, hub):
    """Wait until everything that the edge has now is at the hub; each once."""
    now = times(edge)
    assert now
    until(lambda: set(now) <= set(times(hub)), 90, "the hub's readings")
    there = times(hub)
    assert len(there) == len(set(there)) and there == sorted(there)


def test_readings_arrive_at_both_hubs(places):
    edge, hub, _, old = places
    until(lambda: len(times(edge)) > 5, what="readings")
    arrived(edge, hub)
    until(lambda: shipping(edge)["state"] == "connected" == shipping(edge, "old")["state"])
    now = times(edge)
    until(lambda: len(old.times()) >= len(now), what="the original hub's readings")
    assert len(old.times()) == len(set(old.times()))


def test_a_cut_cable_and_killed_processes_lose_nothing(places):
    edge, hub, cable, _ = places
    cable.cut()
    until(lambda: shipping(edge)["state"] == "waiting" and shipping(edge)["owed"]["readings"] > 5, 30)
    before = until(lambda: keeper(edge), what="a keeper")
    os.kill(before.pid, signal.SIGKILL)
    until(lambda: (found := keeper(edge)) and found.pid != before.pid, 30, "another keeper")
    front = until(hub.front, what="the hub's front")
    front.kill()
    until(hub.answers, 30, "the hub's front")
    cable.mend()
    arrived(edge, hub)
    until(lambda: shipping(edge)["state"] == "connected", 30)
    cable.lose_answers = True
    until(lambda: shipping(edge)["state"] == "waiting", 30)
    cable.lose_answers = False
    arrived(edge, hub)


def test_a_recording_arrives_with_its_events(places):
    edge, hub, _, _ = places
    begun = edge.call("POST", "/v1/recordings", {"name": "night"})
    edge.call("POST", f"/v1/recordings/{begun['id']}/events", {"text": "a mark"})
    until(lambda: edge.call("GET", f"/v1/recordings/{begun['id']}")["segments"] >= 2, what="two segments")
    edge.call("POST", f"/v1/recordings/{begun['id']}/stop")
    sealed = until(lambda: whole(edge, begun["id"]), 30, "the end of the recording")
    wanted = {one["filename"]: one["sha256"] for one in sealed}
    path = f"/v1/fleet/bench/recordings/{begun['id']}/segments"
    until(lambda: hashes(hub, path) == wanted, 40, "the recording at the hub")
    name, sha256 = next(iter(wanted.items()))
    with urllib.request.urlopen(f"{hub.url}{path}/{name}", timeout=30) as file:
        assert hashlib.sha256(file.read()).hexdigest() == sha256
    until(lambda: shipping(edge)["owed"]["segments"] == 0 == shipping(edge)["owed"]["events"], 30)


def hashes(hub, path):
    try:
        return {one["filename"]: one["sha256"] for one in hub.call("GET", path)["items"]}
    except urllib.error.HTTPError:
        return {}


def whole(edge, id):
    recording = edge.call("GET", f"/v1/recordings/{id}")
    items = edge.call("GET", f"/v1/recordings/{id}/segments")["items"]
    return items if not recording["running"] and len(items) == recording["segments"] else None


def test_how_it_stands_is_told(places):
    edge, _, _, _ = places
    until(lambda: shipping(edge)["state"] == "connected", 30)
    command = [sys.executable, "-m", "kymograph", "shipping", "--data", str(edge.data)]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "connected" in shown.stdout and "hub" in shown.stdout
    told = json.loads(subprocess.run([*command, "--json"], capture_output=True, timeout=60).stdout)
    assert {one["name"] for one in told["items"]} == {"hub", "old"}
