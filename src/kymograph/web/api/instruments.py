"""`/v1/instruments`: what they are doing, and what they are told to do."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header

from kymograph.service.contract import Terms
from kymograph.service.keys import CONTROL, READ
from kymograph.web.api.answers import problems
from kymograph.web.api.models import Arguments, InstrumentDetail, InstrumentOut, Page, Settings
from kymograph.web.auth import Caller, needs
from kymograph.web.front import FrontDep

router = APIRouter(prefix="/v1/instruments", tags=["instruments"])

Controller = Annotated[Caller, needs(CONTROL)]
IdempotencyKey = Annotated[str, Header(max_length=200)]


@router.get("", response_model=Page[InstrumentOut], responses=problems(), dependencies=[needs(READ)])
def instruments(front: FrontDep) -> dict[str, Any]:
    """Return every instrument with its state and its health."""
    return {"items": front.engine.instruments(), "next": None}


@router.get("/{name}", response_model=InstrumentDetail, responses=problems(404), dependencies=[needs(READ)])
def instrument(front: FrontDep, name: str) -> dict[str, Any]:
    """Return one instrument with its options, their schema, and its commands."""
    return front.engine.instrument(name)


@router.post(
    "/{name}/{action}",
    response_model=InstrumentOut,
    responses=problems(404, 409, 502),
    dependencies=[needs(CONTROL)],
)
def act(
    front: FrontDep, name: str, action: Literal["open", "start", "pause", "resume", "stop", "close"]
) -> dict[str, Any]:
    """Open, start, pause, resume, stop or close an instrument; answered when it is done or has failed."""
    return front.engine.act(name, action)


@router.patch(
    "/{name}/settings",
    response_model=InstrumentDetail,
    responses=problems(404, 409, 502),
)
def configure(front: FrontDep, caller: Controller, name: str, settings: Settings) -> dict[str, Any]:
    """Change some options, or the port; the instrument goes back to what it was doing."""
    return front.engine.configure(name, settings.options, settings.port, caller.signs(""))


@router.post("/{name}/commands/{command}", responses=problems(404, 409, 502, 504))
def command(
    front: FrontDep,
    caller: Controller,
    name: str,
    command: str,
    told: Arguments,
    idempotency_key: IdempotencyKey = "",
) -> dict[str, Any]:
    """Have the instrument's driver do something; refused at once if it is not open, or if another holds
    control of what moves.

    Of what moves, the answer has the command's `id` and its `state`, such as `verified`; one that comes twice
    with the same Idempotency-Key is given once. What could not be sent within `late_s` never is: 504.
    """
    terms: Terms = {"fence": told.fence, "key": idempotency_key, "late_s": told.late_s}
    return front.engine.command(name, command, told.arguments, caller.signs(told.by), **terms)
