"""Deleting readings: those that may go, an hour at a time, rolled up before, and written down.

One transaction seals hours (`rollups.seal`), deletes, and leaves a tombstone. Killed anywhere, they are as
they were or done.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Text, cast, delete, false, func, insert, or_, select

from kymograph.model.ranges import Ranges
from kymograph.model.strata import HOUR_NS, Mask, Times, surplus
from kymograph.store.sql import rollups, tables
from kymograph.store.sql.facts import epoch
from kymograph.store.sql.rolled import Span

STREAM: Final = "readings"
_AT_ONCE: Final = 2_000
"""Rows that one statement names."""
TOMBSTONE: Final = "tombstone"
"""The kind of event by which hubs are told."""
_CONDITIONS_MAX: Final = 50
_RANGES_MAX: Final = 1_000
"""Ranges that one event names."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Which readings may go at all."""

    newest_id: int
    """The last one that is old enough, by the order in which they came."""
    shipped: Ranges | None
    """What every destination has; None: nobody is owed any."""
    pinned: tuple[Span, ...] = ()
    """Times of which all readings stay."""
    before_ns: int | None = None
    """Only those before this time."""

    def free(self, ids: NDArray[np.int64], times_ns: Times) -> Mask:
        """Return which of these readings may go."""
        may = ids <= self.newest_id
        if self.before_ns is not None:
            may &= times_ns < self.before_ns
        if self.shipped is not None:
            may &= _inside(ids, list(self.shipped))
        if self.pinned:
            spans = Ranges((start_ns, stop_ns - 1) for start_ns, stop_ns in self.pinned)
            may &= ~_inside(times_ns, list(spans))
        return may


def _inside(numbers: NDArray[np.int64], pairs: Sequence[tuple[int, int]]) -> Mask:
    if not pairs:
        return np.zeros(len(numbers), np.bool_)
    firsts = np.array([first for first, _ in pairs], np.int64)
    lasts = np.array([last for _, last in pairs], np.int64)
    at = np.searchsorted(firsts, numbers, side="right") - 1
    return (at >= 0) & (numbers <= lasts[np.maximum(at, 0)])


@dataclass(frozen=True, slots=True)
class Hours:
    """How many readings each hour of each device has that may go, about, in order of time."""

    device_ids: tuple[str, ...]
    device: NDArray[np.int64]
    """Index into `device_ids`."""
    start_ns: Times
    rows: NDArray[np.int64]


def count_hours(connection: Connection, terms: Terms) -> Hours:
    """Count readings by device and hour."""
    t = tables.readings.c
    # Division is towards zero, in both databases: this is towards the past.
    hour = (t.time_ns - ((t.time_ns % HOUR_NS) + HOUR_NS) % HOUR_NS).label("hour")
    counted = select(t.device_id, hour, func.count()).where(t.id <= terms.newest_id)
    if terms.before_ns is not None:
        counted = counted.where(t.time_ns < terms.before_ns)
    if terms.shipped is not None:
        counted = counted.where(_among(t.id, list(terms.shipped)))
    rows = connection.execute(counted.group_by(t.device_id, hour)).all()
    rows = sorted(rows, key=lambda row: (row[1], row[0]))
    names = tuple(sorted({row[0] for row in rows}))
    place = {name: i for i, name in enumerate(names)}
    return Hours(
        names, np.array([place[row[0]] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.int64), np.array([row[2] for row in rows], np.int64),
    )  # fmt: skip


def crowded(hours: Hours, width_ns: int) -> Iterator[tuple[str, int]]:
    """Yield device and begin of each block with more readings than it has stretches of this width.

    A block is an hour, or a stretch if that is longer; the oldest first. With a width of 0, all hours.
    """
    if not len(hours.rows):
        return
    block_ns = max(HOUR_NS, width_ns)
    room = block_ns // width_ns if width_ns else 0
    begin = hours.start_ns // block_ns * block_ns
    keys, where = np.unique(np.stack([begin, hours.device]), axis=1, return_inverse=True)
    rows = np.bincount(where.ravel(), weights=hours.rows, minlength=keys.shape[1])
    for block, device in keys[:, rows > room].T.tolist():
        yield hours.device_ids[device], block


def _among(column: Any, pairs: list[tuple[int, int]]) -> Any:
    """Return the condition that a number is in ranges; of very many, that it is not outside all of them."""
    if len(pairs) > _CONDITIONS_MAX:
        pairs = [(pairs[0][0], pairs[-1][1])]
    return or_(false(), *(column.between(first, last) for first, last in pairs))


@dataclass(frozen=True, slots=True)
class Deleted:
    """What one transaction deleted."""

    rows: int = 0
    size_bytes: int = 0
    """Of their payloads and keys, about."""
    first: int = 1 << 62
    last: int = 0
    """Between which numbers they were."""

    def and_(self, other: Deleted) -> Deleted:
        """Return both together."""
        return Deleted(
            self.rows + other.rows, self.size_bytes + other.size_bytes, min(self.first, other.first),
            max(self.last, other.last),
        )  # fmt: skip


NOTHING: Final = Deleted()


@dataclass(frozen=True, slots=True)
class Cut:
    """What is to be deleted: of what may go, all but one reading in each stretch; all, if `width_ns` is 0."""

    terms: Terms
    width_ns: int
    why: str
    station: str = ""
    """Whose hubs are told that they will never get what they lack of it; empty if they lack nothing."""


def surplus_of(connection: Connection, device_id: str, span: Span, cut: Cut) -> list[int]:
    """Return the times of the readings of a span that are too many."""
    t = tables.readings.c
    wanted = select(t.id, t.time_ns).where(t.device_id == device_id)
    wanted = wanted.where(t.time_ns >= span[0], t.time_ns < span[1]).order_by(t.time_ns)
    rows = np.array([tuple(row) for row in connection.execute(wanted)], np.int64).reshape(-1, 2)
    free = cut.terms.free(rows[:, 0], rows[:, 1])
    gone = surplus(rows[:, 1], free, cut.width_ns) if cut.width_ns else free
    return rows[gone, 1].tolist()


def thin(connection: Connection, device_id: str, blocks: Sequence[int], cut: Cut, now_ns: int) -> Deleted:
    """Delete what is too much of blocks: hours, or stretches where those are longer, by their begin."""
    length_ns = max(HOUR_NS, cut.width_ns)
    times: list[int] = []
    for block_ns in blocks:
        times += surplus_of(connection, device_id, (block_ns, block_ns + length_ns), cut)
    if not times:
        return NOTHING
    hours = sorted({time_ns // HOUR_NS * HOUR_NS for time_ns in times})
    rolled_up = np.concatenate([rollups.seal(connection, device_id, hour_ns) for hour_ns in hours])
    times = sorted(set(times) & set(rolled_up.tolist()))
    return _delete(connection, device_id, times, cut, now_ns) if times else NOTHING


def _delete(connection: Connection, device_id: str, times: list[int], cut: Cut, now_ns: int) -> Deleted:
    digest = hashlib.sha256()
    rows, size_bytes = 0, 0
    ids: list[int] = []
    t = tables.readings
    for part in _parts(times):
        mine = (t.c.device_id == device_id, t.c.time_ns.between(part[0], part[-1]), t.c.time_ns.in_(part))
        wanted = select(t.c.id, t.c.time_ns, t.c.local_ns, cast(t.c.payload, Text).label("payload"))
        for row in connection.execute(wanted.where(*mine).order_by(t.c.time_ns)):
            line = f"{row.id}\t{device_id}\t{row.time_ns}\t{row.local_ns}\t{row.payload}\n".encode()
            digest.update(line)
            size_bytes += len(line)
            ids.append(row.id)
        rows += connection.execute(delete(t).where(*mine)).rowcount
    tombstone: dict[str, Any] = {
        "time_ns": now_ns, "device_id": device_id, "stream": STREAM, "what": "rows", "first": min(ids),
        "last": max(ids), "first_ns": times[0], "last_ns": times[-1], "rows": rows,
        "size_bytes": size_bytes, "reason": cut.why, "sha256": digest.hexdigest(),
    }  # fmt: skip
    connection.execute(insert(tables.tombstones), [tombstone])
    if cut.station:
        tell_hubs(connection, cut.station, tombstone, ids)
    return Deleted(rows, size_bytes, min(ids), max(ids))


def bury(connection: Connection, tombstones: Sequence[dict[str, Any]]) -> None:
    """Write down what was deleted elsewhere: a row of `tombstones` each, without its `id`."""
    if tombstones:
        connection.execute(insert(tables.tombstones), list(tombstones))


def tell_hubs(
    connection: Connection, station: str, tombstone: dict[str, Any], numbers: Sequence[int]
) -> None:
    """Add events, which are shipped, that say which row numbers of a stream nobody will ever get."""
    ranges = list(Ranges((number, number) for number in numbers))
    about = {key: tombstone[key] for key in ("stream", "reason", "sha256", "first_ns", "last_ns")}
    for i in range(0, len(ranges), _RANGES_MAX):
        some = ranges[i : i + _RANGES_MAX]
        body = {
            **about, "epoch": epoch(connection), "first": some[0][0], "last": some[-1][1],
            "ranges": [list(pair) for pair in some], "rows": sum(b - a + 1 for a, b in some),
        }  # fmt: skip
        row = {
            "station": station, "id": uuid.uuid4().hex, "revision": 0, "time_ns": tombstone["time_ns"],
            "source": "retention", "kind": TOMBSTONE, "recording_id": None, "body": body,
        }  # fmt: skip
        connection.execute(insert(tables.events), [row])


def forget_segments(connection: Connection, seqs: Sequence[int]) -> None:
    """Take segments off the list of what is to be shipped: their files are gone."""
    connection.execute(delete(tables.segments).where(tables.segments.c.seq.in_(seqs)))


def _parts(times: Sequence[int]) -> Iterable[Sequence[int]]:
    return (times[i : i + _AT_ONCE] for i in range(0, len(times), _AT_ONCE))


# -- who is owed what --------------------------------------------------------------------------------------
def shipped_everywhere(connection: Connection, destinations: Sequence[str], stream: str) -> Ranges | None:
    """Return the rows of a stream that all of these destinations have; None if there is none."""
    if not destinations:
        return None
    t = tables.shipped.c
    of_stream = select(t.first, t.last).where(t.stream == stream, t.epoch == epoch(connection))
    everywhere: Ranges | None = None
    for name in destinations:
        has = Ranges((row[0], row[1]) for row in connection.execute(of_stream.where(t.destination == name)))
        everywhere = has if everywhere is None else everywhere & has
    return everywhere


def newest_ids(connection: Connection) -> tuple[int, int]:
    """Return the last row numbers of readings and of segments, 0 where there are none."""
    last = (select(func.max(t)) for t in (tables.readings.c.id, tables.segments.c.seq))
    readings, segments = (connection.scalar(one) or 0 for one in last)
    return readings, segments


def segment_numbers(connection: Connection) -> dict[tuple[str, str], int]:
    """Return the row number of each segment, by recording and file name."""
    t = tables.segments.c
    rows = connection.execute(select(t.recording_id, t.filename, t.seq))
    return {(row[0], row[1]): row[2] for row in rows}


def last_tombstones(connection: Connection, limit: int) -> list[dict[str, Any]]:
    """Return what was deleted last, the newest first."""
    t = tables.tombstones
    rows = connection.execute(select(t).order_by(t.c.id.desc()).limit(limit)).mappings()
    return [dict(row) for row in rows]
