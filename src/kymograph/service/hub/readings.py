"""Readings by themselves: taken from programs of the older system, and given to whoever asks.

What is taken so has no row numbers: a reading is known by its device and its time, and a second arrival is
counted and left. On an edge this only gives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy.exc import DataError

from kymograph.model.errors import InvalidInput, NotFound, StorageError
from kymograph.model.limits import FUTURE_S_MAX
from kymograph.service.hub.ingest import note_newest
from kymograph.store.sql import readings as sql
from kymograph.store.sql.database import Database
from kymograph.store.sql.readings import Added, KeptReading, Place, Reading, Span

__all__ = ["Added", "KeptReading", "Place", "Reading", "Readings", "Span"]

_PAGE: Final = 2000


@dataclass(frozen=True, slots=True)
class Page:
    """Some readings in order of time, and where the next page begins (None: that was all)."""

    items: Sequence[KeptReading]
    next: Place | None


class Readings:
    """Any thread may use it."""

    def __init__(self, database: Database, now_ns: Callable[[], int] = time.time_ns) -> None:
        self.database = database
        self._now_ns = now_ns

    def add(self, rows: Sequence[Reading]) -> Added:
        """Take readings, all or none. When this returns, they are durable.

        Raises:
            InvalidInput: the database cannot keep one of them.
            Unavailable: the database is away.
        """
        now_ns = self._now_ns()
        try:
            with self.database.begin() as connection:
                added = sql.insert_readings(connection, rows)
                note_newest(connection, rows, now_ns)
        except StorageError as error:
            if isinstance(error.__cause__, DataError):
                raise InvalidInput(error.message) from None
            raise
        return added

    def get(self, device_id: str, time_ns: int) -> KeptReading:
        """Return one reading.

        Raises:
            NotFound: it is not here.
        """
        with self.database.read() as connection:
            found = sql.page(connection, Span("time_ns", time_ns, time_ns + 1, device_id), 1)
        if not found:
            raise NotFound("there is no such reading")
        return found[0]

    def page(self, span: Span, limit: int, after: Place | None = None) -> Page:
        """Return at most `limit` readings of a stretch of time."""
        with self.database.read() as connection:
            items = sql.page(connection, span, limit + 1, after)
        more = len(items) > limit
        items = items[:limit]
        return Page(items, sql.place(items[-1], span) if more else None)

    def every(self, span: Span) -> Iterator[Sequence[KeptReading]]:
        """Yield all readings of a stretch of time, page by page, in constant memory."""
        after: Place | None = None
        while True:
            page = self.page(span, _PAGE, after)
            if page.items:
                yield page.items
            if page.next is None:
                return
            after = page.next

    def latest(self, device_id: str | None = None) -> KeptReading:
        """Return the newest reading of a device, or of all; one from the future only if there is no other.

        Raises:
            NotFound: there is none.
        """
        stop_ns = self._now_ns() + int(FUTURE_S_MAX * 1e9)
        with self.database.read() as connection:
            found = sql.latest(connection, device_id, stop_ns) or sql.latest(connection, device_id)
        if found is None:
            raise NotFound("there are no readings yet")
        return found
