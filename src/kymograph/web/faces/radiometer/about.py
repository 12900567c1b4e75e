"""What the service says of itself, to people, to programs, and to the vehicle it runs on."""

from __future__ import annotations

import time
from typing import Any, Final

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match
from starlette.types import Scope

from kymograph import __version__
from kymograph.service.keys import READ
from kymograph.web.auth import PUBLIC, needs
from kymograph.web.faces.radiometer.answers import said
from kymograph.web.faces.radiometer.chunks import SCHEMA
from kymograph.web.faces.radiometer.sensor import Sensor, timestamp
from kymograph.web.front import FrontDep

SERVICE: Final = "Q-Sensor API"


class _ForPrograms(APIRoute):
    """A route that is not there for a browser, which gets the dashboard at the same address."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """See `APIRoute`."""
        if "text/html" in Headers(scope=scope).get("accept", ""):
            return Match.NONE, {}
        return super().matches(scope)


def registration() -> dict[str, Any]:
    """Return what BlueOS asks every service for."""
    return {
        "name": "Kymograph", "description": "Records instruments without losing a row, and shows them live.",
        "icon": "mdi-chart-timeline-variant", "company": "Kymograph", "version": __version__,
        "webpage": "", "api": "/docs", "works_in_relative_paths": True,
        "new_page": False,
    }  # fmt: skip


def router(name: str) -> APIRouter:
    """Return these routes."""
    routes = APIRouter(tags=["face: radiometer"])
    public = [needs(PUBLIC)]
    programs = APIRouter(tags=["face: radiometer"], route_class=_ForPrograms)

    @programs.get("/", dependencies=public)
    async def root() -> Response:
        """Say that the service is there."""
        return said({"service": SERVICE, "version": __version__, "status": "online"})

    @routes.get("/health", dependencies=public)
    def health(front: FrontDep) -> Response:
        """Say whether the service is well, whatever the sensor does."""
        disk = front.engine.station()["disk"]["state"]
        return said({"service": SERVICE, "status": "healthy" if disk == "ok" else disk})

    @routes.get("/version", dependencies=public)
    async def version() -> Response:
        """Say which version this is."""
        return said({"api": __version__, "git": "", "status": "online"})

    @routes.get("/docs.json", dependencies=public, include_in_schema=False)
    async def docs() -> Response:
        """Lead on to the description of all routes."""
        return RedirectResponse("openapi.json", 307)

    @routes.get("/register_service", dependencies=public)
    async def register() -> Response:
        """Say to BlueOS what this is."""
        return said(registration())

    @routes.get("/api/sync/time", dependencies=[needs(READ)])
    def sync_time(front: FrontDep) -> Response:
        """Say what time it is here, for whoever measures the difference."""
        now_ns = time.time_ns()
        return said(
            {
                "pi_iso": timestamp(now_ns), "pi_unix_ms": now_ns // 1_000_000,
                "container_version": __version__, "schema_version": SCHEMA,
                "sensor_id": Sensor(front, name).sensor_id,
            }
        )  # fmt: skip

    routes.routes.extend(programs.routes)
    return routes
