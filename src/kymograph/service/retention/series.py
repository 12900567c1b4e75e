"""One number of one device over time: as it was read, or from roll-ups, as many points as were asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kymograph.store.sql.database import Database


@dataclass(frozen=True, slots=True)
class Series:
    """Points in order of time. Of raw ones `n` is 1, `minimum`, `mean` and `maximum` are the value."""

    mode: str
    """`raw` or `rolled`."""
    width_s: int
    """How much time a point sums up; 0 of raw ones."""
    time_ns: list[int]
    """When a point begins."""
    n: list[int]
    minimum: list[float]
    mean: list[float]
    maximum: list[float]
    std: list[float]

    def to_dict(self) -> dict[str, Any]:
        """Return the series as plain data."""
        return {key: getattr(self, key) for key in Series.__dataclass_fields__}


def series(
    database: Database, device_id: str, field: str, start_ns: int, stop_ns: int, max_points: int
) -> Series:
    """Return a field (`bme280.temperature.c`) between two times (`stop_ns` exclusive), its peaks kept.

    Raw while that is at most `max_points` readings and none was thinned; else the finest roll-up that is
    not too much to read, neighbours merged until they are few enough.
    """
    raise NotImplementedError


def fields(database: Database, device_id: str) -> list[str]:
    """Return the dotted paths of all numbers that a device's readings have had."""
    raise NotImplementedError
