"""Faces: how Kymograph looks to clients that were written for another system, one file a system.

A face translates, it never decides: whatever it is asked, it asks the services. `[web] faces` names those
that are shown, `[faces.NAME]` holds what each needs to know. Others' faces come by the entry point group
`kymograph.faces`: a function `router(config) -> APIRouter` each.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Final, cast

from fastapi import APIRouter

from kymograph.config import Config
from kymograph.model.errors import ConfigError

GROUP: Final = "kymograph.faces"
OURS: Final = {
    "lidar": "kymograph.web.faces.lidar:router",
    "readings": "kymograph.web.faces.readings:router",
    "radiometer": "kymograph.web.faces.radiometer:router",
    "teststand": "kymograph.web.faces.teststand:router",
}

MakeRouter = Callable[[Config], APIRouter]


def names() -> list[str]:
    """Return the names of all faces."""
    return sorted({*OURS, *(point.name for point in entry_points(group=GROUP))})


def find(name: str) -> MakeRouter:
    """Import a face.

    Raises:
        ConfigError: there is none of that name.
    """
    others = (point.value for point in entry_points(group=GROUP) if point.name == name)
    target = OURS.get(name) or next(others, None)
    if target is None:
        raise ConfigError(f"there is no face called {name}", hint=f"faces are: {', '.join(names())}")
    module, _, attribute = target.partition(":")
    return cast("MakeRouter", getattr(cast("Any", import_module(module)), attribute))


def routers(config: Config) -> list[APIRouter]:
    """Return the routes of every face that a station shows.

    Raises:
        ConfigError: a face is not known, or cannot be what the configuration asks.
    """
    return [find(name)(config) for name in dict.fromkeys(config.web.faces)]
