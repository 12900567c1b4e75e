"""A weather station as it stands in the field: its readings are in the database, once, whoever is killed."""

from __future__ import annotations

import json
import random
import time
import urllib.request
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import text

from kymograph.service.keeping.keeping_state import read_keeping
from kymograph.store.sql.database import Database
from tests.postgres import Server
from tests.running import RunningStation, until

INTERVAL_S = 0.1
SENSORS = """
[instruments.bme280]
driver = "bme280"
port = "sim://bme280"
[instruments.cpu_temp]
driver = "cpu_temp"
[instruments.cpu_temp.options]
vcgencmd = ""
thermal = "{thermal}"
[instruments.disk_space]
driver = "disk_space"
"""


class Edge:
    """A running weather station and a look into its database."""

    def __init__(self, station: RunningStation, url: str) -> None:
        self.station = station
        self.database = Database(url)

    def kept(self) -> list[tuple[int, dict[str, Any]]]:
        with self.database.read() as connection:
            rows = connection.execute(text("SELECT time_ns, CAST(payload AS text) FROM readings ORDER BY id"))
            return [(time_ns, json.loads(payload)) for time_ns, payload in rows]

    def composed(self) -> dict[str, Any]:
        return self.station.call("GET", "/v1/station")["readings"]

    def keeper(self) -> psutil.Process:
        def find() -> psutil.Process | None:
            for child in self.station.engine.children():
                try:
                    if "kymograph.app.keeper" in child.cmdline():
                        return child
                except psutil.Error:
                    continue
            return None

        return until(find, what="a keeper")

    def catches_up(self, reading: dict[str, Any] | None = None) -> dict[str, Any]:
        """Wait until what was composed by now is in the database; return the newest of it."""
        newest = reading or until(lambda: self.composed()["newest"])
        until(
            lambda: any(time_ns == newest["time_ns"] for time_ns, _ in self.kept()), what="the newest reading"
        )
        return newest


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def edge(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Generator[Edge]:
    folder: Path = tmp_path_factory.mktemp("edge")
    thermal = folder / "temp"
    thermal.write_text("48500\n")
    tables = f'[readings]\ninterval_s = {INTERVAL_S}\ndevice_id = "weather-01"\nfresh_s = 60\n'
    url = f"sqlite:///{folder / 'data' / 'kymograph.db'}"
    if request.param == "postgresql":
        server: Server = request.getfixturevalue("postgres_server")
        url = server.create_database()
        tables += f'[database]\nurl = "{url.replace("+psycopg", "")}"\n'
    with RunningStation(folder, SENSORS.format(thermal=thermal), tables) as station:
        edge = Edge(station, url)
        until(lambda: read_keeping(station.data)["database"] == "ok", what="the database")
        yield edge
        edge.database.close()


def test_readings_are_there_in_the_contracts_shape(edge: Edge) -> None:
    def whole() -> dict[str, Any] | None:
        newest = edge.composed()["newest"]
        return newest if newest and "error" not in json.dumps(newest) else None

    newest = edge.catches_up(until(whole, what="a reading of all three sensors"))

    payload = next(payload for time_ns, payload in edge.kept() if time_ns == newest["time_ns"])
    assert payload == newest["payload"]
    assert list(newest["payload"]) == ["bme280", "cpu_temp", "disk_space"]
    assert {name: set(part) for name, part in payload["bme280"].items()} == {
        "temperature": {"c", "f"}, "pressure": {"hpa"}, "humidity": {"rh"},
    }  # fmt: skip
    assert payload["cpu_temp"] == {"c": 48.5, "f": 119.3}
    assert set(payload["disk_space"]) == {"total_mb", "used_mb", "free_mb"}
    assert newest["device_id"] == "weather-01"


def each_is_there_once(edge: Edge, before: int, change: Callable[[], None]) -> None:
    """Whatever is changed meanwhile: as many readings are kept as were composed, none twice, in order."""
    change()
    edge.catches_up()
    told = edge.composed()
    edge.catches_up(told["newest"])
    kept = edge.kept()
    times = [time_ns for time_ns, _ in kept]
    assert times == sorted(set(times))
    upto = [time_ns for time_ns in times if time_ns <= told["newest"]["time_ns"]]
    assert len(upto) == told["composed"], f"{before} before"
    assert told["lost"] == 0


def test_a_keeper_that_is_killed_again_and_again_loses_and_doubles_nothing(edge: Edge) -> None:
    def kill() -> None:
        for _ in range(2):
            keeper = edge.keeper()
            time.sleep(random.uniform(0.0, 1.0))
            keeper.kill()
            keeper.wait(20)

    each_is_there_once(edge, len(edge.kept()), kill)


def test_a_database_that_is_killed_and_comes_back_has_everything(
    edge: Edge, request: pytest.FixtureRequest
) -> None:
    if edge.database.dialect == "sqlite":
        pytest.skip("there is no server")
    server: Server = request.getfixturevalue("postgres_server")

    def restart() -> None:
        server.kill()
        until(lambda: read_keeping(edge.station.data)["database"] == "away")
        composed = edge.composed()["composed"]
        until(lambda: edge.composed()["composed"] > composed, what="a reading while the database is away")
        until(lambda: read_keeping(edge.station.data)["spool_bytes"] > 0)
        server.start()

    each_is_there_once(edge, len(edge.kept()), restart)
    log = edge.station.log()
    assert log.count("readings wait in") <= log.count("the database is back") + 1


def test_the_numbers_are_for_prometheus_too(edge: Edge) -> None:
    with urllib.request.urlopen(edge.station.url + "/metrics", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    values = {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if line[:1] != "#"}
    assert values["kymograph_readings_composed_total"] > 0
    assert values["kymograph_readings_lost_total"] == 0
    assert values[f'kymograph_database_up{{dialect="{edge.database.dialect}"}}'] == 1
    assert values["kymograph_keeper_up"] == 1


def test_the_engine_stays_small(edge: Edge) -> None:
    rings = edge.station.call("GET", "/v1/station")
    assert rings["readings"]["interval_s"] == INTERVAL_S
    maps = Path(f"/proc/{edge.station.engine.pid}/maps").read_text()
    assert "sqlalchemy" not in maps and "psycopg" not in maps
    assert edge.station.engine.memory_info().rss < 64e6 + 4e6  # the rings of three sensors take 0.4 MB


def test_an_engine_that_is_killed_has_handed_on_what_it_composed(edge: Edge) -> None:
    newest = edge.composed()["newest"]
    edge.station.kill_engine()
    edge.station.start()
    edge.catches_up(newest)
    edge.catches_up()
    times = [time_ns for time_ns, _ in edge.kept()]
    assert times == sorted(set(times))


def test_a_stop_leaves_nothing_behind(edge: Edge) -> None:
    """The last test of each station: it ends it."""
    assert edge.station.stop() == 0
    told = read_keeping(edge.station.data)
    assert told["spool_bytes"] == 0
    lines = [
        line for path in (edge.station.data / "readings").iterdir() for line in path.read_bytes().splitlines()
    ]
    assert json.loads(lines[-1])["time_ns"] == edge.kept()[-1][0]
