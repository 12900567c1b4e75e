"""Passes of retention: what the station file and the disk ask for is deleted, as far as it may go.

One pass does one task after the other and looks again before each: what one has freed, the next need not.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from kymograph.config import Config
from kymograph.model.errors import KymographError
from kymograph.service.contract import RetentionService
from kymograph.service.retention import recordings
from kymograph.service.retention.disk import disk_use
from kymograph.service.retention.outlook import READINGS, Looker, Outlook, ProbeDisk, Task, items_of
from kymograph.service.retention.passing import Passing
from kymograph.service.retention.readings import thin_readings
from kymograph.service.retention.recordings import Item
from kymograph.store.durable import write_durably
from kymograph.store.sql import space, thinning
from kymograph.store.sql.database import Database

log = logging.getLogger(__name__)

PASSING_FILE: Final = "retention.json"
PASSES_FILE: Final = "retention_passes.json"
REQUEST_FILE: Final = "retention.request"
PASSES_KEPT: Final = 20
_TURNS_MAX: Final = 3
"""How often one task looks whether what it deleted has made the room that was asked for."""
BY: Final = "retention"

WallClock = Callable[[], int]


@dataclass(slots=True)
class Done:
    """What one task of a pass did."""

    stream: str
    why: str
    rows: int = 0
    size_bytes: int = 0
    segments: int = 0
    unsynced: bool = False
    error: str = ""


@dataclass(slots=True)
class Pass:
    """What one pass found and did."""

    started_ns: int
    used_percent: float
    paused: str = ""
    used_percent_after: float = 0.0
    freed_bytes: int = 0
    request: str = ""
    done: list[Done] = field(default_factory=list[Done])

    @property
    def notable(self) -> bool:
        """Whether anything happened, or should have."""
        return bool(self.done or self.request)


class Retention:
    """Does the passes. Used by one thread of one process."""

    def __init__(
        self,
        config: Config,
        database: Database,
        station: RetentionService,
        monotonic_ns: WallClock = time.monotonic_ns,
        wall_ns: WallClock = time.time_ns,
        probe: ProbeDisk = disk_use,
    ) -> None:
        """Take the station file, the database, and the engine, which deletes files of recordings."""
        self._looker = Looker(config, database, probe)
        self._database = database
        self._station = station
        self._monotonic_ns, self._wall_ns = monotonic_ns, wall_ns
        self._data = config.station.data
        self._passing = Passing.load(self._data / PASSING_FILE)

    def run_once(self, stop: threading.Event, request: str = "") -> Pass:
        """Do one pass and return what came of it.

        Raises:
            Unavailable: the database does not answer.
        """
        looker = self._looker
        jumped = self._passing.tick(self._monotonic_ns(), self._wall_ns(), looker.newest(), looker.keep_ns)
        if jumped:
            log.warning("the clock was set by much: nothing is deleted until it is steady")
        outlook = looker.look(self._passing, whole=False)
        self._finish(outlook)
        told = Pass(self._wall_ns(), outlook.disk.used_percent, outlook.paused, request=request)
        for task in outlook.tasks:
            if stop.is_set():
                break
            outlook = looker.look(self._passing)
            current = next((one for one in outlook.tasks if _same(one, task)), None)
            if current is not None:
                self._do(current, outlook, told, stop)
        after = looker.disk()
        told.used_percent_after = after.used_percent
        if told.notable:
            self._keep(told)
        return told

    def _do(self, task: Task, outlook: Outlook, told: Pass, stop: threading.Event) -> None:
        done = Done(task.stream, task.wish.why, unsynced=task.unsynced)
        try:
            if task.unsynced and not self._said_before(task, outlook):
                return
            if task.stream == READINGS:
                self._thin_readings(task, outlook, done, told, stop)
            else:
                self._thin_recordings(task, outlook, done)
        except KymographError as error:
            done.error = str(error)
            log.warning("retention of %s: %s", task.stream, error)
        if not (done.rows or done.segments or done.error):
            return
        told.done.append(done)
        log.info(
            "retention: %d rows and %d segments of %s went: %s",
            done.rows, done.segments, done.stream, done.why,
        )  # fmt: skip

    def _finish(self, outlook: Outlook) -> None:
        """Have files deleted that a crash has left, after the manifest had let them go."""
        for recording_id, names in outlook.found.left.items():
            try:
                self._station.thin(recording_id, names, "left by a crash")
            except KymographError as error:
                log.warning("files that were deleted are still there: %s", error)

    def _said_before(self, task: Task, outlook: Outlook) -> bool:
        """Write down that what nobody has is to go, before it goes; return whether there is any."""
        foreseen = self._looker.foresee_one(outlook, task)
        if not foreseen["rows"]:
            return False
        text = "what no hub has is deleted, as `allow_unsynced_loss` says: nothing else is left"
        self._station.lost({**foreseen, "text": text})
        return True

    def _thin_readings(
        self, task: Task, outlook: Outlook, done: Done, told: Pass, stop: threading.Event
    ) -> None:
        """Delete readings and give the room back; under pressure, until so much is seen to have come back."""
        terms, wish = outlook.terms(task), task.wish
        for _ in range(_TURNS_MAX):
            gone = thin_readings(self._database, wish, terms, self._passing.believed_ns, stop)
            done.rows += gone.rows
            done.size_bytes += gone.size_bytes
            if not gone.rows:
                return
            freed = space.give_back(self._database, gone.first, gone.last)
            told.freed_bytes += freed
            wish = replace(wish, size_bytes=wish.size_bytes - freed)
            if not task.pressure or wish.size_bytes <= 0 or stop.is_set():
                return

    def _thin_recordings(self, task: Task, outlook: Outlook, done: Done) -> None:
        items = items_of(outlook, task)
        chosen = recordings.choose(items, task.wish, task.before_ns)
        for recording_id, some in recordings.by_recording(chosen).items():
            names = [item.filename for item in some]
            answer = self._station.thin(recording_id, names, task.wish.why)
            self._bury(task, [item for item in some if item.filename in answer["deleted"]])
            done.segments += len(answer["deleted"])
            done.rows += answer["rows"]
            done.size_bytes += answer["size_bytes"]

    def _bury(self, task: Task, gone: list[Item]) -> None:
        """Write down which segments went; who waits for one that went unshipped is told."""
        stones = [recordings.tombstone(item, task.wish.why, self._passing.believed_ns) for item in gone]
        with self._database.begin() as connection:
            thinning.bury(connection, stones)
            if not task.unsynced:
                return
            for stone, item in zip(stones, gone, strict=True):
                if item.seq:
                    thinning.tell_hubs(connection, self._looker.station, stone, [item.seq])
            thinning.forget_segments(connection, [item.seq for item in gone])

    def _keep(self, told: Pass) -> None:
        path = self._data / PASSES_FILE
        kept = [asdict(told), *last_passes(self._data)][:PASSES_KEPT]
        try:
            write_durably(path, json.dumps(kept).encode())
        except KymographError as error:
            log.debug("the pass is not written down: %s", error)


def _same(one: Task, other: Task) -> bool:
    return (one.stream, one.unsynced, one.number) == (other.stream, other.unsynced, other.number) and (
        one.wish.why == other.wish.why
    )


def last_passes(data: Path) -> list[dict[str, Any]]:
    """Return the last passes that did something, the newest first."""
    try:
        return list(json.loads((data / PASSES_FILE).read_bytes()))
    except (OSError, ValueError):
        return []
