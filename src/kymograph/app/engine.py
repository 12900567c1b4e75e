"""The engine's process: station, link, and the processes beside it, from start to a sealed end."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Final

from kymograph.app import systemd
from kymograph.app.logs import begin_log
from kymograph.app.supervisor import Supervisor, bind
from kymograph.config import Config
from kymograph.link.server import LinkServer
from kymograph.model.limits import SHUTDOWN_S_MAX
from kymograph.service.station import Station

log = logging.getLogger(__name__)

FRONT: Final = "front"
KEEPER: Final = "keeper"
KEEPER_PATIENCE_S: Final = 10.0
"""After so long the station counts as started without its keeper."""
_POLL_S: Final = 0.5


class _StopSignal:
    """Turns the first SIGTERM or SIGINT into a flag; the second ends the process at once."""

    def __init__(self) -> None:
        self.event = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.event.is_set():
            signal.signal(number, signal.SIG_DFL)
        self.event.set()


def serve(config: Config, on_ready: Callable[[str], None] = lambda url: None) -> int:
    """Run a station until SIGTERM or SIGINT; return the exit code. Call from the main thread.

    `on_ready` is called once with the dashboard's address ("" without a front).

    Raises:
        KymographError: the station cannot start: configuration, data folder or port.
    """
    begin_log(config.station, rotates=True)
    stop = _StopSignal()
    sock = bind(config.web.host, config.web.port) if config.web.enabled else None
    url = ""
    if sock is not None:
        config = config.model_copy(
            update={"web": config.web.model_copy(update={"port": sock.getsockname()[1]})}
        )
        url = _url(config.web.host, config.web.port)
    station = Station(config)
    link: LinkServer | None = None
    beside: list[Supervisor] = []
    try:
        station.start()
        link = LinkServer(station, station.folder.path)
        task = {"config": config.model_dump(mode="json")}
        if config.keeps:
            beside.append(Supervisor(KEEPER, "kymograph.app.keeper", task))
        if sock is not None:
            fd = sock.fileno()
            beside.append(Supervisor(FRONT, "kymograph.app.front", {**task, "fd": fd}, [fd]))
        _wait_ready(beside, stop.event)
        on_ready(url)
        systemd.notify(f"READY=1\nSTATUS=recording to {station.folder.path}")
        _watch(stop.event, station)
    finally:
        _end(station, link, beside)
        if sock is not None:
            sock.close()
    return 0


def _url(host: str, port: int) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}"


def _wait_ready(beside: Sequence[Supervisor], stop: threading.Event) -> None:
    """Wait for the front, and a while for the keeper: that it is slow or lost holds up nobody."""
    patient_until = time.monotonic() + KEEPER_PATIENCE_S
    while not stop.wait(0.05):
        refusals = [one.refusal for one in beside if one.refusal is not None]
        if refusals:
            raise refusals[0]
        missing = {one.name for one in beside if not one.ready.is_set()}
        if not missing or (missing == {KEEPER} and time.monotonic() > patient_until):
            return


def _watch(stop: threading.Event, station: Station) -> None:
    interval_s = systemd.watchdog_interval_s()
    while not stop.wait(interval_s or _POLL_S):
        if interval_s is not None and station.alive:
            systemd.notify("WATCHDOG=1")


def _end(station: Station, link: LinkServer | None, beside: Sequence[Supervisor]) -> None:
    systemd.notify("STOPPING=1")
    began = time.monotonic()
    fronts = [one for one in beside if one.name == FRONT]
    for one in fronts:
        threading.Thread(target=one.close, name="front-close", daemon=True).start()
    station.shutdown(SHUTDOWN_S_MAX - 2.0)
    if link is not None:
        link.close()
    for one in beside:  # the keeper last: it takes over what the station has just finished
        one.close()
    log.info("stopped in %.1f s", time.monotonic() - began)
