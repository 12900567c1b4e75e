"""The front's process: the network's side of a station. Started by the engine's supervisor, never by hand.

It is told its configuration and the listening socket on standard input, says `ready` on standard output,
and ends when the engine does.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import socket
import sys
from typing import Final

from kymograph.app.supervisor import READY_LINE, REFUSED
from kymograph.config import Config
from kymograph.link.client import EngineClient
from kymograph.model.errors import KymographError
from kymograph.service.archive.archive import Archive

_PR_SET_PDEATHSIG: Final = 1


def _end_with_parent() -> None:
    """Have the kernel end this process when the engine is killed."""
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent or parent == 1:
        sys.exit(1)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    """Serve until the engine ends or SIGTERM comes."""
    task = json.loads(sys.stdin.readline())
    _end_with_parent()
    from kymograph.web import server

    config = Config.model_validate(task["config"])
    level = config.station.log_level.upper()
    logging.basicConfig(level=level, format="%(asctime)s - %(levelname)s - %(message)s", stream=sys.stderr)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    engine = EngineClient(config.station.data, on_lost=lambda: os.kill(os.getpid(), signal.SIGTERM))
    archive = Archive(config.station.data)
    try:
        server.run(
            config,
            engine,
            archive,
            socket.socket(fileno=task["fd"]),
            ready=lambda: _say(READY_LINE),
            say=_say,
        )
    except KymographError as error:
        _say(REFUSED + json.dumps(error.to_dict(), default=str))
        sys.exit(1)
    finally:
        archive.close()
        engine.close()


if __name__ == "__main__":
    main()
