"""What a hub holds, held against what its stations took: each reading once, in order, and the books agree.

Everything here answers with a list of complaints; none is good news.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import pytest
from sqlalchemy import Connection, text

from kymograph.store.sql import rolled
from kymograph.store.sql.buckets import HOUR_NS
from kymograph.store.sql.database import Database

BENT_NS = 1_000_000
"""A reading whose time was taken already stands up to so much later."""
SHOWN = 5

Plain = dict[str, Any]


class Taken(NamedTuple):
    """A reading: `number` counts those of a station, in the order in which they were taken."""

    number: int
    time_ns: int
    payload: Plain


def weigh(taken: Sequence[Taken], there: Sequence[Taken]) -> list[str]:
    """Return what is wrong with a hub's readings of one station, which are in the order of their times."""
    told: list[str] = []
    by_number = {one.number: one for one in taken}
    assert len(by_number) == len(taken), "the numbers of what was taken are not each once"
    seen = Counter(one.number for one in there)
    told += _some("lost", [number for number in by_number if number not in seen])
    told += _some("there more than once", [number for number, times in seen.items() if times > 1])
    told += _some("never taken", [number for number in seen if number not in by_number])
    pairs = [(one, by_number[one.number]) for one in there if one.number in by_number]
    told += _some("with another payload", [a.number for a, b in pairs if a.payload != b.payload])
    told += _some(
        "at another time", [a.number for a, b in pairs if not 0 <= a.time_ns - b.time_ns <= BENT_NS]
    )
    if not told:
        order = sorted(taken, key=lambda one: (one.time_ns, one.number))
        told += _some(
            "out of order",
            [a.number for a, b in zip(there, order, strict=True) if a.number != b.number],
        )
    return told


def _some(what: str, numbers: Sequence[int]) -> list[str]:
    return [f"{len(numbers)} {what}: {list(numbers)[:SHOWN]}"] if numbers else []


def held_of(database: Database, station: str, number: Callable[[int, Plain], int]) -> list[Taken]:
    """Return a station's readings in the order of their times; `number` tells which one it is."""
    asked = text(
        "SELECT time_ns, CAST(payload AS text) FROM readings WHERE device_id = :station ORDER BY time_ns"
    )
    with database.read() as connection:
        rows = connection.execute(asked, {"station": station}).all()
    plain = [(time_ns, json.loads(payload)) for time_ns, payload in rows]
    return [Taken(number(time_ns, payload), time_ns, payload) for time_ns, payload in plain]


def books(entries: Iterable[Plain], rows: dict[str, int]) -> list[str]:
    """Return what is wrong with a station's ledger; `rows` are how many there have to be at least."""
    entries = list(entries)
    told = [
        f"the ledger of {one['stream']}: {one}"
        for one in entries
        if one["expected"] != one["held"] or one["missing"] or one["owed"] or one["rejects"] or one["ranges"]
    ]
    expected = {stream: sum(one["expected"] for one in entries if one["stream"] == stream) for stream in rows}
    return told + [
        f"the ledger expects {expected[stream]} {stream}, {count} were taken"
        for stream, count in rows.items()
        if expected[stream] < count
    ]


def rolled_up(
    connection: Connection, station: str, path: tuple[str, ...], taken: Sequence[Taken]
) -> list[str]:
    """Return where the roll-ups of a number, by the hour, are not those of these readings."""
    made = rolled.of_width(connection, station, ".".join(path), rolled.HOUR_S, (-(2**62), 2**62))
    columns = (made.start_ns, made.n, made.minimum, made.mean, made.maximum)
    found = {int(start_ns): list(map(float, rest)) for start_ns, *rest in zip(*columns, strict=True)}
    hours: dict[int, list[float]] = {}
    for one in taken:
        if (value := _leaf(one.payload, path)) is not None:
            hours.setdefault(one.time_ns // HOUR_NS * HOUR_NS, []).append(value)
    meant = {
        start_ns: [len(values), min(values), sum(values) / len(values), max(values)]
        for start_ns, values in hours.items()
    }
    wrong = [
        f"the hour at {start_ns} is {found.get(start_ns)}, and should be {meant.get(start_ns)}"
        for start_ns in sorted(found.keys() | meant.keys())
        if found.get(start_ns) != pytest.approx(meant.get(start_ns))
    ]
    return [f"{len(wrong)} roll-ups of {station}: {wrong[:SHOWN]}"] if wrong else []


def _leaf(payload: Plain, path: tuple[str, ...]) -> float | None:
    at: Any = payload
    for name in path:
        at = at.get(name) if isinstance(at, dict) else None
    return at if isinstance(at, int | float) else None
