"""A real station and the fronts that are asked for, without a network between."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx

from kymograph.config import Config, parse
from kymograph.service.archive.archive import Archive
from kymograph.service.keys import KeyStore
from kymograph.service.station import Station
from kymograph.web.app import KEYS_FILE, make_app


class House:
    """A station and the fronts that are asked for, without a network."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.config = parse(
            {
                "station": {"name": "t", "data": str(data)},
                "recording": {"format": "csv", "segment_interval_s": 1},
                "instruments": {"gen": {"driver": "sine", "options": {"rate_hz": 1000, "channels": 2}}},
            }
        )
        self.station = Station(self.config)
        self.station.start()
        self.archive = Archive(data)
        self.keys = KeyStore(data / KEYS_FILE)

    def close(self) -> None:
        self.archive.close()
        self.station.shutdown()

    def app(self, **web: Any) -> Any:
        config = Config.model_validate({**self.config.model_dump(), "web": web})
        return make_app(config, self.station, self.archive)

    def ask(self, method: str, path: str, app: Any = None, **request: Any) -> httpx.Response:
        """Send one request, the path exactly as it is written."""
        made = app or self.app()

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(made, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, path, timeout=60, **request)

        return asyncio.run(send())


def ask_raw(house: House, app: Any, method: str, path: str) -> httpx.Response:
    """Send a request whose path no client library has tidied."""
    raw = path.encode("utf-8", "surrogatepass")
    url = httpx.URL(scheme="http", host="localhost", raw_path=b"/")

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(RawPath(app, raw), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.request(method, url)

    return asyncio.run(send())


class RawPath:
    """Puts a path into a request as a server would that was sent it."""

    def __init__(self, app: Any, raw: bytes) -> None:
        self._app = app
        self._raw = raw

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        decoded = unquote(self._raw.decode("utf-8", "surrogatepass"))
        await self._app({**scope, "path": decoded, "raw_path": self._raw}, receive, send)
