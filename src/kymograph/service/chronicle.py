"""Events on their way to the disk and to whoever listens, off the thread in which they happened.

An instrument's thread that meets a fault must not wait for an SD card's fsync: it tells, a clerk writes.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from kymograph.model.errors import KymographError
from kymograph.model.event import Event
from kymograph.store.event_log import EventLog
from kymograph.store.folder import DataFolder

log = logging.getLogger(__name__)

NEWEST_MAX: Final = 1000
"""Events held in memory for pages that ask what happened lately."""

Told = Callable[[Event], None]


class Chronicle:
    """The station's event log. `tell` and `show` may be called from any thread and never wait."""

    def __init__(self, folder: DataFolder, also: Callable[[Event], list[Told]]) -> None:
        self._log = EventLog(folder.path / "events.jsonl")
        self._also = also
        self._newest: deque[Event] = deque(self._log.read(), NEWEST_MAX)
        self._callbacks: tuple[Callable[[dict[str, Any]], None], ...] = ()
        self._waiting: queue.SimpleQueue[Event | Callable[[], None] | None] = queue.SimpleQueue()
        self._failing = False
        self._clerk = threading.Thread(target=self._write, name="chronicle", daemon=True)
        self._clerk.start()

    def tell(self, event: Event) -> None:
        """Write an event down, in the station's log and in the recordings that it concerns."""
        self._waiting.put(event)

    def show(self, event: Event) -> None:
        """Let listeners see an event that is written down elsewhere already."""
        self._newest.append(event)
        for callback in self._callbacks:
            callback(event.to_dict())

    def replay(self, log: EventLog, told: Told, since_ns: int) -> threading.Event:
        """Write what has happened since a time into the log of a recording that began only now.

        `told` is where its events go: what does not concern it is left out. Done by the clerk, in its turn,
        who sets what is returned.
        """
        done = threading.Event()

        def work() -> None:
            try:
                known = {event.id for event in log.read()}
                past = [
                    event for event in self._newest if event.time_ns >= since_ns and event.id not in known
                ]
                missing = [event for event in past if told in self._also(event)]
                if missing:
                    log.append(*missing)
            finally:
                done.set()

        self._waiting.put(work)
        return done

    def newest(self, limit: int) -> list[dict[str, Any]]:
        """Return the newest events, newest first."""
        events = list(self._newest)
        return [event.to_dict() for event in reversed(events[-limit:])]

    def add(self, callback: Callable[[dict[str, Any]], None]) -> None:
        """Call back with every event from now on, in the clerk's thread."""
        self._callbacks = (*self._callbacks, callback)

    def remove(self, callback: Callable[[dict[str, Any]], None]) -> None:
        """Call back no more."""
        self._callbacks = tuple(other for other in self._callbacks if other is not callback)

    def close(self) -> None:
        """Write what waits, and end."""
        self._waiting.put(None)
        self._clerk.join(2.0)

    def _write(self) -> None:
        while (event := self._waiting.get()) is not None:
            if not isinstance(event, Event):
                self._try(lambda _, work=event: work(), None)
                continue
            self.show(event)
            for write in (self._log.append, *self._also(event)):
                self._try(write, event)

    def _try(self, write: Callable[[Any], None], event: Event | None) -> None:
        try:
            write(event)
        except (KymographError, OSError) as error:
            if not self._failing:
                log.warning("events cannot be written: %s", error)
            self._failing = True
        else:
            self._failing = False
