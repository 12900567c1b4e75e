"""What the stand is doing, and its newest reading."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from kymograph.model.errors import Unavailable
from kymograph.service.keys import CONTROL, READ
from kymograph.web.auth import PUBLIC, needs
from kymograph.web.faces.teststand import messages
from kymograph.web.faces.teststand.audience import Audience
from kymograph.web.faces.teststand.formulas import Formulas
from kymograph.web.faces.teststand.stand import Place, Stand, set_mode
from kymograph.web.front import Front, FrontDep
from kymograph.web.problems import encode


def said(body: object, code: int = 200) -> Response:
    """Return a body as JSON."""
    return Response(encode(body), code, media_type="application/json")


def newest(stand: Stand, formulas: Formulas) -> messages.Plain:
    """Return the sensor object of the newest row. Blocks.

    Raises:
        Unavailable: nothing was measured yet.
    """
    row = stand.engine.latest(stand.stream)
    if row is None:
        raise Unavailable("nothing was measured yet", hint="is the stand connected?")
    control = stand.control()
    made = {name: float(value) for name, value in formulas.of(row["values"]).items()}
    values = {**row["values"], **made}
    return messages.sensors(values, row["time_ns"], control["valves"], control["troubles"])


def _buffer(front: Front, place: Place) -> dict[str, int]:
    stream = Stand(front.engine, place.names).stream
    ring = next(one["ring"] for one in front.engine.streams() if one["name"] == stream)
    return {"buffer_index": ring["rows"], "buffer_size": ring["capacity"]}


def router(place: Place, audience: Audience) -> APIRouter:
    """Return these routes."""
    routes = APIRouter(prefix="/api", tags=["face: teststand"])

    @routes.get("/hello", dependencies=[needs(PUBLIC)])
    async def hello() -> Response:
        """Say that the service is there."""
        return said({"message": "Kymograph speaks for the test stand", "status": "running"})

    @routes.get("/status", dependencies=[needs(READ)])
    async def status(front: FrontDep) -> Response:
        """Return what is connected."""
        told = await place.looks.run(Stand(front.engine, place.names).status)
        return said({"system_mode": place.mode, "websocket_connections": len(audience), **told})

    @routes.get("/sensors", dependencies=[needs(READ)])
    async def sensors(front: FrontDep) -> Response:
        """Return the newest reading."""
        return said(await place.looks.run(lambda: newest(Stand(front.engine, place.names), place.formulas)))

    @routes.get("/buffer_status", dependencies=[needs(READ)])
    async def buffer_status(front: FrontDep) -> Response:
        """Return how many rows memory holds, and how many it can."""
        return said(await place.looks.run(lambda: _buffer(front, place)))

    @routes.post("/system_mode/{mode}", dependencies=[needs(CONTROL)])
    async def system_mode(mode: str) -> Response:
        """Keep a word for what is being done; nothing moves by it."""
        return said(set_mode(place, mode))

    return routes
