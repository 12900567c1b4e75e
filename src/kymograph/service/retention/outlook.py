"""What there is, what may go, and what a pass would delete and why. Reads only, in any process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from kymograph.config import Config
from kymograph.model.ranges import Ranges
from kymograph.model.strata import HOUR_NS
from kymograph.service.retention import recordings
from kymograph.service.retention.disk import DiskUse, disk_use
from kymograph.service.retention.passing import Mark, Passing
from kymograph.service.retention.readings import Wish, foresee
from kymograph.service.retention.recordings import FREE, Found, Item, SegmentTerms
from kymograph.store.sql import space, thinning
from kymograph.store.sql.database import SQLITE, Database
from kymograph.store.sql.thinning import Terms

READINGS: Final = "readings"
RECORDINGS: Final = "recordings"
SETTLED_NS: Final = 600_000_000_000
"""After a jump of the clock nothing goes for so long, or as long as everything is kept if that is shorter."""

ProbeDisk = Callable[[Path], DiskUse]


@dataclass(frozen=True, slots=True)
class Task:
    """One thing that a pass is to do."""

    stream: str
    wish: Wish
    before_ns: int | None = None
    unsynced: bool = False
    """Whether what no destination has may go, since nothing else is left."""
    pressure: bool = False
    number: int = 0
    """Tells tasks of one kind apart."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """What was found."""

    disk: DiskUse
    excess_bytes: int
    """By how much the disk is too full."""
    readings: int
    """Rows."""
    readings_bytes: int
    row_bytes: int
    owed: Ranges | None
    """Readings that all destinations have; None if nobody is owed."""
    found: Found
    old: Mark
    max_id: int
    paused: str
    """Why nothing goes at present, empty if it may."""
    tasks: tuple[Task, ...]

    def terms(self, task: Task) -> Terms:
        """Return which readings a task may delete. The very last one stays: its number is not given again."""
        newest = min(self.old.readings, self.max_id - 1)
        return Terms(newest, None if task.unsynced else self.owed, tuple(self.found.pinned), task.before_ns)

    @property
    def items(self) -> Sequence[Item]:
        """All sealed segments."""
        return self.found.items


class Looker:
    """Looks at disk, database and folder as the station file tells."""

    def __init__(self, config: Config, database: Database, probe: ProbeDisk = disk_use) -> None:
        """Take what is to be looked at; nothing is read yet."""
        self.table = config.retention
        self.database = database
        self.data = config.station.data
        self.station = config.station.name
        self._probe = probe
        self._destinations = {
            stream: [
                name
                for name, one in config.destinations.items()
                if stream in one.streams and (stream == "readings" or one.kind != "original")
            ]
            for stream in ("readings", "segments")
        }

    @property
    def keep_ns(self) -> int:
        """What is younger never goes."""
        return int(self.table.keep_last_s * 1e9)

    def disk(self) -> DiskUse:
        """Return how full the disk of the data folder is."""
        return self._probe(self.data)

    def newest(self) -> tuple[int, int]:
        """Return the last numbers of readings and of segments."""
        with self.database.read() as connection:
            return thinning.newest_ids(connection)

    @property
    def _limited(self) -> bool:
        """Whether the station file says more than how full the disk may be."""
        table = self.table
        return any(
            value is not None
            for value in (
                table.readings_age_s, table.readings_rows_max, table.readings_bytes_max,
                table.recordings_age_s, table.recordings_bytes_max,
            )
        )  # fmt: skip

    def look(self, passing: Passing, whole: bool = True) -> Outlook:
        """Return what there is to be done; unless `whole`, nothing is counted if nothing can be to be done.

        Raises:
            Unavailable: the database does not answer.
            StorageError: the disk.
        """
        disk = self.disk()
        excess = disk.excess_bytes(self.table.used_percent_max)
        paused = self._paused(passing)
        if not whole and (paused or not (excess or self._limited)):
            return Outlook(disk, excess, 0, 0, 0, None, Found(), Mark(0, 0, 0), 0, paused, ())
        old = passing.old(self.keep_ns)
        with self.database.read() as connection:
            newest = thinning.newest_ids(connection)
            if self.keep_ns == 0:
                old = Mark(passing.passed_ns, *newest)
            rows = space.rows(connection)
            readings_bytes = space.used_bytes(connection)
            row_bytes = space.row_bytes(connection)
            owed = thinning.shipped_everywhere(connection, self._destinations["readings"], "readings")
            terms = self._segment_terms(connection, old.segments)
        found = recordings.look(self.data, terms)
        items = found.items
        tasks = (
            ()
            if paused
            else (
                *self._limits(passing, rows, readings_bytes, row_bytes, items),
                *self._pressure(excess, readings_bytes, items),
            )
        )
        return Outlook(
            disk, excess, rows, readings_bytes, row_bytes, owed, found, old, newest[0], paused, tasks
        )  # fmt: skip

    def _segment_terms(self, connection: Connection, newest_seq: int) -> SegmentTerms:
        shipped = thinning.shipped_everywhere(connection, self._destinations["segments"], "segments")
        return SegmentTerms(thinning.segment_numbers(connection), newest_seq, shipped)

    def _paused(self, passing: Passing) -> str:
        if not self.table.enabled:
            return "retention is switched off"
        if passing.steady_ns() < min(SETTLED_NS, self.keep_ns):
            return "the clock was set: what is old is not sure yet"
        return ""

    def _limits(
        self, passing: Passing, rows: int, readings_bytes: int, row_bytes: int, items: Sequence[Item]
    ) -> list[Task]:
        """Return what the station file says outright."""
        table, found = self.table, list[Task]()
        sure = passing.steady_ns() >= self.keep_ns  # an age is told by the clock on the wall
        now_ns = passing.believed_ns
        for stream, age_s in ((READINGS, table.readings_age_s), (RECORDINGS, table.recordings_age_s)):
            if age_s is not None and sure:
                wish = Wish(f"older than {_words(age_s)}", everything=True)
                found.append(Task(stream, wish, now_ns - int(age_s * 1e9)))
        too_many = rows - (table.readings_rows_max or rows)
        if too_many > 0:
            found.append(Task(READINGS, Wish(f"more than {table.readings_rows_max} readings", too_many)))
        too_much = readings_bytes - (table.readings_bytes_max or readings_bytes)
        if too_much > 0:
            wish = Wish(
                f"readings take more than {table.readings_bytes_max} bytes", -(-too_much // row_bytes), 0
            )
            found.append(Task(READINGS, wish))
        recorded = sum(item.size_bytes for item in items)
        too_much = recorded - (table.recordings_bytes_max or recorded)
        if too_much > 0:
            wish = Wish(f"recordings take more than {table.recordings_bytes_max} bytes", size_bytes=too_much)
            found.append(Task(RECORDINGS, wish))
        return found

    def _pressure(self, excess: int, readings_bytes: int, items: Sequence[Item]) -> list[Task]:
        """Return what is to go because the disk is too full: what has arrived everywhere it is owed.

        Readings and recordings in proportion to what they take; recordings, which come second, what is left.
        """
        if excess <= 0:
            return []
        why = f"more than {self.table.used_percent_max:g} % of the disk is used"
        recorded = sum(item.size_bytes for item in items if item.state == FREE)
        share = excess * readings_bytes // max(readings_bytes + recorded, 1)
        readings_go = self.database.dialect == SQLITE  # else they are on a disk that is not seen from here
        arrived = [
            Task(stream, Wish(why, size_bytes=size, coarsest_ns=HOUR_NS), pressure=True, number=i)
            for i, (stream, size) in enumerate(((READINGS, share), (RECORDINGS, excess), (READINGS, excess)))
            if self._destinations["readings" if stream == READINGS else "segments"]
        ]
        lost = Wish(f"{why}, and nothing else is left", size_bytes=excess, station=self.station)
        also = (READINGS, RECORDINGS) if self.table.allow_unsynced_loss else ()
        tasks = [*arrived, *(Task(stream, lost, unsynced=True, pressure=True) for stream in also)]
        return [task for task in tasks if readings_go or task.stream != READINGS]

    def foresee(self, outlook: Outlook) -> list[dict[str, Any]]:
        """Return about what a pass would delete, task by task."""
        return [self.foresee_one(outlook, task) for task in outlook.tasks]

    def foresee_one(self, outlook: Outlook, task: Task) -> dict[str, Any]:
        """Return about what a task would delete."""
        told: dict[str, Any] = {"stream": task.stream, "why": task.wish.why, "unsynced": task.unsynced}
        if task.stream == RECORDINGS:
            chosen = recordings.choose(items_of(outlook, task), task.wish, task.before_ns)
            return {
                **told, "segments": len(chosen), "rows": sum(item.rows for item in chosen),
                "size_bytes": sum(item.size_bytes for item in chosen),
                "files": [f"{item.name}/{item.filename}" for item in chosen[:100]],
            }  # fmt: skip
        with self.database.read() as connection:
            hours = thinning.count_hours(connection, outlook.terms(task))
        return {**told, **foresee(hours, task.wish, outlook.row_bytes)}


def items_of(outlook: Outlook, task: Task) -> Sequence[Item]:
    """Return the segments as a task sees them: what was not shipped may go where that is allowed."""
    if not task.unsynced:
        return outlook.items
    return [recordings.as_shipped(item) for item in outlook.items]


def held_back(outlook: Outlook) -> dict[str, dict[str, int]]:
    """Return how much stays, and why: of recordings by segment, of readings by row."""
    files = Counter(item.state for item in outlook.items)
    sizes = Counter[str]()
    for item in outlook.items:
        sizes[item.state] += item.size_bytes
    return {
        state: {"segments": files[state], "size_bytes": sizes[state]}
        for state in sorted(files)
        if state != FREE
    }


def _words(seconds: float) -> str:
    return f"{seconds / 86_400:g} days" if seconds >= 86_400 else f"{seconds:g} s"
