"""The front's process: the network's side of a station. Started by the engine's supervisor, never by hand.

It is told its configuration and the listening socket on standard input, says `ready` on standard output,
and ends when the engine does.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys

from kymograph.app.child import say, task_from_engine
from kymograph.app.logs import begin_log
from kymograph.app.supervisor import READY_LINE, REFUSED
from kymograph.config import Config
from kymograph.link.client import EngineClient
from kymograph.model.errors import KymographError
from kymograph.service.archive.archive import Archive


def _ready() -> None:
    """Say that it answers. What was made until then is here to stay: the collector need not look at it again,
    and so comes sooner to what connections leave behind, which is a third of this process otherwise."""
    gc.collect()
    gc.freeze()
    say(READY_LINE)


def main() -> None:
    """Serve until the engine ends or SIGTERM comes."""
    task = task_from_engine()
    from kymograph.web import server

    config = Config.model_validate(task["config"])
    begin_log(config.station)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    engine = EngineClient(config.station.data, on_lost=lambda: os.kill(os.getpid(), signal.SIGTERM))
    archive = Archive(config.station.data)
    try:
        server.run(
            config,
            engine,
            archive,
            socket.socket(fileno=task["fd"]),
            ready=_ready,
            say=say,
        )
    except KymographError as error:
        say(REFUSED + json.dumps(error.to_dict(), default=str))
        sys.exit(1)
    finally:
        archive.close()
        engine.close()


if __name__ == "__main__":
    main()
