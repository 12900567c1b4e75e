"""What a hub does by itself: it says when a station is late and when it is back, and forgets what is old."""

from __future__ import annotations

import logging
import threading
import time
from typing import Final

from kymograph.model.errors import KymographError
from kymograph.model.limits import BATCHES_KEPT_S
from kymograph.service.hub.depot import Depot
from kymograph.service.hub.fleet import NEVER, OK
from kymograph.store.sql import batches

log = logging.getLogger(__name__)

LOOK_S: Final = 15.0
TIDY_S: Final = 600.0


class Tending:
    """A loop of the keeper. Several hubs on one database may each have one."""

    def __init__(self, depot: Depot) -> None:
        self._depot = depot
        self._states: dict[str, str] = {}
        self._lost = False
        self._tidied_s = float("-inf")

    def run(self, stop: threading.Event) -> None:
        """Look at the fleet now and then, and tidy, until told to stop."""
        while True:
            try:
                self.look()
                if time.monotonic() - self._tidied_s >= TIDY_S:
                    self.tidy()
                    self._tidied_s = time.monotonic()
                self._lost = False
            except KymographError as error:
                if not self._lost:
                    log.warning("the fleet is not looked after: %s", error)
                self._lost = True
            if stop.wait(LOOK_S):
                return

    def look(self) -> dict[str, str]:
        """Say which stations have changed their state since the last look; return the state of each."""
        now = {one["station"]: one["state"] for one in self._depot.fleet.list()}
        for name, state in now.items():
            before = self._states.get(name, NEVER if state == NEVER else OK)
            if state != before:
                tell = log.info if state == OK else log.warning
                tell("the station %s is %s, it was %s", name, state, before)
        self._states = now
        return now

    def tidy(self) -> None:
        """Forget old batches, and uploads that nobody goes on with."""
        with self._depot.database.begin() as connection:
            batches.forget_before(connection, time.time_ns() - int(BATCHES_KEPT_S * 1e9))
        self._depot.uploads.tidy()
