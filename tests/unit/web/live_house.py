"""A hub with an engine in memory behind it, and clients as a test wants them."""

from __future__ import annotations

import asyncio
from typing import Any

from kymograph.web.auth import Caller
from kymograph.web.live.client import Client
from kymograph.web.live.hub import Hub
from kymograph.web.live.messages import Subscribe


class LiveHouse:
    """A hub with its engine, and clients as they are wanted."""

    def __init__(self, hub: Hub, engine: Any, make_listener: Any) -> None:
        self.hub = hub
        self.engine = engine
        self._make_listener = make_listener
        self.running: list[asyncio.Task[None]] = []

    def enter(self, run: bool = True) -> tuple[Client, Any]:
        listener = self._make_listener()
        loop = asyncio.get_running_loop()
        client = Client(Caller("local", frozenset()), listener, loop.time, lambda: None, False)
        self.hub.join(client)
        if run:
            self.running.append(asyncio.ensure_future(client.outbox.run()))
        return client, listener

    async def subscribe(self, client: Client, **wish: Any) -> None:
        given = {"id": "a", "streams": ["s"], **wish}
        await self.hub.subscribe(client, Subscribe(**given), binary=False)
