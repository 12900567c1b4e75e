"""The front as one application: every route, behind one gate, with one way to say what is wrong."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.responses import Response
from starlette.types import ASGIApp

from kymograph import __version__
from kymograph.config import Config
from kymograph.service.archive.archive import Archive
from kymograph.service.archive.mirrors import MirrorRegister
from kymograph.service.contract import StationService
from kymograph.service.keys import KeyStore
from kymograph.web import faces, files, problems
from kymograph.web.api import (
    control,
    drivers,
    health,
    instruments,
    mirrors,
    recordings,
    runs,
    session,
    shipping,
    station,
    streams,
    triggers,
)
from kymograph.web.api import files as recording_files
from kymograph.web.api.models import Problem
from kymograph.web.auth import PUBLIC, Guard, declared_scopes, needs, refuse_undeclared
from kymograph.web.front import Front
from kymograph.web.gate import Gate
from kymograph.web.idempotency import Answers
from kymograph.web.live import socket
from kymograph.web.live.hub import Hub

if TYPE_CHECKING:
    from kymograph.service.hub.depot import Depot
    from kymograph.service.hub.readings import Readings

log = logging.getLogger(__name__)

KEYS_FILE: Final = "keys.json"
_NOUNS: Final = (
    station,
    instruments,
    streams,
    recordings,
    recording_files,
    mirrors,
    shipping,
    control,
    runs,
    triggers,
    drivers,
    session,
    health,
)
_DESCRIPTION: Final = """\
Errors are `application/problem+json` with a stable `code`, a `hint`, and `facts`. Times are answered in
nanoseconds since 1970 (`…_ns`) and as RFC 3339, and taken as either. Lists are `{"items": […], "next": …}`;
`next`, given as `cursor`, asks for the rest. Live rows: WebSocket `/v1/live`.
"""


class _Front(FastAPI):
    """FastAPI with our gate around everything, also around its own answer to what nobody expected."""

    def build_middleware_stack(self) -> ASGIApp:
        return Gate(super().build_middleware_stack(), self.state.guard.origins)


def make_app(config: Config, engine: StationService, archive: Archive) -> FastAPI:
    """Return the front of a station.

    Raises:
        ConfigError: a face is not known, or cannot be what the configuration asks.
        RuntimeError: a route does not say who may use it.
    """
    open_hub = config.hub is not None and config.hub.open
    guard = Guard(config.web, KeyStore(config.station.data / KEYS_FILE), open_hub=open_hub)
    hub = Hub(engine, guard)
    depot, readings = _kept(config)
    guard.stations = None if depot is None else depot.keys

    @asynccontextmanager
    async def live(_app: FastAPI) -> AsyncGenerator[None]:
        await hub.start()
        try:
            yield
        finally:
            await hub.stop()
            if readings is not None:
                readings.database.close()

    app = _Front(
        title="Kymograph",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=live,
    )
    app.state.guard = guard
    app.state.front = Front(config, engine, archive, guard, hub, Answers(), MirrorRegister(), depot, readings)
    problems.install(app)
    # Not by `include_router`: this way the application has one flat list, in which no route can hide.
    nouns = (*_NOUNS, *_of_a_hub(config))
    for router in (*(noun.router for noun in nouns), socket.router, *faces.routers(config)):
        app.router.routes.extend(router.routes)
    _describe(app)
    app.router.routes.extend(files.files_router().routes)
    refuse_undeclared(app)
    return app


def _kept(config: Config) -> tuple[Depot | None, Readings | None]:
    """Return what there is of a database: what stations ship to, and what readings are read from."""
    if config.hub is None and config.readings is None:
        return None, None
    from kymograph.service.hub.depot import Depot, open_database
    from kymograph.service.hub.readings import Readings

    database = open_database(config)
    return (None if config.hub is None else Depot(config, database)), Readings(database)


def _of_a_hub(config: Config) -> list[Any]:
    """Return the modules of routes that need a database, where there is one."""
    found: list[Any] = []
    if config.hub is not None:
        from kymograph.web.api import fleet, ingest

        found += [ingest, fleet]
    if config.hub is not None or config.readings is not None:
        from kymograph.web.api import readings

        found.append(readings)
    if config.keeps:
        from kymograph.web.api import retention

        found.append(retention)
    return found


def _describe(app: FastAPI) -> None:
    """Offer the description of all routes at `/openapi.json`."""
    made: list[bytes] = []

    @app.get("/openapi.json", include_in_schema=False, dependencies=[needs(PUBLIC)])
    async def openapi() -> Response:  # pyright: ignore[reportUnusedFunction]
        if not made:
            made.append(problems.encode(describe(app)))
        return Response(made[0], media_type="application/json")


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI description of an application."""
    said = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    parts: dict[str, Any] = said.setdefault("components", {})
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    parts.setdefault("schemas", {})["Problem"] = schema
    parts["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    said["security"] = [{}, {"bearer": []}, {"key": []}]
    for route in app.routes:
        for method in getattr(route, "methods", None) or ():
            told = said["paths"].get(getattr(route, "path_format", ""), {}).get(method.lower())
            if told is not None:
                told["x-scope"] = declared_scopes(route)[0]
    return said
