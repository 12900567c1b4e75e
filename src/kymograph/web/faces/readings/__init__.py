"""The face of the older hub for weather stations. What each route maps to: docs/faces/readings.md.

    [web]
    faces = ["readings"]

On a hub it takes readings and gives them; on a station that composes its own (`[readings]`) it gives those.
A reading is known by its device and its time, so a second sending never makes a second row.
"""

from __future__ import annotations

from fastapi import APIRouter

from kymograph.config import Config
from kymograph.model.errors import ConfigError


def router(config: Config) -> APIRouter:
    """Return the routes of this face.

    Raises:
        ConfigError: there are no readings here.
    """
    if config.hub is None and config.readings is None:
        raise ConfigError(
            "the face readings needs readings", hint="a table [hub], or [readings], in the station file"
        )
    if config.faces.get("readings"):
        raise ConfigError("the face readings has nothing to be told", hint="remove [faces.readings]")
    from kymograph.web.faces.readings import giving, taking

    routes = APIRouter()
    for made in (taking.router, giving.router):
        routes.routes.extend(made.routes)
    return routes
