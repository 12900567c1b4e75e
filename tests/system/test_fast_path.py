"""The test stand at 10 kHz, from the wire: recordings that begin in the past, a trigger, promoting."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
from collections.abc import Generator
from typing import Any

import numpy as np
import pytest

from kymograph.client import connect
from kymograph.store.reader import RecordingReader
from tests.running import RunningStation, until

pytestmark = pytest.mark.timeout(120)

STAND = """
[recording]
autostart = "watch"
segment_interval_s = 5
[instruments.stand]
driver = "stm32"
port = "sim://stm32?protocol=frames&rate_hz=10000&batch=10"
[instruments.stand.options]
protocol = "frames"
rate_hz = 10000
link = "usb"
[triggers.tank]
when = "stand.P1 > 5000"
pre_s = 0.5
post_s = 0.5
record = "puff"
"""


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningStation]:
    with RunningStation(tmp_path_factory.mktemp("fast"), STAND) as made:
        until(lambda: ring_rows(made) > 15_000, 40, "a second and a half of rows")
        yield made


def ring_rows(station: RunningStation) -> int:
    [stream] = station.call("GET", "/v1/streams")["items"]
    return stream["ring"]["rows"]


def rows_of(station: RunningStation, recording: dict[str, Any]) -> np.ndarray:
    """Return the numbers of the rows that are on the disk."""
    [path] = (station.data / "recordings").glob(f"*_{recording['name']}")
    blocks = RecordingReader(path).blocks("stand", channels=["P1"])
    return np.concatenate([np.arange(one.seq, one.seq + one.rows) for one in blocks])


def ended(station: RunningStation, id: str) -> bool:
    return not station.call("GET", f"/v1/recordings/{id}")["running"]


def test_a_station_records_by_itself_and_its_rings_are_told(station: RunningStation) -> None:
    [watch] = station.call("GET", "/v1/recordings?running=true")["items"]
    assert watch["name"] == "watch" and watch["origin"]["begun_by"] == "autostart"
    told = station.call("GET", "/v1/station")
    assert told["ring_bytes"] > 1_000_000
    assert "ring" in station.log()


def test_the_last_seconds_are_promoted_beside_it(station: RunningStation) -> None:
    kept = station.call("POST", "/v1/recordings/promote", {"name": "kept", "seconds": 1})
    until(lambda: ended(station, kept["id"]), what="the end of what was promoted")
    numbers = rows_of(station, kept)
    assert 9_500 <= len(numbers) <= 10_500 and (np.diff(numbers) == 1).all()
    with connect(station.url) as client:
        again = client.promote("again", 0.5, metadata={"who": "ana"})
        assert again.metadata["promoted_s_given"] == 0.5 and again.metadata["who"] == "ana"
        until(lambda: not again.refresh().running, what="its end")


def test_a_trigger_is_seen_fired_and_switched_off(station: RunningStation) -> None:
    def trigger() -> dict[str, Any]:
        return station.call("GET", "/v1/triggers")["items"][0]

    until(lambda: trigger()["state"] == "armed", what="an armed trigger")
    assert "stand.P1 is" in trigger()["now"]
    station.call("POST", "/v1/triggers/tank/fire", {"by": "ana"})
    [id] = until(lambda: trigger()["recordings"], what="its recording")
    until(lambda: ended(station, id), what="its end")
    puff = station.call("GET", f"/v1/recordings/{id}")
    numbers = rows_of(station, puff)
    assert puff["name"] == "puff" and puff["metadata"]["pre_s_given"] == 0.5
    assert len(numbers) >= 9_500 and (np.diff(numbers) == 1).all()
    assert station.call("POST", "/v1/triggers/tank/disarm")["state"] == "off"
    with pytest.raises(urllib.error.HTTPError) as refused:
        station.call("POST", "/v1/triggers/tank/fire")
    assert refused.value.code == 409


def test_the_same_on_the_command_line(station: RunningStation) -> None:
    def kymograph(*words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "kymograph", *words, "--json"], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    data = ("--data", str(station.data))
    assert kymograph("triggers", "arm", "tank", *data)["name"] == "tank"
    assert kymograph("triggers", "ls", "--url", station.url)["items"][0]["when"] == "stand.P1 > 5000"
    begun = kymograph("recordings", "promote", "shell", "--seconds", "0.5", *data)
    until(lambda: ended(station, begun["id"]), what="its end")


def test_by_hand_with_a_past_once_nothing_else_records(station: RunningStation) -> None:
    [watch] = station.call("GET", "/v1/recordings?running=true")["items"]
    with pytest.raises(urllib.error.HTTPError) as busy:
        station.call("POST", "/v1/recordings", {"name": "burn", "pre_s": 1})
    assert busy.value.code == 409
    station.call("POST", f"/v1/recordings/{watch['id']}/stop")
    burn = station.call("POST", "/v1/recordings", {"name": "burn", "pre_s": 1})
    assert burn["metadata"]["pre_s_given"] == 1
    until(lambda: station.call("GET", f"/v1/recordings/{burn['id']}")["rows"] > 25_000, 40, "its rows")
    done = station.call("POST", f"/v1/recordings/{burn['id']}/stop")
    numbers = rows_of(station, burn)
    assert done["rows"] == len(numbers) and (np.diff(numbers) == 1).all()
    watched = rows_of(station, watch)
    assert (np.diff(watched) == 1).all()  # and what ran all the while has lost nothing
