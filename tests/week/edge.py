"""A weather station in a thread: its real parts on clocks that can be set, on a card that can be full.

    composer ─▶ spool ─▶ gatherer ─▶ SQLite ─▶ pusher ─▶ cable ─▶ hub
                                        └ retention

Its days are short: each step composes a reading and lets `STEP_NS` pass on its clocks. What is to happen to
it stands in its plan. It keeps its own list of what it composed.
"""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
import threading
import time
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from io import FileIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple, cast

from sqlalchemy import select

from kymograph.config import Config, parse
from kymograph.model import status
from kymograph.model.channel import Channel, Stream
from kymograph.model.clock import Clock
from kymograph.model.errors import KymographError
from kymograph.model.ranges import Ranges
from kymograph.service.keeping.gathering import Gatherer
from kymograph.service.keeping.outbox import Outbox
from kymograph.service.keeping.shelf import RowShelf
from kymograph.service.readings.composer import Composer
from kymograph.service.retention.disk import DiskUse, disk_use
from kymograph.service.retention.retention import Retention
from kymograph.store.spool import FOLDER, SpoolWriter
from kymograph.store.sql import rollups, tables
from kymograph.store.sql.database import Database
from kymograph.sync.pusher.pusher import Places, Pusher
from kymograph.sync.pusher.pushers import made_hub
from tests.proxy import Cable
from tests.week.judge import Taken, rolled_up

STEPS_A_DAY: Final = 36
DAY_NS: Final = 86_400_000_000_000
HOUR_NS: Final = 3_600_000_000_000
STEP_NS: Final = DAY_NS // STEPS_A_DAY
NUMBER: Final = ("counter", "number", "value")
LONGEST_WAIT_S: Final = 0.4
"""Days are short, so is patience."""
CARD_BYTES: Final = 6 * 1024 * 1024


class Plan(NamedTuple):
    """What is to happen to a station."""

    weeks: int
    steps: dict[int, list[str]]


class Clocks:
    """The two clocks of a computer: one that runs, and one on the wall, which can be wrong."""

    def __init__(self, began_ns: int) -> None:
        self._began_ns = began_ns
        self.passed_ns = 0
        self.wrong_ns = 0

    def monotonic_ns(self) -> int:
        return self.passed_ns

    def wall_ns(self) -> int:
        return self._began_ns + self.passed_ns + self.wrong_ns

    def say(self, wall_ns: int) -> None:
        """Set the one on the wall."""
        self.wrong_ns = wall_ns - self._began_ns - self.passed_ns


class Counting:
    """An instrument that shows how many readings were taken of it: so each is known by its number."""

    name, driver_name = "counter", "counter"

    def __init__(self) -> None:
        self.number = 0
        stream = Stream("counter", (Channel("number"),))
        self.feeds = {"counter": SimpleNamespace(stream=stream)}

    def status(self) -> Any:
        return SimpleNamespace(state=status.ACQUIRING, error="")

    def values(self) -> dict[str, float]:
        return {"number": self.number}


class NoRecordings:
    """The engine, as retention sees it: it has no recordings, and nothing may go that nobody has."""

    def thin(self, recording_id: str, filenames: Sequence[str], reason: str) -> dict[str, Any]:
        raise AssertionError(f"{filenames} of {recording_id}, {reason}")

    def pin(self, recording_id: str, pinned: bool, by: str = "") -> dict[str, Any]:
        raise AssertionError(recording_id)

    def lost(self, body: Mapping[str, Any]) -> None:
        raise AssertionError(body)


class Edge:
    """One station. `run` is one thread's; all else is asked when that has ended."""

    def __init__(self, name: str, data: Path, cable: Cable, plan: Plan, small: bool = False) -> None:
        self.name = name
        self.cable = cable
        self.plan = plan.steps
        self.taken: list[Taken] = []
        self.complaints: list[str] = []
        self.bites: Counter[str] = Counter()
        """How often what went wrong was felt."""
        self._small = small
        self._data = data
        self._clocks = Clocks((time.time_ns() - plan.weeks * 7 * DAY_NS) // HOUR_NS * HOUR_NS)
        self._counting = Counting()
        (data / "recordings").mkdir(parents=True)
        (data / "station.json").write_text(json.dumps({"id": f"id-{name}", "name": name}))
        self._config: Config = parse(
            {
                "station": {"name": name, "data": str(data)},
                "readings": {"interval_s": STEP_NS / 1e9},
                "destinations": {
                    "hub": {"url": cable.url, "streams": ["readings", "events"], "answer_timeout_s": 5}
                },
            }
        )
        self._stop = threading.Event()
        self._begin()

    # -- its processes -------------------------------------------------------------------------------------
    def _begin(self) -> None:
        clocks, counting = self._clocks, self._counting
        assert self._config.readings is not None
        self.clock = Clock(clocks.monotonic_ns, clocks.wall_ns)
        self._spool = SpoolWriter(self._data / FOLDER)
        self.composer = Composer(
            self._config.readings, self.name, [cast("Any", counting)],
            lambda name: {"time_ns": self.clock.now_ns(), "values": counting.values()},
            self.clock, self._spool,
        )  # fmt: skip
        self.database = Database(self._config.database_url)
        self.gatherer = Gatherer(self._data, self.name, self.database, ["hub"])
        self.gatherer.turn()
        self.retention = Retention(
            self._config, self.database, NoRecordings(), clocks.monotonic_ns, clocks.wall_ns, self._disk
        )
        table = self._config.destinations["hub"]
        self.outbox = Outbox(self.database, self.name, self._data)
        hub, wire = made_hub(table, self.name, dict)
        self.pusher = Pusher("hub", table, hub, wire, Places(self.outbox, RowShelf(self._data, "hub")))
        self.pusher.look_s = 0.5
        self._stop = threading.Event()
        self._shipping = threading.Thread(
            target=self._ship, args=(self.pusher, self._stop), name=f"ship-{self.name}", daemon=True
        )
        self._shipping.start()

    def end(self) -> None:
        """Let go of everything, as it is."""
        self._stop.set()
        self.pusher.cut()
        self._shipping.join(30)
        assert not self._shipping.is_alive(), f"{self.name} does not end"
        self._spool.close()
        self.database.close()

    def _ship(self, pusher: Pusher, stop: threading.Event) -> None:
        """What `Pusher.run` does, with waits as short as the days."""
        while not stop.is_set():
            try:
                pusher.connect()
                while not stop.is_set():
                    stop.wait(min(pusher.turn(), LONGEST_WAIT_S))
            except KymographError as error:
                self.bites[type(error).__name__] += 1
                stop.wait(min(pusher.failed(error), LONGEST_WAIT_S))
            except Exception:  # noqa: BLE001 - said in the end
                self.complaints.append(f"shipping failed:\n{traceback.format_exc()}")
                return

    def _disk(self, path: Path) -> DiskUse:
        """A small card is too full after two days, whatever goes."""
        if self._small and self._clocks.passed_ns > 2 * DAY_NS:
            return DiskUse(550_000, 450_000)
        return disk_use(path) if isinstance(self, EdgeOnCard) else DiskUse(0, 1_000_000)

    # -- its week ------------------------------------------------------------------------------------------
    def run(self, steps: int, step_s: float) -> None:
        """Live through a week."""
        try:
            began = time.monotonic()
            for step in range(steps):
                time.sleep(max(0.0, began + step * step_s - time.monotonic()))
                self._live(step)
            self._settle()
        except Exception:  # noqa: BLE001 - said in the end
            self.complaints.append(f"its week failed:\n{traceback.format_exc()}")
            self.do_free()
        self.cable.lose_answers, self.cable.delay_s = False, 0.0
        self.cable.mend()

    def _live(self, step: int) -> None:
        for what in self.plan.get(step, ()):
            getattr(self, f"do_{what}")()
        self._clocks.passed_ns += STEP_NS
        self.clock.observe()
        self._counting.number += 1
        reading = self.composer.compose(self.clock.now_ns())
        self.taken.append(Taken(self._counting.number, reading["time_ns"], reading["payload"]))
        self.bites["waited in memory"] += bool(self.composer.status()["waiting"])
        if step % 4 == 0:
            self.gatherer.turn()
        if step % (STEPS_A_DAY // 2) == 7:
            self.make_room()

    def _settle(self) -> None:
        """Bring the last of it into the database."""
        deadline = time.monotonic() + 30
        while self.composer.status()["waiting"] or self._in_spool():
            assert time.monotonic() < deadline, f"{self.composer.status()}, {self.gatherer.status()}"
            if self.composer.status()["waiting"]:
                self._live(-1)
            self.gatherer.turn()
        self.gatherer.turn(everything=True)

    def _in_spool(self) -> bool:
        told = self.gatherer.status()
        return bool(told["spool_bytes"]) or told["database"] != "ok"

    def make_room(self) -> None:
        """A pass of retention, which may delete what has arrived and is older than a day."""
        try:
            before, owed = self._numbers(), self._owed("readings")
            self.retention.run_once(threading.Event())
            gone, still_owed = before - self._numbers(), self._owed("readings")
        except KymographError as error:
            self.bites[f"no room was made: {type(error).__name__}"] += 1
            return
        self.bites["thinned"] += gone.count
        self.bites["thinned while owing"] += gone.count if owed else 0
        if unsaid := gone & owed & still_owed:  # it may have arrived between two looks
            self.complaints.append(f"owed, and deleted: {unsaid}")
        young = len(self.taken) - STEPS_A_DAY
        if gone and max(last for _, last in gone) > young:
            self.complaints.append(f"deleted within a day: {gone}, of {len(self.taken)}")

    def _numbers(self) -> Ranges:
        with self.database.read() as connection:
            found = connection.execute(select(tables.readings.c.id)).scalars()
            return Ranges((number, number) for number in found)

    def _owed(self, stream: str) -> Ranges:
        return self.outbox.unshipped("hub", stream)

    # -- what happens to it --------------------------------------------------------------------------------
    def do_offline(self) -> None:
        self.cable.cut()

    def do_online(self) -> None:
        self.cable.mend()
        with contextlib.suppress(KymographError):  # of a database on a full card
            self.bites["owed after days offline"] += self.owed()

    def do_lose_answers(self) -> None:
        self.cable.lose_answers = True

    def do_keep_answers(self) -> None:
        self.cable.lose_answers = False

    def do_slow(self) -> None:
        self.cable.delay_s = 0.03

    def do_quick(self) -> None:
        self.cable.delay_s = 0.0

    def do_break_in_the_middle(self) -> None:
        self.cable.cut_after(700)

    def do_restart(self) -> None:
        if self.composer.status()["waiting"]:
            return  # what waits in memory for a full disk does not outlive its process
        self.end()
        self.bites["restarts"] += 1
        self._begin()

    def do_restart_in_1970(self) -> None:
        self._clocks.say(self._clocks.passed_ns % DAY_NS)
        self.do_restart()

    def do_ten_years_ahead(self) -> None:
        self._clocks.wrong_ns += 3653 * DAY_NS

    def do_an_hour_back(self) -> None:
        self._clocks.wrong_ns -= HOUR_NS

    def do_right_time(self) -> None:
        self._clocks.wrong_ns = 0

    def do_fill(self) -> None:
        """Have no room on the card."""

    def do_free(self) -> None:
        """Have room again."""

    # -- in the end ----------------------------------------------------------------------------------------
    def owed(self) -> int:
        """Rows that the hub has not acknowledged."""
        return sum(self._owed(stream).count for stream in ("readings", "events"))

    def check(self) -> list[str]:
        """Return what is wrong with what it has kept itself."""
        told = list(self.complaints)
        lost = self.composer.status()["lost"]
        told += [f"{lost} readings had no room in memory"] if lost else []
        with self.database.read() as connection:
            rows = connection.execute(tables.readings.select().order_by(tables.readings.c.id)).mappings()
            there = [(row["payload"]["counter"]["number"]["value"], row["time_ns"]) for row in rows]
        numbers = [number for number, _ in there]
        at = {one.number: one.time_ns for one in self.taken}
        straight = [number for number, time_ns in there if at[number] == time_ns]  # others had to make way
        if straight != sorted(straight) or len(set(numbers)) != len(numbers):
            told.append("its rows are not numbered in the order in which they were taken")
        gone = len(self.taken) - len(numbers)
        with self.database.read() as connection:
            buried = connection.execute(tables.tombstones.select()).mappings().all()
        if sum(one["rows"] for one in buried) != gone:
            told.append(f"{gone} rows are gone, and the tombstones say {[one['rows'] for one in buried]}")
        if not gone:
            return told  # those of the hub tell the same
        rollups.settle(self.database)
        with self.database.read() as connection:
            return told + rolled_up(connection, self.name, NUMBER, self.taken)


class EdgeOnCard(Edge):
    """One whose data folder is a small file system of its own. Needs root."""

    def __init__(self, name: str, data: Path, cable: Cable, plan: Plan) -> None:
        data.mkdir(parents=True)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={CARD_BYTES}", "tmpfs", str(data)],
            check=True, capture_output=True,
        )  # fmt: skip
        self._card = data
        self._ballast = data / "ballast"
        try:
            super().__init__(name, data, cable, plan)
        except BaseException:
            self._unmount()
            raise

    def do_fill(self) -> None:
        with self._ballast.open("ab", buffering=0) as file:
            for size in (65_536, 4096):
                _write_until_full(file, bytes(size))

    def do_free(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def _unmount(self) -> None:
        subprocess.run(["umount", "-l", str(self._card)], check=False, capture_output=True)

    def remove(self) -> None:
        """Take the card out."""
        self._unmount()


def _write_until_full(file: FileIO, piece: bytes) -> None:
    with contextlib.suppress(OSError):
        while True:
            file.write(piece)


# -- what is to happen -------------------------------------------------------------------------------------
CLOCKS: Final = (
    (),
    (("an_hour_back", 3.1),),
    (("ten_years_ahead", 1.6), ("right_time", 1.9)),
    (("restart_in_1970", 2.2), ("right_time", 2.4)),
    (
        ("an_hour_back", 2.0),
        ("restart", 2.02),
        ("right_time", 4.1),
        ("ten_years_ahead", 4.5),
        ("right_time", 4.6),
    ),
)
"""What the clocks do, by the day; every station has one of these."""


def planned(rng: random.Random, index: int, weeks: int) -> Plan:
    """Return what is to happen to a station at which step."""
    plan: dict[int, list[str]] = {}
    for week in range(weeks):
        for what, day in sorted(_a_week(rng, index + week), key=lambda event: event[1]):
            plan.setdefault(int((week * 7 + day) * STEPS_A_DAY), []).append(what)
    return Plan(weeks, plan)


def _a_week(rng: random.Random, index: int) -> list[tuple[str, float]]:
    events: list[tuple[str, float]] = list(CLOCKS[index % len(CLOCKS)])
    for begin in (rng.uniform(0.4, 1.2), rng.uniform(3.5, 4.2)):
        events += [("offline", begin), ("online", begin + rng.uniform(0.6, 2.2))]
    for _ in range(2):
        begin = rng.uniform(0.1, 6.4)
        events += [("lose_answers", begin), ("keep_answers", begin + rng.uniform(0.1, 0.4))]
    begin = rng.uniform(0.1, 6)
    events += [("slow", begin), ("quick", begin + rng.uniform(0.2, 0.8))]
    events += [("break_in_the_middle", rng.uniform(0.1, 7)) for _ in range(3)]
    return [*events, ("restart", rng.uniform(0.3, 6.8))]
