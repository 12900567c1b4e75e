"""A station makes room as a person sees it: asked over the network, told by the command line."""

import json
import subprocess
import sys

import pytest

from tests.running import RunningStation, generator, until

TABLES = """
[recording]
segment_interval_s = 1
[readings]
interval_s = 0.1
[retention]
keep_last_s = 0
check_interval_s = 3600
readings_rows_max = 10
recordings_bytes_max = 1
"""


@pytest.fixture(scope="module")
def station(tmp_path_factory):
    folder = tmp_path_factory.mktemp("station")
    with RunningStation(folder, generator(rate_hz=200, channels=2), TABLES) as running:
        yield running


@pytest.fixture(scope="module")
def recordings(station):
    """Two recordings of several files each; the second is pinned while it runs."""
    made = []
    for name in ("loose", "pinned"):
        id_ = station.call("POST", "/v1/recordings", {"name": name})["id"]
        path = f"/v1/recordings/{id_}"
        if name == "pinned":
            assert station.call("PATCH", path, {"pinned": True})["pinned"]
        until(lambda path=path: station.call("GET", path)["segments"] >= 3, what="three files")
        station.call("POST", f"{path}/stop")
        made.append(path)
    return made


def held(station):
    return station.call("GET", "/v1/retention")["held_back"]["recordings"]


def test_a_pass_deletes_what_may_go_and_says_so(station, recordings):
    loose, pinned = recordings
    before = station.call("GET", loose)
    until(lambda: set(held(station)) == {"pinned"}, what="what was recorded to be in the database")
    told = station.call("GET", "/v1/retention")
    foreseen = next(one for one in told["next"] if one["stream"] == "recordings")
    assert foreseen["segments"] == before["segments"] and not foreseen["unsynced"]
    answer = station.call("POST", "/v1/retention/run")
    assert answer["done"]
    done = {one["stream"]: one for one in answer["result"]["done"]}
    assert done["recordings"]["segments"] == before["segments"] and not done["recordings"]["error"]
    assert done["recordings"]["rows"] == before["rows"]
    until(lambda: station.call("GET", "/v1/retention")["passes"][0]["done"])
    assert station.call("GET", pinned)["segments"] >= 3
    gone = station.call("GET", loose)
    assert (gone["segments"], gone["rows"]) == (0, 0)
    stones = station.call("GET", "/v1/retention")["tombstones"]
    assert {one["stream"] for one in stones} >= {"segments"}
    assert any(
        one["kind"] == "state" and one["source"] == "retention"
        for one in station.call("GET", "/v1/events")["items"]
    )


def test_what_is_missing_is_explained_and_nothing_breaks(station, recordings):
    loose, _ = recordings
    ledger = station.call("GET", f"{loose}/completeness")
    (stream,) = ledger["streams"]
    assert {one["reason"] for one in stream["missing"]} == {"deleted by retention"}
    assert stream["expected_rows"] == sum(one["rows"] for one in stream["missing"])
    assert "deleted by retention" in ledger["summary"]
    assert station.call("GET", f"{loose}/manifest")["deleted"][0]["reason"].startswith("recordings take")
    assert station.call("GET", f"{loose}/verify")["ok"]
    station.call("GET", f"{loose}/data")
    again = station.call("POST", "/v1/retention/run")["result"]
    assert "recordings" not in {one["stream"] for one in again["done"]}


def test_the_command_says_what_stays_and_why(station, recordings):
    command = [sys.executable, "-m", "kymograph", "retention", "--url", station.url]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "Held back of recordings" in said and "pinned" in said and "Pass of" in said
    told = json.loads(
        subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=60, check=True).stdout
    )
    assert told["thresholds"]["readings_rows_max"] == 10
    until(lambda: station.call("GET", "/v1/retention")["database"]["readings"] > 25, what="more readings")
    done = json.loads(
        subprocess.run(
            [*command, "--run", "--json"], capture_output=True, text=True, timeout=60, check=True
        ).stdout
    )
    assert done["done"] and done["result"]["done"][0]["stream"] == "readings"
