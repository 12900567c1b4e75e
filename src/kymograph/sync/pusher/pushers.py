"""All destinations of a station: a pusher and a thread for each, and what they tell the other processes."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterable
from functools import partial
from typing import Any, Final

from kymograph.config import Config
from kymograph.config.shipping import DestinationTable
from kymograph.model.errors import KymographError
from kymograph.service.keeping.shelf import RowShelf
from kymograph.service.keeping.shipping_state import write_shipping
from kymograph.sync.pusher.hub import About, Hub
from kymograph.sync.pusher.native import NativeHub
from kymograph.sync.pusher.original import OriginalHub
from kymograph.sync.pusher.outbox import Outbox
from kymograph.sync.pusher.pusher import Places, Pusher
from kymograph.sync.pusher.wire import Wire

TELL_S: Final = 1.0
"""How often the others are told of changes."""
TELL_ANYWAY_S: Final = 30.0
"""How often they are told that nothing has changed."""
TABLES_S: Final = 5.0
"""How long a new database may take to be made, before it is worth a word that it is not there."""
END_S: Final = 1.0
"""How long a request may take to its end when the process is to end."""
_CUT_S: Final = 1.0
_PASSING: Final = ("lag_s", "next_try_ns", "failures", "last_success_ns", "bytes_sent")


def made_hub(table: DestinationTable, station: str, about: About) -> tuple[Hub, Wire]:
    """Return a destination's hub, and the wire to it."""
    wire = Wire(table.url, table.key, table.connect_timeout_s, table.answer_timeout_s)
    if table.kind == "original":
        return OriginalHub(wire), wire
    return NativeHub(wire, table.station or station, about), wire


def about(config: Config) -> dict[str, Any]:
    """Return what a station says of itself in each hello."""
    told: dict[str, Any] = {"name": config.station.name}
    if config.readings is not None:
        told["interval_s"] = config.readings.interval_s
    try:
        usage = shutil.disk_usage(config.station.data)
        told["disk"] = {"free_bytes": usage.free, "total_bytes": usage.total}
    except OSError:
        pass  # it is said where it matters
    return told


class Pushers:
    """One of the keeper's loops: ships to every destination of the station file."""

    def __init__(self, config: Config, outbox: Outbox) -> None:
        """Take what the station ships, and to whom."""
        self._data = config.station.data
        self._outbox = outbox
        self.pushers: list[Pusher] = []
        for name, table in config.destinations.items():
            hub, wire = made_hub(table, config.station.name, partial(about, config))
            places = Places(outbox, RowShelf(self._data, name))
            self.pushers.append(Pusher(name, table, hub, wire, places))

    def status(self) -> list[dict[str, Any]]:
        """Return how it stands with each destination."""
        return [pusher.status() for pusher in self.pushers]

    def run(self, stop: threading.Event) -> None:
        """Ship until `stop` is set."""
        self._wait_for_tables(stop)
        threads = [
            threading.Thread(target=pusher.run, args=(stop,), name=f"ship-{pusher.name}", daemon=True)
            for pusher in self.pushers
        ]
        for thread in threads:
            thread.start()
        self._tell(stop)
        _join(threads, END_S)
        for pusher in self.pushers:
            pusher.cut()
        _join(threads, _CUT_S)
        write_shipping(self._data, self.status())

    def _wait_for_tables(self, stop: threading.Event) -> None:
        """Give the one who makes the database a moment at the first start."""
        deadline = time.monotonic() + TABLES_S
        while not stop.is_set() and time.monotonic() < deadline:
            try:
                self._outbox.extents()
                return
            except KymographError:
                stop.wait(0.2)

    def _tell(self, stop: threading.Event) -> None:
        told: list[dict[str, Any]] = []
        told_at = 0.0
        while True:
            now = self.status()
            plain = [{name: one[name] for name in one if name not in _PASSING} for one in now]
            if plain != told or time.monotonic() - told_at > TELL_ANYWAY_S:
                write_shipping(self._data, now)
                told, told_at = plain, time.monotonic()
            if stop.wait(TELL_S):
                return


def _join(threads: Iterable[threading.Thread], patience_s: float) -> None:
    deadline = time.monotonic() + patience_s
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
