"""The front's server: uvicorn, with bounds on what a connection may take and for how long."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kymograph.config import Config
from kymograph.model.limits import CONNECTIONS_MAX, LIVE_MESSAGE_BYTES_MAX, REQUEST_HEADERS_S_MAX
from kymograph.service.archive.archive import Archive
from kymograph.service.contract import StationService
from kymograph.service.keys import KeyStore
from kymograph.web.app import KEYS_FILE, make_app
from kymograph.web.auth import ensure_first_key
from kymograph.web.live.wire import WiredWebSocket

log = logging.getLogger(__name__)

_KEEP_ALIVE_S: Final = 30
_GOODBYE_S: Final = 2
"""How long requests under way may take to end once the front is told to stop."""
_PING_S: Final = 20.0


class TimedHttp(HttpToolsProtocol):
    """HTTP whose request headers must come in time: a connection is not ours to be held open with nothing."""

    _patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        self._wait_for_headers()

    def on_message_begin(self) -> None:
        """See `HttpToolsProtocol`."""
        super().on_message_begin()
        self._wait_for_headers()

    def on_headers_complete(self) -> None:
        """See `HttpToolsProtocol`."""
        self._be_patient()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self._be_patient()
        super().connection_lost(exc)

    def _wait_for_headers(self) -> None:
        self._be_patient()
        self._patience = self.loop.call_later(REQUEST_HEADERS_S_MAX, self.transport.abort)

    def _be_patient(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None


class _Server(uvicorn.Server):
    """uvicorn that says when it answers."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, and come back from `run`: whoever called it has things to close."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See `uvicorn.Server`."""
        await super().startup(sockets)
        if self.started:
            # What is here now stays: to look through it for garbage would stop everything for 50 ms.
            gc.collect()
            gc.freeze()
            self._ready()


def run(
    config: Config,
    engine: StationService,
    archive: Archive,
    sock: socket.socket,
    ready: Callable[[], None],
    say: Callable[[str], None],
) -> None:
    """Serve on a listening socket until SIGTERM; call from the main thread.

    `ready` is called once it answers; `say` with lines for the person who started the station.

    Raises:
        ConfigError: a face cannot be what the configuration asks.
    """
    token = ensure_first_key(config, KeyStore(config.station.data / KEYS_FILE))
    if token is not None:
        say(f"The first key of this station, for everything, shown only now: {token}")
    archive.warm()
    settings = uvicorn.Config(
        make_app(config, engine, archive),
        loop="uvloop",
        http=TimedHttp,
        ws=WiredWebSocket,
        ws_per_message_deflate=False,
        ws_max_size=LIVE_MESSAGE_BYTES_MAX,
        ws_ping_interval=_PING_S,
        ws_ping_timeout=_PING_S,
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=CONNECTIONS_MAX,
        backlog=128,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GOODBYE_S,
    )
    _Server(settings, ready).run(sockets=[sock])
