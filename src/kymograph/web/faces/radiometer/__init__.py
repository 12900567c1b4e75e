"""The light sensor's face: the interface of Q_Sensor_API. What each route maps to: docs/faces/radiometer.md.

    [web]
    faces = ["radiometer"]

    [faces.radiometer]
    instrument = "sensor"     # may be left out if one instrument only has the driver qseries

It keeps nothing of its own: a session is a recording, its chunks are that recording's sealed files, and what
a session was asked for is in the recording's metadata. However many routes ask, there is one recorder.
"""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, ValidationError

from kymograph.config import Config
from kymograph.model.errors import ConfigError
from kymograph.web.faces.radiometer import about, chunks, memory, readings, switches
from kymograph.web.faces.radiometer.answers import Lane

DRIVER = "qseries"


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    instrument: str = ""


def instrument_of(config: Config) -> str:
    """Return which instrument is the sensor.

    Raises:
        ConfigError: it is not named and not plain, or named and not there.
    """
    try:
        name = _Table.model_validate(config.faces.get("radiometer", {})).instrument
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(f"faces.radiometer: {where}: {first['msg']}") from None
    sensors = [key for key, table in config.instruments.items() if table.driver == DRIVER]
    if name and name not in config.instruments:
        raise ConfigError(
            f"faces.radiometer: there is no instrument {name}", instruments=list(config.instruments)
        )
    if not name and len(sensors) != 1:
        hint = 'say which it is: [faces.radiometer] instrument = "…"'
        raise ConfigError(f"the face radiometer needs one {DRIVER} instrument, not {len(sensors)}", hint=hint)
    return name or sensors[0]


def router(config: Config) -> APIRouter:
    """Return the routes of this face.

    Raises:
        ConfigError: it is not clear which instrument is the sensor.
    """
    name = instrument_of(config)
    lane = Lane(1)
    all_routes = APIRouter()
    for prefix in ("", "/sensor"):
        for made in (
            switches.router(name, prefix, lane),
            readings.router(name, prefix),
            memory.router(name, prefix, lane),
        ):
            all_routes.routes.extend(made.routes)
    for made in (chunks.router(name, lane), about.router(name)):
        all_routes.routes.extend(made.routes)
    return all_routes
