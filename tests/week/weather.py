"""What a fleet goes through in a week: its stations, its hubs, and what goes wrong with their processes.

Three stations are as they stand in the field: engine, front and keeper. The others are `tests.week.edge`. Two
hubs answer for one PostgreSQL.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final, Self

import psutil

from kymograph.service.keeping.keeping_state import read_keeping
from kymograph.store.spool import FOLDER, SpoolPlace, read_spool, spool_files
from tests.postgres import Server
from tests.proxy import Cable
from tests.running import RunningStation, until
from tests.week.edge import STEPS_A_DAY, Edge, EdgeOnCard, planned
from tests.week.judge import Taken

SENSOR: Final = '[instruments.bme280]\ndriver = "bme280"\nport = "sim://bme280"\n'
SHIPPING: Final = '[destinations.hub]\nurl = "{url}"\nstation = "{name}"\nanswer_timeout_s = 5\n'
READINGS: Final = '[readings]\ninterval_s = {interval_s}\ndevice_id = "{name}"\nfresh_s = 60\n'
SMALL: Final = "[retention]\nkeep_last_s = 0\ncheck_interval_s = 0.5\nreadings_rows_max = 40\n"
PATIENCE_S: Final = 90.0

Fault = Callable[[random.Random], None]


class Station:
    """A station of three processes, with a cable of its own."""

    def __init__(self, folder: Path, name: str, tables: str, cable: Cable) -> None:
        folder.mkdir()
        self.name, self.cable = name, cable
        self._toml = folder / "station.toml"
        self._tables = tables + SHIPPING.format(url=cable.url, name=name)
        self.running = RunningStation(folder, "", "")
        self.composed = 0
        """By what the engines of the past said of themselves."""

    def switch(self, interval_s: float | None) -> None:
        """Start it; None: without its instruments."""
        tables = f'[station]\nname = "{self.name}"\ndata = "{self.running.data}"\n{self._tables}'
        if interval_s is not None:
            tables += READINGS.format(interval_s=interval_s, name=self.name) + SENSOR
        self._toml.write_text(tables)
        self.running.start()

    def process(self, module: str) -> psutil.Process:
        """Return one of those beside the engine, `front` or `keeper`."""
        return until(lambda: _child(self.running, module), what=f"a {module} of {self.name}")

    def note(self) -> None:
        """Remember how many readings the engine says it has taken; it is to end."""
        told = self.running.call("GET", "/v1/station")["readings"]
        self.composed += told["composed"]
        assert told["lost"] == 0

    def taken(self) -> list[Taken]:
        """Return all readings that were ever written down: the spool's first file is there still."""
        folder = self.running.data / FOLDER
        assert list(spool_files(folder)) == [1], "the spool has been let go"
        lines, _ = read_spool(folder, SpoolPlace(0, 0), 1 << 30)
        plain = [json.loads(line) for line in lines]
        return [Taken(number, one["time_ns"], one["payload"]) for number, one in enumerate(plain)]

    def shipping(self) -> dict[str, Any]:
        """Return how it stands with the hub."""
        return self.running.call("GET", "/v1/shipping")["items"][0]


def _child(station: RunningStation, module: str) -> psutil.Process | None:
    for child in station.engine.children():
        try:
            if f"kymograph.app.{module}" in " ".join(child.cmdline()):
                return child
        except psutil.Error:
            continue
    return None


def kill(station: RunningStation) -> None:
    """SIGKILL an engine, and wait until those beside it have seen that it is gone."""
    children = station.engine.children(recursive=True)
    assert station.process is not None
    station.process.kill()
    station.process.wait()
    _, alive = psutil.wait_procs(children, PATIENCE_S)
    assert not alive, f"outlived the engine: {alive}"


class Fleet:
    """Hubs, stations and cables; all of it is gone at the end of the `with`."""

    def __init__(self, folder: Path, server: Server, rng: random.Random, weeks: int, on_card: bool) -> None:
        self._folder, self._server, self._weeks = folder, server, weeks
        self.on_card = on_card
        self._rng = rng
        self._open = ExitStack()
        self.hubs: list[RunningStation] = []
        self.stations: list[Station] = []
        self.edges: list[Edge] = []
        self.done: list[str] = []
        self.url = ""

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.url = self._server.create_database()
            self._make(stack)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()
        self._server.start()
        self._server.drop_database(self.url)

    def _make(self, stack: ExitStack) -> None:
        tables = f'[hub]\nopen = true\n[database]\nurl = "{self.url.replace("+psycopg", "")}"\n'
        for name in ("hub-a", "hub-b"):
            (self._folder / name).mkdir()
            self.hubs.append(RunningStation(self._folder / name, "", tables))
        for hub in self.hubs:
            stack.callback(hub.__exit__, None, None, None)
        _all_at_once([hub.start for hub in self.hubs])
        own = self._server.create_database()
        stack.callback(lambda: self._server.drop_database(own))
        stack.callback(self._server.start)
        kinds = ("", f'[database]\nurl = "{own.replace("+psycopg", "")}"\n', SMALL)
        for number, tables in enumerate(kinds):
            cable = stack.enter_context(Cable(self.port(number)))
            station = Station(self._folder / f"station-{number}", f"station-{number}", tables, cable)
            self.stations.append(station)
            stack.callback(station.running.__exit__, None, None, None)
        _all_at_once([lambda one=one: one.switch(self.interval_s) for one in self.stations])
        for number in range(17):
            cable = stack.enter_context(Cable(self.port(number)))
            self.edges.append(self._edge(stack, number, cable))

    @property
    def interval_s(self) -> float:
        """How often the real stations take a reading."""
        return 0.1 if self._weeks == 1 else 0.25

    def port(self, number: int) -> int:
        """Return where one of the hubs listens."""
        return int(self.hubs[number % len(self.hubs)].url.rpartition(":")[2])

    def _edge(self, stack: ExitStack, number: int, cable: Cable) -> Edge:
        name, plan = f"edge-{number:02d}", planned(self._rng, number, self._weeks)
        data = self._folder / name
        if number == 0 and self.on_card:
            for week in range(self._weeks):
                plan.steps.setdefault((week * 7 + 2) * STEPS_A_DAY, []).append("fill")
                plan.steps.setdefault((week * 7 + 3) * STEPS_A_DAY + 20, []).append("free")
            edge: Edge = EdgeOnCard(name, data, cable, plan)
            stack.callback(edge.remove)
        else:
            edge = Edge(name, data, cable, plan, small=number % 6 == 0)
        stack.callback(edge.end)
        return edge

    # -- a week --------------------------------------------------------------------------------------------
    def live(self, seconds: float) -> None:
        """Let all of them live through it, and let processes be killed meanwhile; each kind of it once."""
        steps = self._weeks * 7 * STEPS_A_DAY
        threads = [
            threading.Thread(target=edge.run, args=(steps, seconds / steps), name=edge.name, daemon=True)
            for edge in self.edges
        ]
        for thread in threads:
            thread.start()
        faults = self._bag()
        count = sum(1 for name in dir(self) if name.startswith("fault_"))
        while len(self.done) < count or (self._weeks > 1 and any(one.is_alive() for one in threads)):
            fault = next(faults)
            self.done.append(fault.__name__)
            fault(self._rng)
            time.sleep(self._rng.uniform(0.1, 0.6))
        for thread in threads:
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), f"{thread.name} does not come to an end"
        for station in self.stations:
            station.cable.lose_answers, station.cable.delay_s = False, 0.0
            station.cable.mend()

    def _bag(self) -> Iterator[Fault]:
        kinds = [getattr(self, name) for name in sorted(dir(self)) if name.startswith("fault_")]
        while True:
            yield from self._rng.sample(kinds, len(kinds))

    def fault_engine(self, rng: random.Random) -> None:
        station = rng.choice(self.stations)
        station.note()
        kill(station.running)
        station.running.start()

    def fault_front(self, rng: random.Random) -> None:
        rng.choice(self.stations).process("front").kill()

    def fault_keeper(self, rng: random.Random) -> None:
        station = rng.choice(self.stations)
        for _ in range(2):
            station.process("keeper").kill()
            time.sleep(rng.uniform(0.1, 0.8))

    def fault_hub_engine(self, rng: random.Random) -> None:
        hub = rng.choice(self.hubs)
        kill(hub)
        time.sleep(0.3)
        hub.start()

    def fault_hub_front(self, rng: random.Random) -> None:
        hub = rng.choice(self.hubs)
        until(hub.front, what="a hub's front").kill()
        time.sleep(rng.uniform(0.0, 0.5))

    def fault_hub_keeper(self, rng: random.Random) -> None:
        until(lambda: _child(self.hubs[0], "keeper"), what="a hub's keeper").kill()

    def fault_postgres_killed(self, rng: random.Random) -> None:
        self._server.kill()
        time.sleep(rng.uniform(0.2, 1.0))
        self._server.start()

    def fault_postgres_restarted(self, rng: random.Random) -> None:
        self._server.restart()

    def fault_offline(self, rng: random.Random) -> None:
        cable = rng.choice(self.stations).cable
        cable.cut()
        time.sleep(rng.uniform(0.5, 2.0))
        cable.mend()

    def fault_lost_answers(self, rng: random.Random) -> None:
        cable = rng.choice(self.stations).cable
        cable.lose_answers = True
        time.sleep(rng.uniform(0.5, 1.5))
        cable.lose_answers = False

    def fault_slow(self, rng: random.Random) -> None:
        cable = rng.choice(self.stations).cable
        cable.delay_s = 0.1
        time.sleep(1.0)
        cable.delay_s = 0.0

    def fault_break_in_the_middle(self, rng: random.Random) -> None:
        rng.choice(self.stations).cable.cut_after(500)

    def fault_other_hub(self, rng: random.Random) -> None:
        number = rng.randrange(2)
        one = rng.choice([*self.stations, *self.edges])
        one.cable.lead_to(self.port(number))

    # -- its end -------------------------------------------------------------------------------------------
    def end(self) -> None:
        """Take no more readings, and wait until nothing is owed."""
        for station in self.stations:
            station.note()
        _all_at_once([self._switched_off(station) for station in self.stations])
        until(lambda: not self.owed(), PATIENCE_S, "that nothing is owed")
        for edge in self.edges:
            edge.make_room()

    @staticmethod
    def _switched_off(station: Station) -> Callable[[], None]:
        def switch() -> None:
            assert station.running.stop() == 0
            station.switch(None)

        return switch

    def owed(self) -> dict[str, Any]:
        """Return who owes what."""
        told: dict[str, Any] = {edge.name: edge.owed() for edge in self.edges}
        for station in self.stations:
            now = station.shipping()
            waiting = read_keeping(station.running.data)["database"]
            told[station.name] = sum(now["owed"].values()) or waiting != "ok" or now["state"] != "connected"
        return {name: owed for name, owed in told.items() if owed}

    def bites(self) -> Counter[str]:
        """Return how often what went wrong was felt, all stations together."""
        return sum((edge.bites for edge in self.edges), Counter[str]())


def _all_at_once(calls: list[Callable[[], Any]]) -> None:
    """Do several slow things at one time; the first that failed fails."""
    failed: list[BaseException] = []

    def go(call: Callable[[], Any]) -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - said by the thread that waits
            failed.append(error)

    threads = [threading.Thread(target=go, args=(call,), daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    assert not any(thread.is_alive() for thread in threads), "it takes too long"
    if failed:
        raise failed[0]
