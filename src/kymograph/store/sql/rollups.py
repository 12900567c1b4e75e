"""Roll-ups of readings: n, smallest, mean, largest and spread of every number, a minute, an hour, a day.

A transaction that adds readings says which hours they fall into (`mark_dirty`); they are rolled up later.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, insert

from kymograph.store.sql import tables

HOUR_NS: Final = 3_600_000_000_000


def mark_dirty(connection: Connection, device_id: str, times_ns: Iterable[int]) -> None:
    """Say, in the transaction that adds readings, at which times there are new ones.

    Times of readings that were there already do no harm.
    """
    hours = sorted({time_ns // HOUR_NS for time_ns in times_ns})
    if hours:
        rows = [{"device_id": device_id, "start_ns": hour * HOUR_NS} for hour in hours]
        connection.execute(insert(tables.dirty), rows)
