"""The keeper's process: what was composed goes into the database, is thinned there, and is shipped.

Started by the engine's supervisor, never by hand. It is a list of loops, each in a thread of its own. One
that fails in a way nobody thought of ends the process, which is started again: everything it does may be
killed at any instant.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, Protocol

from kymograph.app.child import say, task_from_engine
from kymograph.app.logs import begin_log
from kymograph.app.supervisor import READY_LINE, REFUSED
from kymograph.config import Config
from kymograph.model.errors import KymographError

if TYPE_CHECKING:
    from kymograph.service.keeping.gathering import Gatherer
    from kymograph.store.sql.database import Database

log = logging.getLogger(__name__)

_LOOK_S: Final = 0.2
END_S: Final = 2.5
"""How long loops may take to end; the supervisor kills after three seconds."""


class Loop(Protocol):
    """Something that goes on until it is told to stop."""

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set. Says once when what it needs is lost, and once when it is back."""
        ...


def gatherer(config: Config, database: Database) -> Gatherer:
    """Return the loop that makes the tables and fills them: the others begin when there are tables."""
    from kymograph.service.keeping.gathering import Gatherer

    takers = [name for name, table in config.destinations.items() if "readings" in table.streams]
    return Gatherer(config.station.data, config.station.name, database, takers)


def loops(config: Config, database: Database) -> Iterator[Loop]:
    """Yield what else this station has to keep going. What it needs is imported where it is configured."""
    from kymograph.app.at_engine import AtEngine
    from kymograph.service.retention.rolling import MakingRoom, RollingUp

    data = config.station.data
    if config.destinations:
        from kymograph.service.keeping.outbox import Outbox
        from kymograph.sync.pusher.pushers import Pushers

        yield Pushers(config, Outbox(database, config.station.name, data))
    yield RollingUp(database)
    yield MakingRoom(config, database, AtEngine(data))
    if config.hub is not None:
        from kymograph.service.hub.depot import Depot
        from kymograph.service.hub.tending import Tending

        yield Tending(Depot(config, database))


def run(config: Config, stop: threading.Event) -> int:
    """Run all loops until `stop` is set or one of them fails; return the exit code."""
    from kymograph.store.sql.database import Database

    database = Database(config.database_url)
    first = gatherer(config, database)
    failed = threading.Event()

    def go(loop: Loop) -> None:
        try:
            while loop is not first and not first.prepared.wait(_LOOK_S) and not stop.is_set():
                pass
            loop.run(stop)
        except Exception:
            log.exception("%s failed", type(loop).__name__)
            failed.set()
            stop.set()

    every: list[Loop] = [first, *loops(config, database)]
    threads = [threading.Thread(target=go, args=(loop,), daemon=True) for loop in every]
    for thread in threads:
        thread.start()
    say(READY_LINE)
    stop.wait()
    until = time.monotonic() + END_S
    for thread in threads:
        thread.join(max(until - time.monotonic(), 0.0))
    return 1 if failed.is_set() else 0


def main() -> None:
    """Keep until the engine ends or SIGTERM comes."""
    config = Config.model_validate(task_from_engine()["config"])
    begin_log(config.station)
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    try:
        code = run(config, stop)
    except KymographError as error:
        say(REFUSED + json.dumps(error.to_dict(), default=str))
        sys.exit(1)
    logging.shutdown()
    os._exit(code)  # a loop that has not ended in time is not waited for


if __name__ == "__main__":
    main()
