"""What becomes of it: events for all, and lines of the audit, written down off the threads that move.

A device's thread must not wait for a disk. Who gave an order does, for a moment: that it was accepted is on
the disk before anything is sent.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from kymograph.control.audit import FILENAME, Audit
from kymograph.control.command_life import Step
from kymograph.model.clock import Clock
from kymograph.model.errors import KymographError
from kymograph.model.event import Event

log = logging.getLogger(__name__)

Tell = Callable[[Event], None]
CONTROL: Final = "control"
"""The source of events about who may move what: they belong to every recording."""
_WAIT_S: Final = 1.0
"""How long somebody waits for a line to be on the disk: a card that stalls must not hold a command up."""


class Logbook:
    """The audit of one station, and its events about control. Any thread may write; order is kept."""

    def __init__(self, data: Path | None, clock: Clock, tell: Tell) -> None:
        """Continue the audit in a data folder; None keeps none, where nothing moves."""
        self._clock = clock
        self._tell = tell
        self._audit = Audit(data / FILENAME, clock.now_ns()) if data is not None else None
        self._clerk = ThreadPoolExecutor(1, "audit")

    def close(self) -> None:
        """Write what waits, and end."""
        self._clerk.shutdown()
        if self._audit is not None:
            self._audit.close()

    def event(self, kind: str, body: Mapping[str, Any]) -> None:
        """Tell everybody of something about control."""
        self._tell(Event(str(uuid4()), self._clock.now_ns(), CONTROL, kind, dict(body)))

    def line(self, who: str, what: str, body: Mapping[str, Any], wait: bool = False) -> None:
        """Have a line of the audit written; `wait` until it is on the disk, but not for long."""
        if self._audit is None:
            return
        try:
            done = self._clerk.submit(self._write, self._audit, self._clock.now_ns(), who, what, dict(body))
        except RuntimeError:
            return  # the station has ended
        if wait:
            _wait(done)

    def step(self, step: Step) -> None:
        """Tell of a command's step, and have it written."""
        if step.event is None:
            return
        self._tell(step.event)
        self.line(step.command.order.by, f"command {step.command.state}", step.event.body)

    def settle(self) -> None:
        """Wait until what was written so far is on the disk, but not for long."""
        try:
            _wait(self._clerk.submit(lambda: None))
        except RuntimeError:
            return

    def _write(self, audit: Audit, time_ns: int, who: str, what: str, body: Mapping[str, Any]) -> None:
        try:
            audit.append(time_ns, who or "local", what, body)
        except KymographError as error:
            log.error("the audit could not be written: %s", error)


def _wait(done: Future[None]) -> None:
    try:
        done.result(_WAIT_S)
    except FutureTimeoutError:
        log.warning("the disk is slow: the audit lags behind")
