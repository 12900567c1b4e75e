"""What stations say that they have deleted on purpose: their tombstones, among the events that they ship."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, select

from kymograph.model.ranges import Ranges
from kymograph.store.sql.holdings import Place
from kymograph.store.sql.tables import events

KIND: Final = "tombstone"


def ranges(connection: Connection, place: Place) -> Ranges:
    """Return the rows of a stream that its station has deleted."""
    c = events.c
    asked = select(c.body).where(c.station == place.station, c.kind == KIND)
    return Ranges(pair for body in connection.execute(asked).scalars() for pair in _ranges_of(body, place))


def _ranges_of(body: Any, place: Place) -> list[tuple[int, int]]:
    """Return the ranges that a tombstone names; all from its first to its last row if it names none."""
    whole = _range_of(body, place)
    if whole is None:
        return []
    try:
        return [(int(first), int(last)) for first, last in body.get("ranges") or (whole,)]
    except (TypeError, ValueError):
        return [whole]


def _range_of(body: Any, place: Place) -> tuple[int, int] | None:
    if not isinstance(body, dict) or body.get("stream") != place.stream:  # pyright: ignore[reportUnknownMemberType]
        return None
    first, last, epoch = (body.get(name) for name in ("first", "last", "epoch"))  # pyright: ignore
    if not isinstance(first, int) or not isinstance(last, int) or epoch not in (None, place.epoch):
        return None
    return first, last
