"""The stop of everything, kept on the disk: a program that is killed and started again is still stopped."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Final

from kymograph.control.stop_latch import Stop, StopLatch, stop_from_dict
from kymograph.model.errors import KymographError
from kymograph.store.durable import remove_durably, write_durably

log = logging.getLogger(__name__)

STOP_FILE: Final = "stopped.json"


class KeptStop(StopLatch):
    """The latch of one station and its file. What `StopLatch` says of threads holds here too."""

    def __init__(self, data: Path) -> None:
        """Begin stopped if an earlier run of the station was left so, or if that cannot be told."""
        self._file = data / STOP_FILE
        super().__init__(_left(self._file))

    def keep(self) -> None:
        """Put the present stop on the disk; a disk that fails does not undo it."""
        stop = self.stop
        if stop is None:
            return
        try:
            write_durably(self._file, json.dumps(stop.to_dict()).encode())
        except KymographError as error:
            log.error("the stop could not be kept: %s", error)

    def confirm_reset(self, number: int, now_ns: int) -> Stop:
        """See `StopLatch.confirm_reset`; the file goes too."""
        stop = super().confirm_reset(number, now_ns)
        if self._file.exists():
            remove_durably(self._file)
        return stop


def _left(path: Path) -> Stop | None:
    try:
        return stop_from_dict(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return Stop("somebody", "a stop that was kept and cannot be read any more", 0)
