"""The rocket test stand's face: REST and the WebSocket `/ws`. What each maps to: docs/faces/teststand.md.

    [web]
    faces = ["teststand"]

    [faces.teststand]
    stand = "stand"           # may be left out if one instrument only has the driver stm32
    steppers = "steppers"     # may be left out if one instrument, or none, has the driver arduino_stepper
    p_chamber = "P5"          # what is not measured, made of channels that are; see `formulas`
    deltap2 = "P3 - P4"

Whatever moves, moves through the station's control: leases, interlocks and the stop of everything hold here
as everywhere. The face keeps nothing but the word that somebody gave for the system's mode.
"""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, ValidationError

from kymograph.config import Config
from kymograph.model.errors import ConfigError
from kymograph.web.faces.teststand import logs, orders, socket, state
from kymograph.web.faces.teststand.audience import Audience
from kymograph.web.faces.teststand.formulas import QUANTITIES, Formulas, parse
from kymograph.web.faces.teststand.stand import Names, Place

DRIVERS = {"stand": "stm32", "steppers": "arduino_stepper"}


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    stand: str = ""
    steppers: str = ""
    adiabatic_temperature: str = ""
    p_chamber: str = ""
    deltap2: str = ""
    kutlesel_debi: str = ""


def _table(config: Config) -> _Table:
    try:
        return _Table.model_validate(config.faces.get("teststand", {}))
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"faces.teststand: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def formulas_of(config: Config) -> Formulas:
    """Return what the quantities are made of that the controller does not measure.

    Raises:
        ConfigError: something that is no formula.
    """
    given = {name: getattr(_table(config), name) for name in QUANTITIES}
    try:
        return Formulas({name: parse(text) for name, text in given.items() if text})
    except ConfigError as error:
        raise ConfigError(f"faces.teststand: {error.message}", hint=error.hint) from None


def names_of(config: Config) -> Names:
    """Return which instruments are the stand and its stepper motors; "" for no stepper motors.

    Raises:
        ConfigError: one is named and not there, or it is not plain which is meant.
    """
    table = _table(config)
    return Names(_find(config, "stand", table.stand), _find(config, "steppers", table.steppers))


def _find(config: Config, role: str, name: str) -> str:
    if name and name not in config.instruments:
        raise ConfigError(
            f"faces.teststand: there is no instrument {name}", instruments=list(config.instruments)
        )
    found = [key for key, table in config.instruments.items() if table.driver == DRIVERS[role]]
    if name or (not found and role == "steppers"):
        return name
    if len(found) != 1:
        hint = f'say which it is: [faces.teststand] {role} = "…"'
        raise ConfigError(
            f"the face teststand needs one {DRIVERS[role]} instrument, there are {len(found)}", hint=hint
        )
    return found[0]


def router(config: Config) -> APIRouter:
    """Return the routes of this face.

    Raises:
        ConfigError: it is not clear which instruments are meant.
    """
    place = Place(names_of(config), formulas_of(config))
    audience = Audience(place)
    all_routes = APIRouter()
    for made in (
        state.router(place, audience),
        orders.router(place, audience),
        logs.router(place),
        socket.router(place, audience),
    ):
        all_routes.routes.extend(made.routes)
    return all_routes
