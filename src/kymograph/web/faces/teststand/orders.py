"""Orders by request: valves, motors, scenarios, and the emergency that waits for nobody."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Annotated, Any, Final

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from kymograph.model.errors import InvalidInput, KymographError
from kymograph.service.keys import CONTROL, READ
from kymograph.web.auth import Caller, needs
from kymograph.web.faces.teststand.audience import Audience
from kymograph.web.faces.teststand.stand import Lane, Place, Stand, status_of, who
from kymograph.web.faces.teststand.state import said
from kymograph.web.front import FrontDep
from kymograph.web.problems import problem

log = logging.getLogger(__name__)

ANGLE_MAX_DEG: Final = 3455.0
"""From one end of a motor's way to the other."""
Angle = Annotated[float, Field(strict=True, ge=-ANGLE_MAX_DEG, le=ANGLE_MAX_DEG, allow_inf_nan=False)]
MotorId = Annotated[int, Field(strict=True, ge=1, le=2)]
Bit = Annotated[int, Field(strict=True, ge=0, le=1)]
Controller = Annotated[Caller, needs(CONTROL)]


class ValvesIn(BaseModel):
    """Nine valves, the first is RELIEF1, the last IGNITION."""

    model_config = ConfigDict(extra="forbid")
    valves: Annotated[list[Bit], Field(min_length=9, max_length=9)]


class StepIn(BaseModel):
    """A motor, and by how many degrees it turns."""

    model_config = ConfigDict(extra="forbid")
    motor_id: MotorId
    angle: Angle


async def _ordered(lane: Lane, work: Callable[[], dict[str, Any]]) -> Response:
    """Do an order and answer as the contract does."""
    try:
        return said(await lane.run(work))
    except KymographError as error:
        status = status_of(error)
        if not status:
            raise
        return problem(error, status)


def router(place: Place, audience: Audience) -> APIRouter:
    """Return these routes."""
    routes = APIRouter(prefix="/api", tags=["face: teststand"])

    @routes.post("/valves")
    async def valves(front: FrontDep, request: Request, caller: Controller, wish: ValvesIn) -> Response:
        """Set all nine valves; the answer comes once the controller has acknowledged them."""
        stand, by = Stand(front.engine, place.names), who(request, caller)
        try:
            return await _ordered(place.valves, lambda: stand.set_valves(wish.valves, by))
        finally:
            audience.look_soon()

    @routes.post("/step_motor")
    async def step_motor(front: FrontDep, request: Request, caller: Controller, wish: StepIn) -> Response:
        """Turn a motor; the answer comes when it stands."""
        stand, by = Stand(front.engine, place.names), who(request, caller)
        return await _ordered(place.motors, lambda: stand.step_motor(wish.motor_id, wish.angle, by))

    @routes.post("/scenario/{name}")
    async def scenario(
        front: FrontDep, request: Request, caller: Annotated[Caller, needs(READ)], name: str
    ) -> Response:
        """Run a scenario. `emergency` is for anybody, at once."""
        stand, by = Stand(front.engine, place.names), who(request, caller)
        if name == "emergency":
            try:
                return said(await place.stops.run(lambda: stand.emergency(by)))
            finally:
                audience.look_soon()
        caller.require(CONTROL)
        stays = audience.has(by)
        try:
            return said(await place.valves.run(lambda: stand.scenario(name, by, stays)))
        finally:
            audience.look_soon()

    return routes


def check_step(motor_id: Any, angle: Any) -> StepIn:
    """Return a motor's command of a message.

    Raises:
        InvalidInput: it makes no sense.
    """
    try:
        return StepIn(motor_id=motor_id, angle=angle)
    except ValueError:
        raise InvalidInput(
            f"a motor is 1 or 2, an angle at most {ANGLE_MAX_DEG:g} degrees either way"
        ) from None
