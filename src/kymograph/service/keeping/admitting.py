"""Rows that come from files: what no database keeps is taken out of them, and what is refused all the same is
left out by itself.

A row that cannot be kept must not hold up those behind it for ever.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from sqlalchemy import Connection

from kymograph.model.errors import Conflict, DiskFull, StorageError
from kymograph.store.sql.database import Database

log = logging.getLogger(__name__)

TIME_NS_END: Final = 2**63
Row = TypeVar("Row")


def without_nul(line: bytes) -> bytes:
    """Return a line of JSON whose texts have no zero in them: PostgreSQL keeps none."""
    return line.replace(b"\\u0000", b"\\ufffd") if b"\\u0000" in line else line


def plain(line: bytes) -> Any:
    """Return what a line of JSON says; `NaN` and infinities, which JSON does not know, are null.

    Raises:
        ValueError: it is no JSON.
    """
    return json.loads(without_nul(line), parse_constant=lambda name: None, parse_float=_finite)


def is_time(time_ns: int) -> bool:
    """Return whether a column of 64 bits can hold it."""
    return -TIME_NS_END <= time_ns < TIME_NS_END


def _finite(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def add_all(
    database: Database,
    rows: Sequence[Row],
    add: Callable[[Connection, Sequence[Row]], None],
    passed: Callable[[Connection], None],
) -> int:
    """Add rows and note in the same transaction that they were `passed`; return how many were refused.

    Where the database refuses one, each is tried by itself.

    Raises:
        Unavailable, DiskFull: nothing happened; try again.
    """
    try:
        with database.begin() as connection:
            add(connection, rows)
            passed(connection)
        return 0
    except DiskFull:
        raise
    except (StorageError, Conflict) as error:
        log.error("rows are added one by one: %s", error.message)
    refused = 0
    for row in rows:
        try:
            with database.begin() as connection:
                add(connection, [row])
        except DiskFull:
            raise
        except (StorageError, Conflict) as error:
            refused += 1
            log.error("a row is left out: %s: %.300r", error.message, row)
    with database.begin() as connection:
        passed(connection)
    return refused
