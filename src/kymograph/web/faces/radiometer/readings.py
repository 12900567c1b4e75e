"""What the sensor is doing, and its readings: the newest, the last ones, each as it comes."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from anyio import to_thread
from fastapi import APIRouter, Query
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect

from kymograph.model.block import Cursor
from kymograph.model.errors import KymographError
from kymograph.service.keys import READ
from kymograph.web.auth import needs
from kymograph.web.faces.radiometer.answers import Route, said
from kymograph.web.faces.radiometer.sensor import CHANNELS, Sensor, timestamp
from kymograph.web.faces.radiometer.switches import recording_of
from kymograph.web.front import Front, FrontDep
from kymograph.web.problems import encode

LOOK_S: Final = 0.05
"""Between two looks for new readings: the contract asks for ten a second at least."""
_ROWS_MAX: Final = 256


class _New:
    """Readings that came since the last look."""

    def __init__(self, front: Front, name: str) -> None:
        self._sensor = Sensor(front, name)
        self._at: Cursor | None = None

    def take(self) -> list[dict[str, Any]]:
        """Return them, oldest first; at the first look the newest one."""
        sensor = self._sensor
        if self._at is None:
            row = sensor.engine.latest(sensor.stream)
            if row is None:
                return []
            self._at = Cursor(row["epoch"], row["seq"])
        found: list[dict[str, Any]] = []
        for block in sensor.engine.history(sensor.stream, self._at, _ROWS_MAX):
            columns = [block.columns()[block.stream.index(name)].tolist() for name in CHANNELS]
            found += sensor.readings(block.time_ns.tolist(), columns)
            self._at = block.next
        return found


def state_of(sensor: Sensor) -> dict[str, Any]:
    """Return what the sensor is doing this second."""
    return {
        "connected": sensor.connected, "recording": recording_of(sensor) is not None,
        "sensor_id": sensor.sensor_id, "mode": sensor.mode, "rows": sensor.status["health"]["rows"],
        "state": sensor.state, "activity": sensor.status.get("activity", ""),
        "error": sensor.status["error"],
    }  # fmt: skip


def statistics(sensor: Sensor) -> dict[str, Any]:
    """Return how many readings memory holds, and how fast they came."""
    stream = next(one for one in sensor.engine.streams() if one["name"] == sensor.stream)
    ring = stream["ring"]
    rows, first, last = ring["rows"], ring["first_ns"], ring["last_ns"]
    if not rows or first is None:
        empty = {"start_time": None, "end_time": None, "duration_s": 0.0, "est_sample_rate_hz": 0.0}
        return {"row_count": 0, **empty}
    duration_s = (last - first) / 1e9
    return {
        "row_count": rows, "start_time": timestamp(first), "end_time": timestamp(last),
        "duration_s": duration_s, "est_sample_rate_hz": (rows - 1) / duration_s if duration_s > 0 else 0.0,
    }  # fmt: skip


async def _send_each(websocket: WebSocket, new: _New) -> None:
    await websocket.accept()
    heard = asyncio.ensure_future(websocket.receive())
    try:
        while not heard.done() or heard.result()["type"] != "websocket.disconnect":
            if heard.done():
                heard = asyncio.ensure_future(websocket.receive())
            for reading in await to_thread.run_sync(new.take):
                await websocket.send_text(encode(reading).decode())
            await asyncio.wait([heard], timeout=LOOK_S)
    except (WebSocketDisconnect, KymographError, RuntimeError, OSError):
        pass  # the client or the engine is gone
    finally:
        heard.cancel()


def router(name: str, prefix: str) -> APIRouter:
    """Return these routes under a prefix."""
    routes = APIRouter(prefix=prefix, tags=["face: radiometer"], route_class=Route)

    @routes.get("/status", dependencies=[needs(READ)])
    def status(front: FrontDep) -> Response:
        """Return what the sensor is doing this second."""
        sensor = Sensor(front, name)
        return said(state_of(sensor))

    @routes.get("/latest", dependencies=[needs(READ)])
    def latest(front: FrontDep) -> Response:
        """Return the newest reading, `{}` if there is none."""
        return said(Sensor(front, name).latest())

    @routes.get("/recent", dependencies=[needs(READ)])
    def recent(front: FrontDep, seconds: Annotated[float, Query(ge=1, le=300)] = 60.0) -> Response:
        """Return the readings of the last seconds."""
        return said({"rows": Sensor(front, name).recent(seconds)})

    @routes.get("/stats", dependencies=[needs(READ)])
    def stats(front: FrontDep) -> Response:
        """Return how many readings memory holds, and how fast they came."""
        return said(statistics(Sensor(front, name)))

    @routes.websocket("/stream", dependencies=[needs(READ)])
    async def stream(websocket: WebSocket, front: FrontDep) -> None:
        """Send each new reading."""
        await _send_each(websocket, _New(front, name))

    return routes
