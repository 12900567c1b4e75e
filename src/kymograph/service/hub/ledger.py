"""What stations have told, what the hub holds of it, and what is missing, with the reason if it is known."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from kymograph.model.limits import LEDGER_RANGES_MAX
from kymograph.model.ranges import Ranges
from kymograph.store.sql import batches, buried, holdings, rejects, stations
from kymograph.store.sql.database import Database
from kymograph.store.sql.holdings import Place, Told
from kymograph.store.sql.rejects import Reject

log = logging.getLogger(__name__)

DEAD: Final = "dead_letter"
QUARANTINED: Final = "quarantined"
DELETED: Final = "deleted"
OWED: Final = "owed"
NEVER: Final = "never_arrived"
"""Why rows are not here: put aside as they came, deleted at the station on purpose, still to come, or nobody
knows: the station no longer has them."""
_REJECTS_READ: Final = 10_000


@dataclass(frozen=True, slots=True)
class Extent:
    """What a station says of one stream in its hello."""

    stream: str
    epoch: int
    first: int
    next: int
    newest_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Hello:
    """What a station says of itself, whenever it connects and every minute."""

    streams: Sequence[Extent]
    facts: Mapping[str, Any]
    """`version name interval_s place disk`, as far as it tells."""


class Ledger:
    """Any thread may use it."""

    def __init__(self, database: Database, now_ns: Callable[[], int] = time.time_ns) -> None:
        self._database = database
        self._now_ns = now_ns

    def hello(self, station: str, told: Hello) -> dict[str, Any]:
        """Note what a station has, and return what of it is held here: what it need not send."""
        now_ns = self._now_ns()
        with self._database.begin() as connection:
            _introduce(connection, station, told.facts, now_ns)
            for extent in sorted(told.streams, key=lambda one: (one.stream, one.epoch)):
                holdings.lock(connection, station, extent.stream)
                self._note(connection, Place(station, extent.stream, extent.epoch), extent, now_ns)
            known = holdings.all_held(connection, station)
        return {
            "now_ns": now_ns,
            "streams": [
                {
                    "stream": one.stream, "epoch": one.epoch,
                    "held": known.get(Place(station, one.stream, one.epoch), Ranges()).to_list(),
                }
                for one in told.streams
            ],
        }  # fmt: skip

    def _note(self, connection: Connection, place: Place, extent: Extent, now_ns: int) -> None:
        before = holdings.told_of(connection, place)
        held = holdings.held_of(connection, place)
        highest = max((last for _, last in held), default=extent.first - 1)
        if before is not None and extent.next < before.said:
            self._go_back(connection, place, extent.next)
            held = holdings.held_of(connection, place)
            highest = extent.next - 1
        next = max(extent.next, highest + 1)
        base = min(extent.first, before.base if before else extent.first)
        holdings.say(
            connection, place,
            Told(extent.first, next, extent.newest_ns, now_ns, extent.next, base, None),
        )  # fmt: skip
        if next > base and not Ranges([(base, next - 1)]) - held:
            holdings.complete(connection, place, extent.newest_ns)

    @staticmethod
    def _go_back(connection: Connection, place: Place, next: int) -> None:
        """Hold nothing of rows that a station says it has not made yet: its database is an older copy.

        Their numbers will be given again, to other rows.
        """
        log.warning(
            "%s has gone back to row %d of %s: rows from there on are asked for", place[0], next, place[1]
        )
        holdings.let_go(connection, place, Ranges([(next, 2**63 - 1)]))
        batches.forget_from(connection, place, next)

    def of(self, station: str) -> list[dict[str, Any]]:
        """Return the ledger of a station, a stream and epoch each, the present epoch of each stream first.

        `{stream epoch current first next expected held missing owed ranges rejects}`; `ranges` are those that
        are missing, `{first last rows reason}`.
        """
        with self._database.read() as connection:
            told = dict(holdings.all_told(connection, station))
            held = holdings.all_held(connection, station)
            aside = rejects.page(connection, station, None, _REJECTS_READ)
            deleted = {place: buried.ranges(connection, place) for place in told}
        present = current(told.items())
        order = sorted(told, key=lambda place: (place.stream, -told[place].told_ns))
        return [
            _entry(
                place, told[place], held.get(place, Ranges()), deleted[place],
                [one for one in aside if one.place == place],
                present[place.station, place.stream] == place.epoch,
            )
            for place in order
        ]  # fmt: skip


def _introduce(connection: Connection, station: str, facts: Mapping[str, Any], now_ns: int) -> None:
    known = stations.find(connection, station)
    told: dict[str, Any] = {"version": facts.get("version"), "interval_s": facts.get("interval_s")}
    if known is None or not known.title:
        told["title"] = facts.get("name")
    if known is None or not known.place:
        told["place"] = facts.get("place")
    stations.seen(connection, station, now_ns, **told, facts=dict(facts))


def current(told: Iterable[tuple[Place, Told]]) -> dict[tuple[str, str], int]:
    """Return the present epoch of each station's streams: the one that was told of last."""
    newest: dict[tuple[str, str], tuple[int, int]] = {}
    for place, one in told:
        at = (place.station, place.stream)
        newest[at] = max(newest.get(at, (-1, -1)), (one.told_ns, place.epoch))
    return {at: epoch for at, (_, epoch) in newest.items()}


def all_rows(told: Told) -> Ranges:
    """Return the row numbers that there are, or were."""
    return Ranges([(told.base, told.next - 1)])


def owed(told: Told, held: Ranges) -> Ranges:
    """Return what a station still has and the hub has not."""
    return Ranges([(max(told.base, told.first), told.next - 1)]) - held


def _entry(
    place: Place, told: Told, held: Ranges, deleted: Ranges, aside: Sequence[Reject], is_current: bool
) -> dict[str, Any]:
    expected = all_rows(told)
    dead = Ranges((one.first, one.last) for one in aside if one.kind == rejects.DEAD) & held
    doubted = Ranges((one.first, one.last) for one in aside if one.kind == rejects.QUARANTINED) - held
    missing = expected - (held - dead)
    why = [(DEAD, dead), (QUARANTINED, doubted), (DELETED, deleted)]
    if is_current:
        why.append((OWED, owed(told, held)))
    ranges = list(_explained(missing, why))
    return {
        "stream": place.stream, "epoch": place.epoch, "current": is_current,
        "first": told.base, "next": told.next, "newest_ns": told.newest_ns, "told_ns": told.told_ns,
        "expected": expected.count, "held": expected.count - missing.count, "missing": missing.count,
        "owed": owed(told, held).count if is_current else 0, "complete_ns": told.complete_ns,
        "ranges": ranges[:LEDGER_RANGES_MAX], "more_ranges": max(0, len(ranges) - LEDGER_RANGES_MAX),
        "rejects": len(aside),
    }  # fmt: skip


def _explained(missing: Ranges, why: Sequence[tuple[str, Ranges]]) -> list[dict[str, Any]]:
    found: list[tuple[int, int, str]] = []
    for reason, ranges in why:
        found += [(first, last, reason) for first, last in missing & ranges]
        missing = missing - ranges
    found += [(first, last, NEVER) for first, last in missing]
    return [
        {"first": first, "last": last, "rows": last - first + 1, "reason": reason}
        for first, last, reason in sorted(found)
    ]
