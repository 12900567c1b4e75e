"""The station's state, pushed each second and whenever something happened, and its events as they come."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from typing import Any, Final

from kymograph.model.errors import KymographError
from kymograph.service.contract import StationService, Subscription
from kymograph.web.api.answers import control_out
from kymograph.web.live.client import Client
from kymograph.web.live.messages import write

log = logging.getLogger(__name__)

_INTERVAL_S: Final = 1.0
_PAUSE_S: Final = 0.1
"""Between two pushes, however much happens."""


class StatusPush:
    """Asks the engine once for all clients that want to know. On the event loop."""

    def __init__(self, engine: StationService, clients: Collection[Client]) -> None:
        self._engine = engine
        self._clients = clients
        self._happened = asyncio.Event()
        self._events: Subscription | None = None

    async def start(self) -> None:
        """Begin to listen to the station's events."""
        loop = asyncio.get_running_loop()

        def pass_on(event: dict[str, Any]) -> None:
            try:
                loop.call_soon_threadsafe(self._tell, event)
            except RuntimeError:
                pass  # the loop has ended; nobody is left to be told

        self._events = await asyncio.to_thread(self._engine.on_event, pass_on)

    async def stop(self) -> None:
        """Listen no more."""
        if self._events is not None:
            await asyncio.to_thread(self._events.close)

    def wake(self) -> None:
        """Push as soon as possible: somebody has just asked."""
        self._happened.set()

    def _tell(self, event: dict[str, Any]) -> None:
        self._happened.set()
        for client in self._clients:
            for id, binary in client.statuses.items():
                client.outbox.put(write({"type": "event", "subscription": id, **event}, binary))

    async def run(self) -> None:
        """Push, for ever."""
        while True:
            try:
                async with asyncio.timeout(_INTERVAL_S):
                    await self._happened.wait()
            except TimeoutError:
                pass  # a second without news is news too
            self._happened.clear()
            if any(client.statuses for client in self._clients):
                await self._push()
            await asyncio.sleep(_PAUSE_S)

    async def _push(self) -> None:
        try:
            facts = await asyncio.to_thread(self._facts)
        except KymographError as error:
            log.info("no status to push: %s", error)
            return
        for client in self._clients:
            for id, binary in client.statuses.items():
                message = write({"type": "status", "id": id, **facts}, binary)
                client.outbox.put_newest(("status", id), message)

    def _facts(self) -> dict[str, Any]:
        station = self._engine.station()
        return {
            "now_ns": station["now_ns"],
            "disk": station.get("disk"),
            "instruments": self._engine.instruments(),
            "recorders": self._engine.recorders(),
            "control": control_out(self._engine.control.status()),
        }
