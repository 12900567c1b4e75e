"""The keeper's loops: roll-ups brought up to date, and passes of retention, each in a thread of its own."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kymograph.config import Config
from kymograph.model.errors import KymographError
from kymograph.service.contract import RetentionService
from kymograph.service.retention.retention import REQUEST_FILE, Retention
from kymograph.store.sql import rollups, schema
from kymograph.store.sql.database import Database

log = logging.getLogger(__name__)

SETTLE_S: Final = 30.0
"""How often readings are rolled up; a series looks at newer ones itself."""
_AGAIN_S: Final = 5.0
"""How long to wait when the database or the engine was away."""
_LOOK_S: Final = 0.3
"""How often it is looked whether a pass was asked for."""


class _Loop:
    """Work, and say once when it cannot be done and once when it can again."""

    what = ""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ready = False
        self._away = ""

    def _attempt(self, work: Callable[[], None]) -> bool:
        try:
            if not self._ready:
                schema.upgrade(self._database)
                self._ready = True
            work()
        except KymographError as error:
            if not self._away:
                log.warning("%s has to wait: %s", self.what, error)
            self._away = str(error)
            return False
        if self._away:
            log.info("%s goes on", self.what)
        self._away = ""
        return True


class RollingUp(_Loop):
    """Brings roll-ups up to date."""

    what = "rolling up readings"

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`."""
        while not stop.is_set():
            done = self._attempt(lambda: self._settle(stop))
            stop.wait(SETTLE_S if done else _AGAIN_S)

    def _settle(self, stop: threading.Event) -> None:
        while rollups.settle(self._database, 100_000) >= 100_000 and not stop.is_set():
            pass


class MakingRoom(_Loop):
    """Does a pass of retention every so often, and when one is asked for."""

    what = "retention"

    def __init__(self, config: Config, database: Database, station: RetentionService) -> None:
        """Take what a pass needs; see `Retention`."""
        super().__init__(database)
        self._retention = Retention(config, database, station)
        self._interval_s = config.retention.check_interval_s
        self._request = config.station.data / REQUEST_FILE

    def run(self, stop: threading.Event) -> None:
        """Work until `stop`."""
        due_s = 0.0
        while not stop.is_set():
            asked = _asked(self._request)
            if asked or time.monotonic() >= due_s:
                done = self._attempt(lambda asked=asked: self._pass(stop, asked))
                due_s = time.monotonic() + (self._interval_s if done else _AGAIN_S)
            stop.wait(min(_LOOK_S, self._interval_s))

    def _pass(self, stop: threading.Event, asked: str) -> None:
        self._retention.run_once(stop, asked)
        if asked and _asked(self._request) == asked:
            self._request.unlink(missing_ok=True)


def _asked(path: Path) -> str:
    try:
        return path.read_text("utf-8")[:64]
    except (OSError, UnicodeDecodeError):
        return ""
