"""Readings are composed each interval, whatever instruments and disk do, and no two have one time."""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from kymograph.config import parse
from kymograph.model.clock import Clock
from kymograph.model.errors import DiskFull, NotFound
from kymograph.model.limits import READINGS_WAITING_MAX
from kymograph.service.readings import composer as composer_module
from kymograph.service.station import Station
from kymograph.store.spool import SpoolPlace, SpoolWriter, read_spool
from tests.running import generator, until

HOUR_NS = 3600 * 10**9
TABLES = """
[readings]
interval_s = {interval_s}
device_id = "weather-01"
instruments = {instruments}
[web]
enabled = false
[instruments.none]
driver = "bme280"
port = "i2c:///dev/i2c-none"
[instruments.waits]
driver = "disk_space"
start = false
"""


class Wall:
    """A wall clock that can be set."""

    def __init__(self) -> None:
        self.ahead_ns = 0
        self.clock = Clock(time.monotonic_ns, lambda: time.time_ns() + self.ahead_ns)


class Made:
    """A station that composes, and what it has written down."""

    def __init__(self, data: Path, interval_s: float, instruments: list[str]) -> None:
        text = f'[station]\nname = "s"\ndata = "{data}"\n' + TABLES.format(
            interval_s=interval_s, instruments=json.dumps(instruments)
        )
        self.wall = Wall()
        self.station = Station(parse(tomllib.loads(text + generator(100, 1))), self.wall.clock)
        assert self.station.composer is not None
        self.composer = self.station.composer
        self._folder = data / "readings"

    def written(self) -> list[dict[str, Any]]:
        lines, _ = read_spool(self._folder, SpoolPlace(0, 0), 10**9)
        return [json.loads(line) for line in lines]


@pytest.fixture
def slow(tmp_path: Path) -> Generator[Made]:
    """A station whose next reading is an hour away: tests compose by hand."""
    made = Made(tmp_path, 86_400, ["gen", "none", "waits"])
    made.station.start()
    yield made
    made.station.shutdown()


def test_a_dead_instrument_says_so_and_blocks_nobody(slow: Made) -> None:
    until(lambda: slow.station.latest("gen"))
    until(lambda: slow.station.instrument("none")["state"] == "fault")

    reading = slow.composer.compose(slow.wall.clock.now_ns())

    assert slow.written() == [reading]
    assert list(reading["payload"]) == ["gen", "none", "waits"]
    (shown,) = reading["payload"]["gen"].values()
    assert isinstance(shown["value"], float | int)
    assert "i2c-none" in reading["payload"]["none"]["error"]
    assert reading["payload"]["waits"] == {"error": "waits is closed"}
    assert reading["time_ns"] % 1000 == 0
    told = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(reading["time_ns"] // 10**9))
    assert time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(reading["local_ns"] // 10**9)) == told


@pytest.mark.parametrize("step_ns", [HOUR_NS, -HOUR_NS])
def test_a_row_of_another_hour_is_not_fresh(slow: Made, step_ns: int) -> None:
    until(lambda: slow.station.latest("gen"))
    reading = slow.composer.compose(slow.wall.clock.now_ns() + step_ns)
    assert reading["payload"]["gen"]["error"].startswith("no row for 3")


def test_two_readings_never_have_one_time(slow: Made) -> None:
    now_ns = slow.wall.clock.now_ns()
    for _ in range(5):
        slow.composer.compose(now_ns)
    times = [reading["time_ns"] for reading in slow.written()]
    assert times == sorted(set(times)) and len(times) == 5


def test_readings_come_on_the_grid_and_go_on_when_the_clock_is_set_back(tmp_path: Path) -> None:
    made = Made(tmp_path, 0.1, ["gen"])
    made.station.start()
    try:
        until(lambda: len(made.written()) >= 3)
        made.wall.ahead_ns = -HOUR_NS
        before_ns = time.time_ns() - HOUR_NS // 2
        until(lambda: sum(reading["time_ns"] < before_ns for reading in made.written()) >= 3)
    finally:
        made.station.shutdown()
    times = [reading["time_ns"] for reading in made.written()]
    assert len(set(times)) == len(times)
    cells = [time_ns // 100_000_000 for time_ns in times]
    assert len(set(cells)) == len(cells), "two readings in one interval"
    assert made.composer.status()["composed"] == len(times)


def test_what_the_disk_does_not_take_waits_and_what_is_lost_is_told(
    slow: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composer_module, "READINGS_WAITING_MAX", 4)
    assert READINGS_WAITING_MAX >= 1440, "a day of one a minute"
    append = SpoolWriter.append

    def full(writer: SpoolWriter, lines: list[bytes]) -> None:
        raise DiskFull("no room left")

    monkeypatch.setattr(SpoolWriter, "append", full)
    composed = [slow.composer.compose(slow.wall.clock.now_ns()) for _ in range(6)]
    status = slow.composer.status()
    assert (status["composed"], status["waiting"], status["lost"]) == (6, 4, 2)
    assert status["error"] == "no room left"

    monkeypatch.setattr(SpoolWriter, "append", append)
    composed.append(slow.composer.compose(slow.wall.clock.now_ns()))

    assert slow.written() == composed[2:]
    assert slow.composer.status()["waiting"] == 0
    gaps = until(lambda: [event for event in slow.station.events() if event["kind"] == "gap"])
    assert [(gap["source"], gap["body"]["rows"]) for gap in gaps] == [("readings", 2)]
    assert gaps[0]["body"]["from_ns"] == composed[0]["time_ns"]
    assert gaps[0]["body"]["until_ns"] == composed[1]["time_ns"]


def test_an_instrument_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no instrument roof"):
        Made(tmp_path, 60, ["roof"])
