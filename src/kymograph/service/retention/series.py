"""One number of one device over time: as it was read, or from roll-ups, as many points as were asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection

from kymograph.store.sql import buckets, leaves, readings, rolled
from kymograph.store.sql.buckets import HOUR_NS, MINUTE_NS, Buckets
from kymograph.store.sql.database import Database
from kymograph.store.sql.rolled import DAY_S, HOUR_S, MINUTE_S, Span

_BUCKETS_MAX: Final = 100_000
"""Roll-ups that are read for one answer: ten weeks of minutes, eleven years of hours."""
_FRESH_ROWS: Final = 100_000
"""Readings of hours that are not settled yet, looked at for one answer."""
_SECOND_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Series:
    """Points in order of time. Of raw ones `n` is 1, `minimum`, `mean` and `maximum` are the value."""

    mode: str
    """`raw` or `rolled`."""
    width_s: int
    """How much time a point sums up at least; 0 of raw ones."""
    time_ns: list[int]
    """When a point begins."""
    n: list[int]
    minimum: list[float]
    mean: list[float]
    maximum: list[float]
    std: list[float]
    hours_behind: int = 0
    """Hours with readings that are not in it yet: many came at once."""

    def to_dict(self) -> dict[str, Any]:
        """Return the series as plain data."""
        return {key: getattr(self, key) for key in Series.__dataclass_fields__}


def series(
    database: Database, device_id: str, field: str, start_ns: int, stop_ns: int, max_points: int
) -> Series:
    """Return a field (`bme280.temperature.c`) between two times (`stop_ns` exclusive), its peaks kept.

    Raw while that is at most `max_points` readings and none was thinned; else the finest roll-up that is
    not too much to read, neighbours merged until they are few enough. A roll-up that begins before
    `start_ns` and reaches into the span is in it.

    Raises:
        Unavailable: the database does not answer.
    """
    span = (start_ns, stop_ns)
    with database.read() as connection:
        if _is_few(connection, device_id, field, span, max_points):
            return _raw(connection, device_id, field, span)
        return _reduced(connection, device_id, field, span, max_points)


def _is_few(connection: Connection, device_id: str, field: str, span: Span, max_points: int) -> bool:
    """Return whether a span is to be answered with the readings themselves."""
    hours = (-(-span[0] // HOUR_NS) * HOUR_NS, span[1] // HOUR_NS * HOUR_NS)
    summed = rolled.of_width(connection, device_id, field, HOUR_S, hours) if hours[0] < hours[1] else None
    if summed is not None and int(summed.n.sum()) > max_points:
        return False  # found without looking at one of them
    if rolled.count_up_to(connection, device_id, span, max_points + 1) > max_points:
        return False
    return not rolled.is_thinned(connection, device_id, span)


def fields(database: Database, device_id: str) -> list[str]:
    """Return the dotted paths of all numbers that a device's readings have had.

    Those that were rolled up, and those of the newest reading, which may not be yet.
    """
    with database.read() as connection:
        known = set(rolled.field_names(connection, device_id))
        newest = readings.latest_of(connection, [device_id])
    known |= {field for one in newest for field, _ in leaves.numbers(bytes(one.payload))}
    return sorted(known)


def _raw(connection: Connection, device_id: str, field: str, span: Span) -> Series:
    times: list[int] = []
    values: list[float] = []
    for chunk in rolled.raw(connection, device_id, *span):
        for time_ns, payload in chunk:
            value = leaves.number(payload, field)
            if value is not None:
                times.append(time_ns)
                values.append(value)
    return Series("raw", 0, times, [1] * len(times), values, values, values, [0.0] * len(times))


def _reduced(connection: Connection, device_id: str, field: str, span: Span, max_points: int) -> Series:
    marked = rolled.marked_hours(connection, device_id, span)
    fresh = _fresh(connection, device_id, field, marked)
    width_s = _width_of(connection, device_id, field, span, marked)
    width_ns = width_s * _SECOND_NS
    span = (span[0] // width_ns * width_ns, span[1])
    found = _rolled(connection, device_id, field, width_s, span, fresh).between(*span)
    while len(found) > max_points:
        extent_ns = int(found.start_ns[-1] - found.start_ns[0]) + width_ns
        # A group more than fits, since neither end lies at a multiple of the new width.
        times = -(-extent_ns // (max(max_points - 1, 1) * width_ns))
        width_ns *= max(times, 2)
        found = found.grouped(width_ns)
    return Series(
        "rolled", width_ns // _SECOND_NS, found.start_ns.tolist(), found.n.tolist(), found.minimum.tolist(),
        found.mean.tolist(), found.maximum.tolist(), found.std.tolist(), len(marked) - len(fresh),
    )  # fmt: skip


def _width_of(connection: Connection, device_id: str, field: str, span: Span, marked: list[int]) -> int:
    """Return the finest width of which there are not too many roll-ups in what there is of a span."""
    there = rolled.extent(connection, device_id, field)
    ends = [*(there or ()), *marked, *(hour_ns + HOUR_NS for hour_ns in marked)]
    length_ns = min(span[1], max(ends, default=0)) - max(span[0], min(ends, default=0))
    widths = (MINUTE_S, HOUR_S)
    return next((w for w in widths if length_ns // (w * _SECOND_NS) <= _BUCKETS_MAX), DAY_S)


def _fresh(connection: Connection, device_id: str, field: str, marked: list[int]) -> dict[int, Buckets]:
    """Return the minutes of hours that are not settled, as they will be; the newest, if there are many."""
    found: dict[int, Buckets] = {}
    rows = 0
    for hour_ns in marked:
        if rows >= _FRESH_ROWS:
            break
        known = rolled.thinned_times(connection, device_id, hour_ns)
        taken = frozenset[int](() if known is None else known.tolist())
        parts = list(rolled.minutes_of_hour(connection, device_id, hour_ns, [field]).values())
        parts = parts if known is not None else []
        for chunk in rolled.raw(connection, device_id, hour_ns, hour_ns + HOUR_NS):
            rows += len(chunk)
            new = [row for row in chunk if row[0] not in taken]
            times, values = leaves.column(new, field)
            parts.append(buckets.of_values(times, values, MINUTE_NS))
        found[hour_ns] = buckets.together(parts, MINUTE_NS)
    return found


def _rolled(
    connection: Connection, device_id: str, field: str, width_s: int, span: Span, fresh: dict[int, Buckets]
) -> Buckets:
    """Return the roll-ups of one width, those of hours that are not settled in place of what is there."""
    width_ns = width_s * _SECOND_NS
    there = rolled.of_width(connection, device_id, field, width_s, span)
    if not fresh:
        return there
    if width_s == DAY_S:  # a day is as fresh as its hours
        days = sorted({hour_ns // width_ns * width_ns for hour_ns in fresh})
        parts = [
            _rolled(connection, device_id, field, HOUR_S, (day_ns, day_ns + width_ns), fresh)
            for day_ns in days
        ]
        others = there.without(days, width_ns)
        return buckets.together([others, *parts], width_ns)
    others = there.without(list(fresh), HOUR_NS)
    return buckets.together([others, *fresh.values()], width_ns)
