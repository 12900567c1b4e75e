"""A pass over readings: from the most crowded hours on, the oldest first, until it is enough."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from kymograph.model.strata import HOUR_NS, LADDER
from kymograph.store.sql import thinning
from kymograph.store.sql.database import Database
from kymograph.store.sql.thinning import Cut, Deleted, Hours, Terms

_ROWS: Final = 50_000
"""Readings that one transaction looks at, about."""
_DAY_NS: Final = 24 * HOUR_NS


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to go, and why: thinned until so many rows and bytes are gone, or `everything` that may."""

    why: str
    rows: int = 0
    size_bytes: int = 0
    everything: bool = False
    coarsest_ns: int = LADDER[-1]
    """Of which length each stretch of time keeps one reading, whatever is asked."""
    station: str = ""
    """See `Cut.station`."""

    def met_by(self, deleted: Deleted) -> bool:
        """Return whether that is enough."""
        return not self.everything and deleted.rows >= self.rows and deleted.size_bytes >= self.size_bytes

    @property
    def ladder(self) -> tuple[int, ...]:
        """How long the stretches are that keep one reading, one length after the other."""
        return (0,) if self.everything else tuple(w for w in LADDER if w <= self.coarsest_ns)


def thin_readings(
    database: Database, wish: Wish, terms: Terms, now_ns: int, stop: threading.Event
) -> Deleted:
    """Delete what a wish asks for, as far as it may go; in short transactions, until `stop`.

    Raises:
        Unavailable: the database went away; what was done until then is done.
    """
    done = Deleted()
    with database.read() as connection:
        hours = thinning.count_hours(connection, terms)
    for width_ns in wish.ladder:
        cut = Cut(terms, width_ns, _reason(wish, width_ns), wish.station)
        for device_id, blocks in _batches(hours, width_ns):
            if wish.met_by(done) or stop.is_set():
                return done
            with database.begin() as connection:
                one = thinning.thin(connection, device_id, blocks, cut, now_ns)
            done = done.and_(one)
        hours = _thinned(hours, width_ns)
    return done


def foresee(hours: Hours, wish: Wish, row_bytes: int) -> dict[str, Any]:
    """Return about what a pass would delete: `rows`, `size_bytes`, and one reading in how many `width_s`."""
    gone, width_ns = 0, 0
    before = int(hours.rows.sum())
    for width_ns in wish.ladder:
        kept = _left(hours, width_ns)
        gone = before - kept
        if wish.met_by(Deleted(gone, gone * row_bytes)):
            gone = min(gone, max(wish.rows, -(-wish.size_bytes // max(row_bytes, 1))))
            break
    return {"rows": gone, "size_bytes": gone * row_bytes, "width_s": width_ns / 1e9}


def _left(hours: Hours, width_ns: int) -> int:
    """Return about how many readings are left where each stretch keeps one; of a width of 0, none are."""
    if not width_ns:
        return 0
    if width_ns <= HOUR_NS:
        return int(_thinned(hours, width_ns).rows.sum())
    return len(set(zip(hours.device.tolist(), (hours.start_ns // width_ns).tolist(), strict=True)))


def _reason(wish: Wish, width_ns: int) -> str:
    return f"{wish.why}; one reading in {width_ns / 1e9:g} s stays" if width_ns else wish.why


def _thinned(hours: Hours, width_ns: int) -> Hours:
    """Return how many readings are left where each stretch keeps one."""
    if not width_ns or width_ns > HOUR_NS:
        return hours
    return Hours(hours.device_ids, hours.device, hours.start_ns, np.minimum(hours.rows, HOUR_NS // width_ns))


def _batches(hours: Hours, width_ns: int) -> Iterator[tuple[str, list[int]]]:
    """Yield blocks of one device and about a day that are looked at in one transaction."""
    keys = zip(hours.start_ns.tolist(), hours.device.tolist(), strict=True)
    size = dict(zip(keys, hours.rows.tolist(), strict=True))
    names = {name: i for i, name in enumerate(hours.device_ids)}
    open_: dict[str, list[int]] = {}
    rows: dict[str, int] = {}
    day = None
    for device_id, block_ns in thinning.crowded(hours, width_ns):
        if block_ns // _DAY_NS != day:
            yield from open_.items()
            open_, rows, day = {}, {}, block_ns // _DAY_NS
        open_.setdefault(device_id, []).append(block_ns)
        rows[device_id] = rows.get(device_id, 0) + size.get((block_ns, names[device_id]), 1)
        if rows[device_id] >= _ROWS:
            yield device_id, open_.pop(device_id)
            del rows[device_id]
    yield from open_.items()
